"""The run folder while it is written: one writer, whole files, and no links followed."""

import errno
import itertools
import os
import shutil
import subprocess
import sys
import textwrap

import pytest

from regbench import files
from regbench.errors import RunFailed
from regbench.runs import replacement
from regbench.runs.folder import RunBusy, RunFolder
from tests import made_up_runs
from tests.faults.victims import WritePoints
from tests.runs.test_loading import row, written


def test_starting_again_removes_what_was_there_the_sign_of_completion_first(tmp_path):
    folder = RunFolder(written(tmp_path))
    (folder.path / "model.keras").touch()
    (folder.path / ".model.tmp.keras").touch()
    folder.fail("earlier")
    folder.start("name: baseline\n", {})
    assert not folder.is_complete
    names = {path.name for path in folder.path.iterdir()} - {".lock"}
    assert names == {"config.yaml", "environment.json"}
    folder.append(row(0))
    assert len((folder.path / "history.csv").read_text().splitlines()) == 2


def test_resuming_keeps_rows_and_checkpoints_and_starting_over_does_not(tmp_path):
    folder = RunFolder(written(tmp_path))
    folder.checkpoints.mkdir()
    folder.start("name: baseline\n", {}, [row(0), row(1)])
    assert folder.checkpoints.exists()
    assert len((folder.path / "history.csv").read_text().splitlines()) == 3
    folder.append(row(2))
    assert len((folder.path / "history.csv").read_text().splitlines()) == 4
    folder.start("name: baseline\n", {})
    assert not folder.checkpoints.exists()
    assert not (folder.path / "history.csv").exists()


def test_a_link_in_place_of_the_checkpoints_is_removed_and_what_it_leads_to_is_not(tmp_path):
    (tmp_path / "precious").mkdir()
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    folder.checkpoints.symlink_to(tmp_path / "precious")
    folder.start("name: baseline\n", {})
    assert (tmp_path / "precious").exists()
    assert not folder.checkpoints.exists()


def test_a_link_in_place_of_the_lock_is_not_followed(tmp_path):
    """Locking truncates its file: a link to another would cost that one's content."""
    (tmp_path / "precious").write_text("mine")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".lock").symlink_to(tmp_path / "precious")
    with pytest.raises(OSError, match="symbolic links"), RunFolder(tmp_path / "run").lock():
        pass
    assert (tmp_path / "precious").read_text() == "mine"


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_refused_with_advice(tmp_path, monkeypatch, number):
    def no_locks(descriptor, operation):
        raise OSError(number, os.strerror(number))

    fcntl = pytest.importorskip("fcntl")
    monkeypatch.setattr(fcntl, "flock", no_locks)
    with pytest.raises(RunFailed, match=r"can lock files.*--results"), RunFolder(tmp_path).lock():
        pass


HOLD = """
    import sys
    from pathlib import Path
    from regbench.runs.folder import RunFolder
    with RunFolder(Path(sys.argv[1])).lock():
        print("held", flush=True)
        sys.stdin.read()
"""


def test_one_process_writes_and_a_dead_one_blocks_nobody(tmp_path):
    folder = RunFolder(tmp_path / "run")
    command = [sys.executable, "-c", textwrap.dedent(HOLD), str(folder.path)]
    other = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert other.stdout.readline().strip() == b"held"
    with pytest.raises(RunBusy, match="another process is training this run"), folder.lock():
        pass
    other.kill()
    other.communicate()
    with folder.lock():
        pass


@pytest.mark.parametrize("content", ["", "99\nanother-machine\n"])
def test_what_is_in_a_lock_file_locks_nothing(tmp_path, content):
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    (folder.path / ".lock").write_text(content)
    with folder.lock():
        pass


def finished(path, text):
    """Write a complete run whose every file holds the text, as one that is trained does."""
    folder = RunFolder(path)
    folder.start(text, {})
    folder.append(row(0))
    folder.finish(made_up_runs.summary(name=text))


def replace(path):
    """Do what restarting a run does with the run's folder."""
    with RunFolder(path).writing(restart=True) as folder:
        folder.start("new", {})
        folder.append(row(0))
        folder.finish(made_up_runs.summary(name="new"))


def told(path):
    return (path / "config.yaml").read_text(), RunFolder(path).summary().name


