"""Worker processes: events, failures, deaths and endings, without Keras."""

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from regbench.execution import local as executor
from regbench.execution import signals
from regbench.execution.local import local


def double(number, emit):
    emit("half", {"number": number})
    return 2 * number


def fail_on_two(number, emit):
    if number == 2:
        raise ValueError("two is not welcome")
    return number


def die_on_two(number, emit):
    if number == 2:
        os.write(2, b"last words\n")
        os.kill(os.getpid(), signal.SIGKILL)
    return os.getpid()


def die_once(path, emit):
    if path.name == "0" and not path.exists():
        path.write_text(str(os.getpid()))
        os.kill(os.getpid(), signal.SIGKILL)
    return os.getpid()


def process_and_variable(_, emit):
    return os.getpid(), os.environ["REGBENCH_TEST"]


def write_pid_and_sleep(path, emit):
    Path(path).write_text(str(os.getpid()))
    emit("asleep", {})
    time.sleep(60)


def work_until_stopped(path, emit):
    Path(path).write_text(str(os.getpid()))
    while not signals.stop_requested():
        emit("asleep", {"much": "x" * 10_000})  # more than a pipe holds, if nobody reads it
        time.sleep(0.001)
    Path(path).write_text("stopped in order")
    raise signals.Stopped("stopped")


def stop_itself(number, emit):
    if number == 1:
        os.kill(os.getpid(), signal.SIGTERM)
        if signals.stop_requested():
            raise signals.Stopped("stopped at step 1")
    return signals.stop_requested()


def results(function, jobs, workers=2, variables=None):
    events = list(local(function, jobs, workers, variables or {}))
    return {event.job: event for event in events if event.kind in ("done", "failed")}, events


def test_every_job_is_started_emits_and_ends_once():
    ended, events = results(double, [1, 2, 3])
    assert [ended[job].result for job in range(3)] == [2, 4, 6]
    for job in range(3):
        kinds = [event.kind for event in events if event.job == job]
        assert kinds == ["started", "half", "done"]


def test_a_worker_serves_job_after_job_with_its_variables_set():
    ended, _ = results(process_and_variable, list(range(4)), 1, {"REGBENCH_TEST": "yes"})
    assert {event.result for event in ended.values()} == {(ended[0].result[0], "yes")}
    assert ended[0].result[0] != os.getpid()


def imported_and_process(name, emit):
    return name in sys.modules, os.getpid()


def test_workers_started_ahead_import_and_serve_the_first_jobs_with_their_variables():
    with executor.started(1, {"REGBENCH_TEST": "yes"}, ["no.such.module"]):
        pass
    assert not executor._ahead
    with executor.started(1, {"REGBENCH_TEST": "yes"}, ["tabnanny", "no.such.module"]):
        (worker,) = executor._ahead
        pid = worker._process.pid
        other, _ = results(imported_and_process, ["tabnanny"], 1, {"REGBENCH_TEST": "no"})
        taken, _ = results(imported_and_process, ["tabnanny"], 1, {"REGBENCH_TEST": "yes"})
    assert taken[0].result == (True, pid)
    assert other[0].result[0] is False
    assert_ended([pid])


def test_workers_started_ahead_that_nobody_takes_are_ended():
    ahead = executor.started(2, {}, ["tabnanny"])
    with contextlib.suppress(KeyError), ahead:
        pids = [worker._process.pid for worker in executor._ahead]
        raise KeyError
    assert len(pids) == 2
    assert_ended(pids)
    assert not executor._ahead


def test_an_exception_fails_its_job_alone():
    ended, _ = results(fail_on_two, [1, 2, 3])
    assert [ended[job].kind for job in range(3)] == ["done", "failed", "done"]
    failure = ended[1].failure
    assert (failure.error, failure.message) == ("ValueError", "ValueError: two is not welcome")
    assert "fail_on_two" in failure.details


