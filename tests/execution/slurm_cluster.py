"""A SLURM of one node on this machine, in a folder of its own, for the tests: start and stop.

    python tests/execution/slurm_cluster.py start FOLDER
    python tests/execution/slurm_cluster.py stop FOLDER

Needs Debian's packages slurm-wlm and munge, and root. `SLURM_CONF=FOLDER/slurm.conf` leads SLURM's
commands to it; no service of the system is touched.
"""

from __future__ import annotations

import contextlib
import os
import platform
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch")
SECONDS_TO_START = 120
CONFIG = """
ClusterName=regbench
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
CryptoType=crypto/munge
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=2,batch_sched_delay=0
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
SlurmdTimeout=300
MessageTimeout=60
KillWait=30
MinJobAge=30
JobRequeue=1
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} State=UNKNOWN
PartitionName=test Nodes={host} Default=YES MaxTime=60 State=UP
"""


def missing() -> str | None:
    """Return why no SLURM can be started here; None if one can."""
    lacking = [each for each in PROGRAMS if not find(each)]
    if lacking:
        return f"not installed: {', '.join(lacking)} (apt-get install slurm-wlm munge)"
    return None if os.geteuid() == 0 else "SLURM's daemons need root"


def find(program: str) -> str | None:
    return shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")


def start(folder: Path, cores: int = 2) -> dict[str, str]:
    """Start the daemons; return the variables with which SLURM's commands find them."""
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True)
    folder.chmod(0o755)
    key = folder / "munge.key"
    key.write_bytes(secrets.token_bytes(128))
    key.chmod(0o400)
    host = platform.node().partition(".")[0]
    text = CONFIG.format(host=host, folder=folder, ports=free_ports(2), cores=cores)
    (folder / "slurm.conf").write_text(text)
    (folder / "cgroup.conf").write_text("CgroupAutomount=no\n")
    variables = {"SLURM_CONF": str(folder / "slurm.conf")}
    begin(folder, "munged", "--foreground", "--force", f"--key-file={key}",
          f"--socket={folder}/munge.socket", f"--pid-file={folder}/munged.pid.own",
          f"--log-file={folder}/munged.log", f"--seed-file={folder}/munge.seed")  # fmt: skip
    wait_for(lambda: (folder / "munge.socket").exists(), folder)
    begin(folder, "slurmctld", "-D", variables=variables)
    begin(folder, "slurmd", "-D", "-N", host, variables=variables)
    wait_for(lambda: "idle" in states(variables), folder)
    return variables


def begin(folder: Path, program: str, *options: str, variables: dict[str, str] | None = None):
    with (folder / f"{program}.out").open("wb") as output:
        process = subprocess.Popen(
            [str(find(program)), *options],
            env=os.environ | (variables or {}),
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    with (folder / "pids").open("a") as file:
        file.write(f"{process.pid}\n")


def states(variables: dict[str, str]) -> str:
    done = subprocess.run(
        ["sinfo", "-h", "-o", "%T"], env=os.environ | variables, capture_output=True, text=True
    )
    return done.stdout


def wait_for(condition, folder: Path) -> None:
    deadline = time.monotonic() + SECONDS_TO_START
    while not condition():
        if time.monotonic() > deadline:
            stop(folder)
            raise TimeoutError(f"SLURM did not start; see the logs in {folder}")
        time.sleep(0.2)


def stop(folder: Path) -> None:
    """Cancel every job and end the daemons, the last one first."""
    variables = os.environ | {"SLURM_CONF": str(folder / "slurm.conf")}
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        subprocess.run(["scancel", "--me"], env=variables, timeout=60, capture_output=True)
        for _ in range(60):
            asked = subprocess.run(
                ["squeue", "-h"], env=variables, timeout=60, capture_output=True, text=True
            )
            if not asked.stdout.strip():
                break
            time.sleep(1)
    pids = [int(each) for each in (folder / "pids").read_text().split()]
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in reversed(pids):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        for _ in range(50):
            if not any(Path(f"/proc/{pid}/cmdline").exists() for pid in pids):
                return
            with contextlib.suppress(ChildProcessError):
                os.waitpid(-1, os.WNOHANG)
            time.sleep(0.2)


def free_ports(count: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in held]
    for each in held:
        each.close()
    return ports


if __name__ == "__main__":
    {"start": start, "stop": stop}[sys.argv[1]](Path(sys.argv[2]).resolve())