@pytest.mark.parametrize("at_once", [True, False])
def test_a_crash_while_a_run_is_replaced_leaves_the_old_or_the_new_one(
    tmp_path, monkeypatch, at_once
):
    """Whatever the next command is, it leaves one whole run and nothing beside it."""
    path = tmp_path / "run"
    if not at_once:
        monkeypatch.setattr(files, "_exchange", lambda one, other: False)
    for point in itertools.count(1):
        shutil.rmtree(tmp_path)
        finished(path, "old")
        points = WritePoints(point, crash, ("fsync", "replace", "mkdir", "unlink", "rmdir"))
        points.install()
        try:
            replace(path)
        except Crashed:
            pass
        else:
            break
        finally:
            points.remove()
        if at_once:
            assert told(path) in (("old", "old"), ("new", "new"))
        with RunFolder(path).writing() as folder:
            if not folder.is_complete:
                finished(folder.path, "new")
        assert told(path) == ("new", "new") or not RunFolder(path).is_being_replaced
        assert told(path) in (("old", "old"), ("new", "new"))
        assert [each.name for each in tmp_path.iterdir()] == ["run"]
        assert not (path / replacement.MARK).exists()
    assert point > 20
    assert told(path) == ("new", "new")


class Crashed(BaseException):
    """What a killed process does not come back from."""


def crash():
    raise Crashed


def test_a_run_that_is_replaced_is_locked_under_both_names(tmp_path):
    path = tmp_path / "run"
    finished(path, "old")
    with RunFolder(path).writing(restart=True) as folder:
        assert folder.path != path
        for name in (path, folder.path):
            with pytest.raises(RunBusy), RunFolder(name).lock():
                pass


def test_a_replacement_is_discarded_with_the_run_that_it_was_to_replace(tmp_path):
    path = tmp_path / "run"
    finished(path, "old")
    with RunFolder(path).writing(restart=True) as folder:
        folder.start("new", {})
    assert RunFolder(path).current.path == folder.path
    shutil.rmtree(path)
    assert RunFolder(path).current.path == path
    with RunFolder(path).writing() as folder:
        assert folder.path == path
    assert [each.name for each in tmp_path.iterdir()] == ["run"]


def test_a_failed_replacement_says_why_in_its_own_folder(tmp_path):
    path = tmp_path / "run"
    finished(path, "old")
    with RunFolder(path).writing(restart=True):
        pass
    RunFolder(path).current.fail("why")
    assert not RunFolder(path).has_failed
    assert RunFolder(path).current.has_failed


@pytest.mark.parametrize(
    "text", ["", "[]", "[" * 100_000, '{"status": 1', "{}", '{"status": "x", "gap": "1"}']
)
def test_a_summary_that_is_damaged_is_not_taken_for_a_finished_runs(tmp_path, text):
    (tmp_path / "summary.json").write_text(text)
    with pytest.raises(RunFailed, match=r"received a damaged file .*--force"):
        RunFolder(tmp_path).summary()
    assert not RunFolder(tmp_path).has_diverged


def test_a_link_in_place_of_a_run_folder_is_refused_and_what_it_leads_to_is_not_touched(tmp_path):
    other = tmp_path / "precious"
    finished(other, "mine")
    (other / "summary.json").unlink()
    before = sorted(each.name for each in other.iterdir())
    (tmp_path / "run").symlink_to(other)
    folder = RunFolder(tmp_path / "run")
    with pytest.raises(RunFailed, match="expected a folder, received a link"), folder.writing():
        pass
    with pytest.raises(RunFailed, match="expected a folder, received a link"):
        folder.fail("why")
    assert sorted(each.name for each in other.iterdir()) == before


@pytest.mark.parametrize("name", ["config.yaml", "history.csv"])
def test_a_run_whose_files_were_removed_meanwhile_is_not_complete(tmp_path, name):
    folder = RunFolder(tmp_path / "run")
    folder.start("name: baseline\n", {})
    folder.append(row(0))
    (folder.path / name).unlink()
    with pytest.raises(RunFailed, match=f"removed during the run: {name}; run it again"):
        folder.finish(made_up_runs.summary())
    assert not folder.is_complete


def test_a_run_folder_that_was_removed_meanwhile_does_not_come_back_with_its_checkpoint(tmp_path):
    folder = RunFolder(tmp_path / "results" / "run")
    with pytest.raises(FileNotFoundError) as caught:
        files.replace_folder(folder.checkpoints / "000001-000000000", lambda path: None)
    assert caught.value.filename == str(folder.path)
    folder.path.mkdir(parents=True)
    files.replace_folder(folder.checkpoints / "000001-000000000", lambda path: None)
    assert folder.checkpoints.is_dir()


def test_a_history_that_takes_long_to_write_is_written_now_and_then_and_at_the_end(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("regbench.runs.folder.COSTLY_SECONDS", -1.0)
    monkeypatch.setattr("regbench.runs.folder.PAUSE", 10**9)
    folder = RunFolder(tmp_path / "run")
    folder.start("name: baseline\n", {})
    for epoch in range(4):
        folder.append(row(epoch))
    lines = (folder.path / "history.csv").read_text().splitlines()
    assert len(lines) == 2
    folder.finish(made_up_runs.summary())
    assert len((folder.path / "history.csv").read_text().splitlines()) == 5
