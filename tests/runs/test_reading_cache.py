"""The cache of what was read: never seen, and never believed over the files."""

import json
import os
import shutil
import stat
import time

import pytest

from regbench import config, runs
from regbench.cli import main
from regbench.runs import bundle, loading, reading_cache
from regbench.runs.folder import RunFolder
from tests import made_up_runs
from tests.runs.test_loading import with_summary, written


@pytest.fixture(autouse=True)
def eager(monkeypatch, tmp_path_factory):
    """Cache few runs, and files that were written a moment ago; keep the key in this test."""
    monkeypatch.setattr(reading_cache, "FEWEST", 1)
    monkeypatch.setattr(reading_cache, "SETTLED", -(10**12))
    monkeypatch.setenv("REGBENCH_DATA", str(tmp_path_factory.mktemp("data")))


@pytest.fixture
def results(tmp_path):
    """Return a results folder of two runs of one config and one of another."""
    for name, seed in (("baseline", 0), ("baseline", 1), ("other", 0)):
        written(tmp_path / "results", name, seed)
    return tmp_path / "results"


@pytest.fixture
def read(monkeypatch):
    """Return the list of the run folders whose files are read."""
    folders, usual = [], loading._read

    def noted(folder):
        folders.append(folder.name)
        return usual(folder)

    monkeypatch.setattr(loading, "_read", noted)
    return folders


def loaded(results):
    warnings = []
    found = runs.load(results, warnings.append)
    return found, warnings


def fresh(results):
    """Read the results as if there had never been a cache."""
    shutil.rmtree(results / ".regbench-cache", ignore_errors=True)
    return loaded(results)


def same(one, other):
    (here, warned), (there, warned_too) = one, other
    return (
        here.frame.equals(there.frame)
        and list(here.frame.dtypes) == list(there.frame.dtypes)
        and json.dumps(here.configs) == json.dumps(there.configs)
        and here.environments == there.environments
        and warned == warned_too
    )


def cache_of(results):
    return results / ".regbench-cache" / "runs.bin"


def test_what_was_read_once_is_not_read_again_and_is_the_same(results, read):
    first = loaded(results)
    assert len(read) == 3
    second = loaded(results)
    assert len(read) == 3
    assert same(first, second)
    assert [run.name for run in second[0].runs] == ["baseline", "baseline", "other"]


def test_unfinished_failed_and_damaged_runs_are_told_again(results, read):
    (written(results, "unfinished") / "summary.json").unlink()
    RunFolder(results / "failed-00000000-s0").fail("MemoryError")
    (written(results, "damaged") / "history.csv").write_text("epoch\n")
    (written(results, "strange", epochs=3) / "config.yaml").write_text("name: 7\n")
    busy = written(results, "busy")
    (busy / "summary.json").unlink()
    with RunFolder(busy).lock():
        first, second = loaded(results), loaded(results)
    assert same(first, second)
    assert len(first[1]) == 4  # "strange" has the config of others, which was read there
    assert same(second, fresh(results)) is False  # no longer in progress
    assert same(loaded(results), fresh(results))


def test_a_config_that_can_not_be_trusted_is_told_again(tmp_path):
    (written(tmp_path) / "config.yaml").write_text("name: 7\n")
    first, second = loaded(tmp_path), loaded(tmp_path)
    assert same(first, second)
    assert "what the config changes is not shown" in second[1][0]


def test_a_config_is_parsed_once_and_again_when_its_file_changes(results, monkeypatch):
    parsed, usual = [], config.parse_stored

    def noted(text, source):
        parsed.append(source)
        return usual(text, source)

    monkeypatch.setattr(config, "parse_stored", noted)
    first = loaded(results)
    assert len(parsed) == 1
    assert same(first, loaded(results))
    assert len(parsed) == 1
    file = next(results.glob("baseline-*-s0")) / "config.yaml"
    before = file.stat()
    content = file.read_text()
    with file.open("r+") as opened:  # the inode stays
        opened.write(content.replace("epochs: 25", "epochs: 26", 1))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    changed, warned = loaded(results)
    assert len(parsed) == 3  # the changed one, and that of the next run in its place
    assert "what the config changes is not shown" in warned[0]
    assert same((changed, warned), fresh(results))


