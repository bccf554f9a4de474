"""SLURM's commands: what is queued, what the nodes have, submitting and cancelling jobs."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from regbench.errors import RegbenchError
from regbench.execution import budget, environment, failures
from regbench.execution.cluster import Node

# Seconds before the time limit at which a run is asked for a checkpoint.
SECONDS_BEFORE_LIMIT = 90
OPTION = re.compile(r"[a-z][a-z-]*")
# Those that decide where events and arguments are found.
OWN = ("array", "chdir", "error", "output", "open-mode", "wrap")
# SLURM's own default, for a SLURM that does not say.
USUAL_LONGEST_ARRAY = 1001
LONGEST_ARRAY = re.compile(r"^MaxArraySize\s*=\s*(\d+)", re.MULTILINE)
USABLE = ("idle", "mixed", "allocated", "completing")
INSTALL = "--executor slurm: {} is not installed; {}"


def queue() -> dict[str, str] | None:
    """Return the state of each of this user's jobs by its number; None if SLURM does not answer.

    A job of an array has a number such as 12_3.
    """
    try:
        text = _output("squeue", "--me", "--noheader", "--array", "--format=%i %T")
    except RegbenchError:
        return None
    return dict(line.split(maxsplit=1) for line in text.splitlines() if " " in line.strip())


def nodes(partition: str | None) -> list[Node]:
    """Return the nodes that take jobs of a partition, or of the default one."""
    found = {}
    for line in _output("sinfo", "--noheader", "--Node", "--format=%N|%c|%T|%P").splitlines():
        name, cores, state, its = line.strip().split("|")
        here = its.rstrip("*") == partition if partition else its.endswith("*")
        if here and state.rstrip("*~#!%$@^-+") in USABLE:
            found[name] = Node(int(cores))
    if not found:
        which = f"partition {partition}" if partition else "the default partition"
        raise RegbenchError(
            f"--slurm: expected nodes in {which}, received none that take jobs; "
            "see sinfo, and choose another with --slurm partition=NAME"
        )
    return list(found.values())


def cancel(jobs: Sequence[str]) -> None:
    """Cancel jobs: a running one gets SIGTERM, in time for a checkpoint."""
    if jobs:
        _output("scancel", *jobs)


def longest_array() -> int:
    """Return how many jobs SLURM takes as one array."""
    with contextlib.suppress(RegbenchError):
        found = LONGEST_ARRAY.search(_output("scontrol", "show", "config"))
        if found:
            return max(1, int(found[1]))  # indices begin with 0, and end one below
    return USUAL_LONGEST_ARRAY


def submit(
    tasks: Sequence[Callable[[], None]],
    folder: Path,
    workers: int,
    threads: int,
    options: Mapping[str, str],
    after: str | None = None,
) -> list[str]:
    """Submit callables as an array of jobs, so many at a time; return the number of each job.

    With `after`, the number of a job of an earlier array, they wait until that array has ended.
    """
    require()
    import submitit

    executor = submitit.SlurmExecutor(folder=folder)
    executor.update_parameters(
        job_name="regbench",
        cpus_per_task=threads,
        array_parallelism=workers,
        stderr_to_stdout=True,
        additional_parameters=_after(parameters(options), after),
    )
    try:
        # Jobs start Python in the current folder, where a config from a stranger may lie.
        with environment.safe_path(), executor.batch():
            jobs = [executor.submit(task) for task in tasks]
    except (submitit.core.utils.FailedJobError, submitit.core.utils.FailedSubmissionError) as error:
        raise RegbenchError(f"--slurm: sbatch refused: {_last_line(str(error))}") from error
    return [str(job.job_id) for job in jobs]


def _after(found: dict[str, str | bool], job: str | None) -> dict[str, str | bool]:
    """Return options of sbatch by which jobs also wait for the array of this job."""
    if job is None:
        return found
    conditions = [found.get("dependency"), f"afterany:{job.partition('_')[0]}"]
    return {**found, "dependency": ",".join(str(each) for each in conditions if each)}


def parameters(options: Mapping[str, str]) -> dict[str, str | bool]:
    """Return the options of sbatch for what `--slurm` says.

    Raises:
        RegbenchError: an option is none of sbatch's, or the time limit is missing.
    """
    found: dict[str, str] = {"signal": f"USR1@{SECONDS_BEFORE_LIMIT}"}
    for name, value in options.items():
        if not OPTION.fullmatch(name) or name in OWN:
            raise RegbenchError(
                f"--slurm: expected an option of sbatch such as partition, time, mem or gpus, "
                f"received {name!a}"
            )
        found[name] = value
    if "time" not in found:
        raise RegbenchError(
            "--slurm: expected the time limit of a job, received none; say time=2h: a run that "
            "needs longer is stopped with a checkpoint and queued again"
        )
    with contextlib.suppress(ValueError):  # raised for a time in a form of SLURM's own
        found["time"] = str(-(-budget.seconds(found["time"]) // 60))
    return {**found, "requeue": True}


def requeue(job: str) -> None:
    """Put this running job back into the queue, which ends it."""
    _output("scontrol", "requeue", job)


def require() -> None:
    """Raise RegbenchError if SLURM or submitit is not installed."""
    import importlib.util

    if shutil.which("sbatch") is None:
        raise RegbenchError(INSTALL.format("SLURM", "run this on a login node of a cluster"))
    if importlib.util.find_spec("submitit") is None:
        install = "install it with: pip install 'regbench[slurm]'"
        raise RegbenchError(INSTALL.format("submitit", install))


def _output(*command: str) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise RegbenchError(f"--executor slurm: {failures.message(error)}") from error
    if done.returncode:
        raise RegbenchError(f"--executor slurm: {command[0]}: {_last_line(done.stderr)}")
    return str(done.stdout)


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no message"])[-1]