def test_a_job_whose_worker_dies_is_repeated_on_a_fresh_one(tmp_path):
    ended, events = results(die_once, [tmp_path / "0", tmp_path / "1"], workers=1)
    assert [ended[job].kind for job in range(2)] == ["done", "done"]
    assert str(ended[0].result) != (tmp_path / "0").read_text()
    (repeated,) = (event for event in events if event.kind == "repeated")
    assert repeated.job == 0
    assert "its worker died: signal SIGKILL" in repeated.figures["text"]
    assert repeated.figures["text"].endswith("restarting, retry 1 of 2")


def test_a_job_that_kills_every_worker_fails_alone_after_a_few():
    ended, events = results(die_on_two, [2, 1, 3], workers=1)
    kinds = [event.kind for event in events if event.job == 0]
    assert kinds == [*["started", "repeated"] * executor.REPEATS, "started", "failed"]
    assert [ended[job].kind for job in range(3)] == ["failed", "done", "done"]
    failure = ended[0].failure
    assert "SIGKILL" in failure.message
    assert "last words" in failure.details


def started(function, jobs, **options):
    """Return the events of two jobs that have begun to work, and their processes."""
    events = local(function, jobs, 2, {}, **options)
    asleep = set()
    while len(asleep) < 2:
        event = next(events)
        asleep |= {event.job} if event.kind == "asleep" else set()
    return events, [int(path.read_text()) for path in jobs]


def assert_ended(pids):
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_closing_the_iterator_lets_every_worker_stop_in_order(tmp_path):
    jobs = [tmp_path / "0", tmp_path / "1"]
    events, pids = started(work_until_stopped, jobs)
    events.close()
    assert [path.read_text() for path in jobs] == ["stopped in order"] * 2
    assert_ended(pids)


def test_a_worker_that_does_not_stop_in_time_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr(executor, "SECONDS_TO_STOP", 0.2)
    events, pids = started(write_pid_and_sleep, [tmp_path / "0", tmp_path / "1"])
    began = time.monotonic()
    events.close()
    assert time.monotonic() - began < 10
    assert_ended(pids)


def test_jobs_of_which_nothing_is_lost_are_not_waited_for(tmp_path):
    events, pids = started(write_pid_and_sleep, [tmp_path / "0", tmp_path / "1"], patience=0.0)
    began = time.monotonic()
    events.close()
    assert time.monotonic() - began < 10
    assert_ended(pids)


def test_a_second_interruption_ends_every_worker_at_once(tmp_path, monkeypatch):
    events, pids = started(write_pid_and_sleep, [tmp_path / "0", tmp_path / "1"])

    def interrupt(worker, deadline):
        raise KeyboardInterrupt

    monkeypatch.setattr(executor.Worker, "wait_until", interrupt)
    with pytest.raises(KeyboardInterrupt):
        events.close()
    assert_ended(pids)


def test_a_worker_that_was_asked_to_stop_fails_that_job_alone():
    ended, _ = results(stop_itself, [1, 2], workers=1)
    assert ended[0].failure.error == "Stopped"
    assert ended[0].failure.message == "stopped at step 1"
    assert ended[1].result is False


ORPHAN = """
    import sys
    from pathlib import Path
    from regbench.execution.local import local
    from tests.execution.test_local import write_pid_and_sleep
    if __name__ == "__main__":
        for event in local(write_pid_and_sleep, [Path(sys.argv[1])], 1, {}):
            print(event.kind, flush=True)
"""


def test_workers_end_with_their_parent_even_if_it_was_killed(tmp_path):
    script = tmp_path / "orphan.py"
    script.write_text(textwrap.dedent(ORPHAN))
    command = [sys.executable, str(script), str(tmp_path / "pid")]
    environment = os.environ | {"PYTHONPATH": str(Path.cwd()), "TMPDIR": str(tmp_path)}
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    while parent.stdout.readline().strip() != "asleep":
        pass
    assert not list(tmp_path.glob("regbench-worker-*"))  # no name that could be left behind
    parent.kill()
    parent.wait()  # not communicate(), which also waits for a worker that holds the pipe
    parent.stdout.close()
    pid = int((tmp_path / "pid").read_text())
    for _ in range(100):
        if not is_running(pid):
            return
        time.sleep(0.05)
    os.kill(pid, signal.SIGKILL)
    pytest.fail("the worker outlived its parent")