@pytest.mark.parametrize("times_put_back", [False, True])
@pytest.mark.parametrize("file", ["history.csv", "summary.json", "environment.json"])
def test_a_file_changed_in_place_is_read_again(results, read, file, times_put_back):
    loaded(results)
    path = next(results.glob("other-*")) / file
    before = path.stat()
    old, new = ("tensor", "vector") if file == "environment.json" else ("0.2", "0.3")
    for each in {path, path.with_name("summary.json"), path.with_name("history.csv")}:
        if old in each.read_text():
            with each.open("r+") as opened:  # the inode stays
                opened.write(each.read_text().replace(old, new))
    assert path.stat().st_size == before.st_size
    if times_put_back:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    read.clear()
    changed = loaded(results)
    assert read == [path.parent.name]
    assert same(changed, fresh(results))
    assert file == "environment.json" or 0.3 in set(changed[0].frame.test_loss)


def test_runs_that_come_go_and_finish_are_seen(results, read):
    finished = written(results, "busy")
    summary = (finished / "summary.json").read_text()
    (finished / "summary.json").unlink()
    loaded(results)
    shutil.rmtree(next(results.glob("other-*")))
    written(results, "new")
    (finished / "summary.json").write_text(summary)
    read.clear()
    found = loaded(results)
    assert sorted(name.partition("-")[0] for name in read) == ["busy", "new"]
    assert {run.name for run in found[0].runs} == {"baseline", "busy", "new"}
    assert same(found, fresh(results))
    RunFolder(finished).path.joinpath("summary.json").unlink()  # it is trained again
    assert "the run is not finished" in loaded(results)[1][0]


def test_files_that_changed_a_moment_ago_are_not_cached(results, read, monkeypatch):
    monkeypatch.setattr(reading_cache, "SETTLED", 10**10)
    loaded(results)
    loaded(results)
    assert len(read) == 6
    assert not cache_of(results).exists()


def test_few_runs_leave_their_folder_as_it_is(results, monkeypatch):
    monkeypatch.setattr(reading_cache, "FEWEST", 4)
    loaded(results)
    assert not (results / ".regbench-cache").exists()


def test_a_damaged_cache_is_ignored_and_written_again(results, read):
    first = loaded(results)
    whole = cache_of(results).read_bytes()
    contents = [whole[:length] for length in (0, 7, 40, 100, len(whole) - 8, len(whole) - 1)]
    places = (0, 33, 41, 60, len(whole) // 2, len(whole) - 3)
    contents += [whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :] for at in places]
    for content in [*contents, b"\0" * 1000, whole + b"\0" * 8]:
        cache_of(results).write_bytes(content)
        read.clear()
        assert same(loaded(results), first)
        assert len(read) == 3
        assert cache_of(results).read_bytes() == whole


def test_a_cache_that_somebody_else_wrote_is_ignored(results, read, monkeypatch, tmp_path):
    """A stranger's folder could say in its cache what its files do not."""
    monkeypatch.setenv("REGBENCH_DATA", str(tmp_path / "theirs"))
    loaded(results)
    read.clear()
    monkeypatch.setenv("REGBENCH_DATA", str(tmp_path / "mine"))
    loaded(results)
    assert len(read) == 3
    loaded(results)
    assert len(read) == 3
    key = tmp_path / "mine" / "reading" / "key"
    assert os.name == "nt" or stat.S_IMODE(key.stat().st_mode) == 0o600
    key.write_bytes(b"short")
    loaded(results)
    assert len(read) == 6
    assert len(key.read_bytes()) == 32


def test_a_cache_of_another_version_is_ignored(results, read, monkeypatch):
    first = loaded(results)
    monkeypatch.setattr(reading_cache, "VERSION", 0)
    loaded(results)
    monkeypatch.undo()
    assert same(first, loaded(results))
    assert len(read) == 6


def test_whatever_its_writer_has_signed_no_cache_ends_in_a_traceback(results):
    first = loaded(results)
    key = reading_cache._key()
    content = reading_cache._authentic(cache_of(results).parent, key)
    values = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    odd = [[], 7, {}, {"made_by": values["made_by"]}, values | {"runs": {"x": [1]}}]
    odd += [values | {"runs": []}, values | {"environments": [{"no": 1}]}]
    for each in odd:
        text = json.dumps(each).encode()
        packed = len(text).to_bytes(8, "little") + text
        reading_cache._write(cache_of(results).parent, packed, key)
        assert same(loaded(results), first)


