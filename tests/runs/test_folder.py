"""The run folder while it is written: one writer, whole files, and no links followed."""

import errno
import os
import subprocess
import sys
import textwrap

import pytest

from regbench.errors import RunFailed
from regbench.runs.folder import RunBusy, RunFolder
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