def is_running(pid):
    try:  # a process that nobody has waited for is dead all the same
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(
    ("waiting", "busy", "seconds"),
    [
        ([], [], 0),
        ([], [3.0, 7.0], 7),
        ([5.0, 5.0], [0.0, 0.0], 5),
        ([5.0, 1.0, 1.0, 1.0], [0.0, 0.0], 5),
        ([1.0, 1.0, 5.0], [0.0, 4.0], 7),  # one worker does all while the other is busy
    ],
)
def test_jobs_go_to_the_first_worker_that_is_free(waiting, busy, seconds):
    assert executor.makespan(waiting, busy) == seconds


def test_no_jobs_need_no_worker():
    assert list(local(double, [], 2, {})) == []


HOSTILE = """
    from pathlib import Path
    Path(__file__).with_name("hacked").touch()
"""
SCRIPT = """
    from regbench.execution.local import local
    from tests.execution.test_local import double
    if __name__ == "__main__":
        print([event.result for event in local(double, [4], 1, {}) if event.kind == "done"])
"""


def test_a_worker_imports_nothing_from_the_current_folder(tmp_path):
    """The script lies elsewhere, as the command `regbench` does."""
    script = tmp_path / "bin" / "script.py"
    stranger = tmp_path / "stranger"
    for folder in (script.parent, stranger):
        folder.mkdir()
    script.write_text(textwrap.dedent(SCRIPT))
    for module in ("socket", "pickle", "selectors", "signal", "tempfile", "threading"):
        (stranger / f"{module}.py").write_text(textwrap.dedent(HOSTILE))
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=stranger,
        env=os.environ | {"PYTHONPATH": str(Path.cwd())},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.stdout, done.stderr) == ("[8]\n", "")
    assert not (stranger / "hacked").exists()


def test_a_worker_imports_from_the_current_folder_what_its_caller_does(tmp_path):
    (tmp_path / "mine.py").write_text("def triple(number, emit):\n    return 3 * number\n")
    program = textwrap.dedent(SCRIPT).replace("tests.execution.test_local", "mine")
    (tmp_path / "script.py").write_text(program.replace("double", "triple"))
    done = subprocess.run(
        [sys.executable, "script.py"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path.cwd())},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == "[12]\n"


def test_a_sweep_leaves_the_environment_of_its_caller_as_it_was(monkeypatch):
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    results(double, [1], 1)
    assert "PYTHONSAFEPATH" not in os.environ
    monkeypatch.setenv("PYTHONSAFEPATH", "0")
    results(double, [1], 1)
    assert os.environ["PYTHONSAFEPATH"] == "0"


UNGUARDED = """
    import sys
    from pathlib import Path
    from regbench import config
    from regbench.sweeps import sweep
    print("met", flush=True)
    sweep.run([config.load("configs/smoke.yaml")], sys.argv[1])
    print("trained", flush=True)
"""


def test_a_script_without_its_main_guard_is_told_in_one_line_with_exit_code_2(tmp_path):
    script = tmp_path / "unguarded.py"
    script.write_text(textwrap.dedent(UNGUARDED))
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "results")],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path.cwd())},
        timeout=120,
    )
    assert done.returncode == 2
    assert done.stderr == (
        'Error: unguarded.py: call regbench under if __name__ == "__main__":, since its worker '
        "processes import the script that starts them\n"
    )
    assert done.stdout == "met\nmet\n"  # by the script and by the one worker
    assert not (tmp_path / "results").exists()