def test_links_are_not_followed(results, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (results / ".regbench-cache").symlink_to(elsewhere, target_is_directory=True)
    assert loaded(results)[1] == []
    assert list(elsewhere.iterdir()) == []
    (results / ".regbench-cache").unlink()
    (results / ".regbench-cache").mkdir()
    target = elsewhere / "target"
    (results / ".regbench-cache" / ".runs.bin.tmp").symlink_to(target)
    (results / ".regbench-cache" / ".gitignore").symlink_to(target)
    loaded(results)
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("make", ["touch", "mkdir"])
def test_what_stands_in_the_way_of_the_cache_is_left_alone(results, make):
    getattr(results / ".regbench-cache", make)()
    if make == "mkdir":
        cache_of(results).mkdir()
    first, second = loaded(results), loaded(results)
    assert same(first, second)
    assert first[1] == []


@pytest.mark.skipif(os.name == "nt", reason="no permissions to take away")
def test_a_folder_that_can_not_be_written_is_read_without_a_word(results, tmp_path, monkeypatch):
    monkeypatch.chdir(results)
    monkeypatch.setenv("REGBENCH_DATA", "../data")
    assert len(fresh(results)[0]) == 3  # makes the key, and imports what only root may
    shutil.rmtree(results / ".regbench-cache")
    for path in (tmp_path, results, *results.rglob("*"), *(tmp_path / "data").rglob("*")):
        path.chmod(0o555)
    if os.geteuid() == 0:  # root writes everywhere
        os.seteuid(65534)
    try:
        assert reading_cache._key()
        found, warnings = loaded(".")
    finally:
        os.seteuid(os.getuid())
        for path in (tmp_path, results, *results.glob("*")):
            path.chmod(0o755)
    assert len(found) == 3
    assert warnings == []
    assert not (results / ".regbench-cache").exists()


def test_of_two_processes_one_writes_and_what_a_killed_one_left_is_replaced(results):
    loaded(results)
    cache = cache_of(results)
    whole = cache.read_bytes()
    cache.write_bytes(b"")
    other = cache.with_name(".runs.bin.tmp")
    other.write_bytes(b"half")
    loaded(results)
    assert other.read_bytes() == b"half"
    assert cache.read_bytes() == b""
    os.utime(other, (time.time() - 100, time.time() - 100))
    loaded(results)
    assert not other.exists()
    assert cache.read_bytes() == whole


def test_compare_prints_the_same_with_and_without_the_cache(tmp_path, read, capfd):
    results = tmp_path / "results"
    experiments = [config.load(f"configs/{name}.yaml") for name in ("baseline", "l2", "dropout")]
    for number, experiment in enumerate(experiments):
        for seed in range(3):
            changed = {"cpu": f"Processor {number * seed}"}
            made_up_runs.write_run(
                results, experiment.with_seed(seed), number, 5, probed=True, **changed
            )
    damaged = with_summary(next(results.glob("l2-*-s2")), test_accuracy=2.0)

    def printed():
        with pytest.raises(SystemExit) as ended:
            main(["compare", str(results), "--json"])
        assert not ended.value.code
        out, err = capfd.readouterr()
        return out, [line for line in err.splitlines() if line.startswith("Warning")]

    first, second = printed(), printed()
    assert read.count("baseline-44136fa3-s0") == 1
    shutil.rmtree(results / ".regbench-cache")
    assert first == second == printed()
    assert json.loads(first[0])
    assert damaged.name in first[1][0]
    assert "processors" in first[1][1]


def test_the_cache_is_in_no_bundle_and_version_control_leaves_it_out(results, tmp_path):
    loaded(results)
    assert (results / ".regbench-cache" / ".gitignore").read_text() == "*\n"
    bundle.write(results, tmp_path / "runs.zip")
    assert ".regbench-cache" not in {
        run.folder.parts[-2] for run in loaded(tmp_path / "runs.zip")[0]
    }
    assert b"regbench-cache" not in (tmp_path / "runs.zip").read_bytes()


def test_a_key_in_the_current_folder_is_not_believed(results, tmp_path, monkeypatch):
    """Whose home is unknown has no cache folder: `~` would be a folder beside the results."""
    monkeypatch.delenv("REGBENCH_DATA")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)
    monkeypatch.chdir(tmp_path)
    planted = tmp_path / "~" / ".cache" / "regbench" / "reading" / "key"
    planted.parent.mkdir(parents=True)
    planted.write_bytes(bytes(reading_cache.KEY_BYTES))
    assert reading_cache._key() is None
    found, warnings = loaded(results)
    assert (len(found) > 0, warnings) == (True, [])
    assert not cache_of(results).exists()
