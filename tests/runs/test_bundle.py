"""Bundles: runs in one file read as they do in folders; a hostile or damaged one is refused."""

import hashlib
import json
import os
import shutil
import stat
import struct
import time
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from regbench import config, runs
from regbench.analysis import compare, metrics
from regbench.errors import RegbenchError, RunFailed
from regbench.report import provenance
from regbench.runs import archive, bundle, predictions, probe_results, storage
from regbench.runs.files import HISTORY
from regbench.runs.folder import RunFolder
from tests import made_up_runs

EXAMPLES = 100


def experiments():
    baseline = config.load("configs/baseline.yaml")
    return [baseline, config.load("configs/dropout.yaml")]


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """Two configs with two seeds, with predictions, models, and what a bundle does not take."""
    results = tmp_path_factory.mktemp("original") / "results"
    made_up_runs.write(results, experiments(), seeds=2, epochs=3)
    for number, run in enumerate(sorted(results.iterdir())):
        predict(run, right=50 + 5 * number)
        (run / "model.keras").write_bytes(bytes(range(256)) * 40)
        (run / ".history.tmp.csv").write_text("left by a crash")
    inner = run / "checkpoint" / "000001-000000000"
    inner.mkdir(parents=True)
    (inner / "arrays.npz").write_bytes(b"\0" * 1000)
    return results


def predict(run, right):
    """Give a run predictions, and the test accuracy that they have."""
    summary = json.loads((run / "summary.json").read_text())
    summary["test_accuracy"] = right / EXAMPLES
    (run / "summary.json").write_text(json.dumps(summary))
    lines = (run / "history.csv").read_text().splitlines()
    cells = lines[-1].split(",")
    cells[HISTORY.index("test_accuracy")] = repr(right / EXAMPLES)
    (run / "history.csv").write_text("\n".join([*lines[:-1], ",".join(cells)]) + "\n")
    wrong = (np.arange(EXAMPLES) >= right).astype(np.int64)
    predictions.write(run / "predictions.csv", np.zeros(EXAMPLES, np.int64), wrong)


@pytest.fixture
def results(original, tmp_path):
    shutil.copytree(original, tmp_path / "results")
    return tmp_path / "results"


@pytest.fixture
def bundled(results, tmp_path):
    """The path of a bundle of all runs."""
    bundle.write(results, tmp_path / "all.zip")
    return tmp_path / "all.zip"


@pytest.fixture(scope="module")
def small(original, tmp_path_factory):
    """A bundle of one run without a model, a few kilobytes."""
    path = tmp_path_factory.mktemp("small") / "small.zip"
    bundle.write(sorted(original.iterdir())[0], path, models=False)
    return path


def contents(folder):
    """Return every file of a folder that a bundle takes, by its path."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in files
        if not path.name.startswith(".")
    }


def loaded(path):
    warnings = []
    return runs.load(path, warnings.append), warnings


def refused(path):
    """Return the one line with which a file is refused."""
    with pytest.raises(RegbenchError) as caught:
        runs.load(path)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1000
    return str(caught.value)


# Writing


def test_the_same_runs_give_the_same_bytes_wherever_and_whenever(results, tmp_path):
    bundle.write(results, tmp_path / "first.zip")
    copy = tmp_path / "elsewhere" / "copied"
    for run in sorted(results.iterdir(), reverse=True):
        shutil.copytree(run, copy / run.name)
    for path in copy.rglob("*"):
        os.utime(path, (10**9, 10**9))
        path.chmod(0o700 if path.is_dir() else 0o600)
    bundle.write(str(copy), str(tmp_path / "second.zip"))
    bundle.write(sorted(results.iterdir(), reverse=True), tmp_path / "third.zip")
    bundle.write(tmp_path / "first.zip", tmp_path / "fourth.zip")
    digests = {
        hashlib.sha256((tmp_path / f"{name}.zip").read_bytes()).hexdigest()
        for name in ("first", "second", "third", "fourth")
    }
    assert len(digests) == 1


def test_members_tell_nothing_of_the_machine_that_wrote_them(bundled):
    with zipfile.ZipFile(bundled) as file:
        infos = file.infolist()
    assert {info.date_time for info in infos} == {(1980, 1, 1, 0, 0, 0)}
    assert {info.external_attr >> 16 for info in infos} == {stat.S_IFREG | 0o644}
    assert {info.create_system for info in infos} == {3}
    assert [info.filename for info in infos[:-1]] == sorted(info.filename for info in infos[:-1])
    assert infos[-1].filename == "index.json"


def test_the_index_names_runs_and_files_with_sizes_and_checksums(results, bundled):
    with zipfile.ZipFile(bundled) as file:
        index = json.loads(file.read("index.json"))
    assert (index["version"], index["left_out"]) == (1, [])
    listed = {
        f"{run['run']}/{name}": (told["bytes"], told["sha256"])
        for run in index["runs"]
        for name, told in run["files"].items()
    }
    assert listed == {
        name: (len(content), hashlib.sha256(content).hexdigest())
        for name, content in contents(results).items()
    }
    first = index["runs"][0]
    assert first["run"] == f"{first['name']}-{first['config_hash']}-s{first['seed']}"


def test_models_can_be_left_out_and_the_index_says_so(results, tmp_path):
    with_models = bundle.write(results, tmp_path / "whole.zip")
    without = bundle.write(results, tmp_path / "small.zip", models=False)
    assert with_models.files - without.files == 5  # four models and the file of a checkpoint
    for path in (tmp_path / "small.zip", tmp_path / "again.zip"):
        with zipfile.ZipFile(path if path.exists() else bundled_again(tmp_path)) as file:
            assert not [name for name in file.namelist() if "model" in name or "check" in name]
            assert json.loads(file.read("index.json"))["left_out"] == ["checkpoint", "model.keras"]


def bundled_again(folder):
    bundle.write(folder / "small.zip", folder / "again.zip")
    return folder / "again.zip"


def test_unfinished_and_damaged_runs_are_left_out_with_a_warning(results, tmp_path):
    first, second, *rest = sorted(results.iterdir())
    (first / "summary.json").unlink()
    (second / "history.csv").write_text("")
    warnings = []
    made = bundle.write(results, tmp_path / "some.zip", warn=warnings.append)
    assert made.runs == 2
    assert "not finished" in warnings[0]
    assert "history.csv is damaged" in warnings[1]
    assert set(loaded(tmp_path / "some.zip")[0].run) == {run.name for run in rest}


def test_no_finished_run_is_an_error_and_no_file(tmp_path):
    (tmp_path / "results").mkdir()
    with pytest.raises(RegbenchError, match="expected finished runs, received none"):
        bundle.write(tmp_path / "results", tmp_path / "none.zip")
    assert not (tmp_path / "none.zip").exists()


def test_a_run_that_is_given_twice_is_there_once(results, bundled, tmp_path):
    made = bundle.write([results, bundled], tmp_path / "both.zip")
    assert made.runs == 4
    assert (tmp_path / "both.zip").read_bytes() == bundled.read_bytes()


def test_two_runs_of_one_name_that_differ_are_an_error(results, bundled, tmp_path):
    environment = sorted(results.iterdir())[2] / "environment.json"
    environment.write_text(environment.read_text().replace("A processor", "Another processor"))
    with pytest.raises(RegbenchError, match="expected another name than that of"):
        bundle.write([results, bundled], tmp_path / "both.zip")
    assert not (tmp_path / "both.zip").exists()


@pytest.mark.parametrize("name", ["-rf", "a b", "\x1b[2J", "é"])
def test_a_file_with_a_name_that_no_run_has_is_an_error_of_one_line(results, tmp_path, name):
    (sorted(results.iterdir())[0] / name).touch()
    with pytest.raises(RegbenchError, match="can't be bundled: expected a name of at most") as it:
        bundle.write(results, tmp_path / "odd.zip")
    assert str(it.value).isprintable()


def test_a_link_in_a_run_is_not_followed(results, tmp_path):
    (tmp_path / "secret").write_text("secret")
    (sorted(results.iterdir())[0] / "notes").symlink_to(tmp_path / "secret")
    with pytest.raises(RegbenchError, match="notes: expected a file or a folder, received a link"):
        bundle.write(results, tmp_path / "odd.zip")


def test_writing_that_fails_leaves_the_bundle_that_was_there(results, bundled, tmp_path):
    before = bundled.read_bytes()
    (sorted(results.iterdir())[3] / "a b").touch()
    with pytest.raises(RegbenchError):
        bundle.write(results, bundled)
    assert bundled.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["all.zip", "results"]


def test_a_bundle_that_nobody_could_read_is_not_written(results, tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "MIN_BOMB_BYTES", 1)
    monkeypatch.setattr(archive, "MAX_RATIO", 1)
    with pytest.raises(RegbenchError, match="a bomb"):
        bundle.write(results, tmp_path / "bomb.zip")
    assert not (tmp_path / "bomb.zip").exists()


# Reading


def test_a_bundle_reads_as_the_folders_do(results, bundled):
    folders, warnings = loaded(results)
    inside, others = loaded(bundled)
    assert warnings == others == []
    assert inside.drop(columns="results").equals(folders.drop(columns="results"))
    assert inside.configs == folders.configs
    assert set(inside.results) == {str(bundled)}
    asked = ["weight_norm", "calibration_error", "dropout_ensemble_gain"]
    expected = metrics.table(folders, asked).drop(columns="results")
    assert metrics.table(inside, asked).drop(columns="results").equals(expected)
    assert expected["weight_norm"].notna().all()
    assert provenance.of(inside) == provenance.of(folders)
    rows = compare.compare(inside)
    assert rows == compare.compare(folders)
    assert [len(row.mcnemar) for row in rows[1:]] == [2]
    for run in results.iterdir():
        found = probe_results.read(bundled / run.name)
        assert found == probe_results.read(run)
        assert found is not None
        stored = predictions.read(bundled / run.name)
        assert np.array_equal(stored, predictions.read(run))


def test_what_a_run_lacks_in_a_folder_it_lacks_in_a_bundle(results, tmp_path):
    for run in results.iterdir():
        (run / "predictions.csv").unlink()
        (run / "probes.json").unlink()
        (run / "environment.json").unlink()
    bundle.write(results, tmp_path / "less.zip")
    run = tmp_path / "less.zip" / sorted(results.iterdir())[0].name
    assert predictions.read(run) is None
    assert probe_results.read(run) is None
    warnings = []
    provenance.of(loaded(tmp_path / "less.zip")[0], warnings.append)
    assert len(warnings) == 4


def test_one_run_of_a_bundle_has_a_path_of_its_own(results, bundled):
    run = sorted(results.iterdir())[1].name
    frame, warnings = loaded([bundled / run])
    assert set(frame.run) == {run}
    assert warnings == []
    with pytest.raises(RegbenchError, match="no such folder"):
        runs.load(bundled / "another-44136fa3-s0")


def test_a_results_folders_own_bundle_is_part_of_it_and_no_other_is(results, bundled):
    whole = loaded(results)[0]
    runs_zip = results / "runs.zip"
    shutil.copy(bundled, runs_zip)
    shutil.copy(bundled, results / "backup.zip")
    begun, finished, *rest = sorted(run for run in results.iterdir() if run.is_dir())
    for run in rest:
        shutil.rmtree(run)
    (begun / "summary.json").unlink()
    frame, (warning,) = loaded(results)
    assert "not finished" in warning
    # A run that was begun in the folder is newer than that in the bundle.
    assert dict.fromkeys(frame.run) == dict.fromkeys([finished.name, *(run.name for run in rest)])
    assert set(frame.results) == {str(results), str(runs_zip)}
    shutil.rmtree(begun)
    shutil.rmtree(finished)
    alone = loaded(results)[0]
    assert alone.drop(columns="results").equals(whole.drop(columns="results"))
    # As a results folder in a results folder, it is left to its own comparison.
    (results.parent / "all.zip").unlink()
    frame, warnings = loaded(results.parent)
    assert (len(frame), warnings) == (0, [])


def test_a_finished_run_is_found_in_the_folder_or_its_bundle(results, bundled):
    done = experiments()[0]
    folder = RunFolder.of(results, done)
    shutil.copy(bundled, results / "runs.zip")
    assert storage.find(results, done.run_name) == folder.path
    shutil.rmtree(folder.path)
    assert storage.find(results, done.run_name) == results / "runs.zip" / done.run_name
    assert folder.is_complete
    assert not folder.has_diverged
    with folder.lock():  # one that is interrupted at once
        folder.start(config.dump(done), {})
    assert storage.find(results, done.run_name) is None
    assert not folder.is_complete
    assert storage.find(bundled, done.run_name) == bundled / done.run_name
    assert storage.find(bundled, "another-44136fa3-s0") is None


def test_a_bundle_that_is_replaced_is_read_again(results, bundled):
    assert loaded(bundled)[0]["run"].nunique() == 4
    bundle.write(sorted(results.iterdir())[0], bundled)
    assert loaded(bundled)[0]["run"].nunique() == 1


def test_a_bundle_that_changes_while_it_is_read_is_not_believed(results, bundled):
    opened = archive.open_archive(bundled)
    run = sorted(results.iterdir())[0]
    bundle.write(run, bundled)
    with pytest.raises(ValueError, match="changed while it was read"):
        opened.read(run.name, "summary.json", 2**20)


def test_sixty_runs_of_twenty_epochs_are_read_well_below_two_seconds(tmp_path):
    made_up_runs.write(tmp_path / "results", made_up_runs.twenty(), seeds=3, epochs=20)
    bundle.write(tmp_path / "results", tmp_path / "runs.zip")
    begin = time.perf_counter()
    frame = runs.load(tmp_path / "runs.zip")
    metrics.table(frame, ["weight_norm"])
    assert time.perf_counter() - begin < 2  # 0.2 alone; tests share the machine
    assert len(frame.frame) == 60 * 21


# Extracting


def test_a_round_trip_gives_every_byte_back(results, bundled, tmp_path):
    found = bundle.extract(bundled, tmp_path / "deep" / "back")
    assert [path.name for path in found.written] == sorted(run.name for run in results.iterdir())
    assert found.unchanged == []
    assert contents(tmp_path / "deep" / "back") == contents(results)
    assert list((tmp_path / "deep" / "back").rglob(".*")) == []
    bundle.write(tmp_path / "deep" / "back", tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == bundled.read_bytes()


def test_what_is_there_already_is_left_and_what_is_missing_is_added(results, bundled):
    before = contents(results)
    first, second, *_ = sorted(results.iterdir())
    (first / "model.keras").unlink()
    (first / "own.txt").write_text("a note")
    shutil.rmtree(second)
    times = {path: path.stat().st_mtime_ns for path in results.rglob("summary.json")}
    found = bundle.extract(str(bundled), str(results))
    assert found.written == [first, second]
    assert len(found.unchanged) == 2
    assert contents(results) == before | {f"{first.name}/own.txt": b"a note"}
    assert times == {path: path.stat().st_mtime_ns for path in times}


@pytest.mark.parametrize(
    "spoil", ["a file", "a folder", "a link", "a run that is a link", "a pipe"]
)
def test_nothing_is_overwritten_no_link_followed_and_nothing_written_then(
    results, bundled, tmp_path, spoil
):
    *_, run = sorted(results.iterdir())  # the last: nothing in front of it may be written
    for each in results.iterdir():
        (each / "model.keras").unlink()
    target = run / "model.keras"
    if spoil == "a file":
        target.write_text("mine")
    elif spoil == "a folder":
        target.mkdir()
    elif spoil == "a link":
        target.symlink_to(tmp_path / "elsewhere")
    elif spoil == "a pipe":
        os.mkfifo(target)
    else:
        run.rename(tmp_path / "elsewhere")
        run.symlink_to(tmp_path / "elsewhere")
    before = contents(tmp_path)
    with pytest.raises(RegbenchError, match="nothing was written"):
        bundle.extract(bundled, results)
    assert contents(tmp_path) == before


def test_a_link_to_the_same_content_is_not_taken_for_the_file(results, bundled, tmp_path):
    model = sorted(results.iterdir())[0] / "model.keras"
    model.rename(tmp_path / "elsewhere")
    model.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RegbenchError, match="a link; nothing was written"):
        bundle.extract(bundled, results)


def test_a_link_in_place_of_an_inner_folder_is_not_followed(results, bundled, tmp_path):
    *_, run = sorted(results.iterdir())
    shutil.rmtree(run / "checkpoint")
    (tmp_path / "elsewhere").mkdir()
    (run / "checkpoint").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RegbenchError, match="checkpoint: expected nothing"):
        bundle.extract(bundled, results)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_link_planted_under_the_temporary_name_is_not_followed(results, bundled, tmp_path):
    run = sorted(results.iterdir())[0].name
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "back").mkdir()
    (tmp_path / "back" / f".{run}.tmp").symlink_to(tmp_path / "elsewhere")
    bundle.extract(bundled, tmp_path / "back")
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert contents(tmp_path / "back") == contents(results)


def test_a_folder_that_could_not_be_finished_does_not_appear(bundled, tmp_path, monkeypatch):
    def full(path, content):
        if path.name.startswith(".summary"):
            raise OSError(28, "No space left on device")
        return written(path, content)

    written = Path.write_bytes
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        bundle.extract(bundled, tmp_path / "back")
    assert list((tmp_path / "back").iterdir()) == []


def test_a_folder_in_which_a_run_is_training_is_left_alone(results, bundled):
    run = sorted(results.iterdir())[0]
    (run / "model.keras").unlink()
    with RunFolder(run).lock(), pytest.raises(RunFailed, match="another process is training"):
        bundle.extract(bundled, results)
    assert not (run / "model.keras").exists()


def test_a_damaged_bundle_is_not_extracted_in_part(bundled, tmp_path):
    rewrite(bundled, change={"dropout": (b'"penalty"', b'"pemalty"')})
    with pytest.raises(RegbenchError, match="damaged"):
        bundle.extract(bundled, tmp_path / "back")
    assert not (tmp_path / "back").exists()


# Damage and malice


def rewrite(path, *, rename=None, change=None, extra=(), index=None, each=None):
    """Write a bundle again with other names, contents, members or headers.

    `change` replaces bytes in the members whose names begin so, with a checksum that is right for
    the zip file, and wrong for the index; `each` changes a member's header.
    """
    with zipfile.ZipFile(path) as file:
        members = [(info, file.read(info)) for info in file.infolist()]
    with zipfile.ZipFile(path, "w") as file:
        for info, content in members:
            name = (rename or {}).get(info.filename, info.filename)
            for start, (old, new) in (change or {}).items():
                content = content.replace(old, new) if name.startswith(start) else content
            if name == "index.json" and index:
                content = index(content)
            told = zipfile.ZipInfo(name)
            told.external_attr, told.compress_type = info.external_attr, info.compress_type
            if each:
                each(told)
            file.writestr(told, content, compresslevel=9)
        for name, content in extra:
            file.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)


def indexed(**values):
    """Return a function that changes keys of the index."""
    return lambda content: json.dumps(json.loads(content) | values).encode()


def in_first_run(**values):
    def changed(content):
        index = json.loads(content)
        index["runs"][0] |= values
        return json.dumps(index).encode()

    return changed


def with_file(name, content=b"evil", run=None):
    """Return the changes that add a member which the index names too."""
    told = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}

    def index(text):
        known = json.loads(text)
        known["runs"][0]["files"][name] = told
        known["runs"][0]["run"] = run or known["runs"][0]["run"]
        return json.dumps(known).encode()

    return index


@pytest.fixture
def hostile(small, tmp_path):
    path = tmp_path / "hostile.zip"
    shutil.copy(small, path)
    (run,) = archive.Archive(path).runs
    return path, run


@pytest.mark.parametrize(
    "name",
    ["../up.txt", "../../up.txt", "/tmp/up.txt", "a/../../up.txt", "..", "c:\\up.txt", "a\\b",
     "a//b", "a/", ".hidden", "-rf", "nul\x00.txt", "\x1b[2J", "a/b/c/d/e", "x" * 129, "é"],
)  # fmt: skip
def test_a_name_that_leads_elsewhere_is_refused(hostile, tmp_path, name):
    path, run = hostile
    rewrite(path, index=with_file(name), extra=[(f"{run}/{name}", b"evil")])
    assert "damaged" in refused(path)
    with pytest.raises(RegbenchError):
        bundle.extract(path, tmp_path / "back")
    assert not (tmp_path / "back").exists()
    assert not (tmp_path / "up.txt").exists()


@pytest.mark.parametrize("name", ["..", ".", "/tmp", "a/b", "", ".hidden", "-rf", "a\\b"])
def test_a_run_whose_name_leads_elsewhere_is_refused(hostile, tmp_path, name):
    path, run = hostile
    with zipfile.ZipFile(path) as file:
        names = {each: each.replace(run, name) for each in file.namelist()}
    rewrite(path, rename=names, index=in_first_run(run=name))
    assert "index.json is damaged" in refused(path)
    with pytest.raises(RegbenchError):
        bundle.extract(path, tmp_path / "back")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFDIR, stat.S_IFIFO, stat.S_IFCHR])
def test_links_folders_and_devices_are_refused(hostile, kind):
    path, _ = hostile

    def turn(info):
        if info.filename.endswith("predictions.csv"):
            info.external_attr = (kind | 0o777) << 16

    rewrite(path, each=turn)
    assert "expected a file, received a link, folder or device" in refused(path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", ["summary.json", "Summary.JSON"])
def test_a_name_that_is_there_twice_is_refused(hostile, name):
    path, run = hostile
    index = None if name == "summary.json" else with_file(name)
    rewrite(path, index=index, extra=[(f"{run}/{name}", b"evil")])
    assert "expected each name once" in refused(path)


def test_a_file_inside_a_file_is_refused(hostile):
    path, run = hostile
    rewrite(path, index=with_file("summary.json/x"), extra=[(f"{run}/summary.json/x", b"evil")])
    assert "expected no file inside a file" in refused(path)


@pytest.mark.parametrize("flag", [0x1, 0x40, 0x2000])
def test_encrypted_members_are_refused(hostile, flag):
    path, _ = hostile
    patch_directory(path, lambda entry: entry | {"flags": entry["flags"] | flag})
    assert "expected no encryption" in refused(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_another_compression_is_refused(hostile, method):
    path, _ = hostile

    def other(info):
        info.compress_type = method

    rewrite(path, each=other)
    assert "expected deflate" in refused(path)


def test_a_bomb_is_refused_before_it_is_read(hostile, monkeypatch):
    path, run = hostile
    monkeypatch.setattr(archive, "MIN_BOMB_BYTES", 2**20)
    zeros = b"\0" * 2**22
    rewrite(path, index=with_file("zeros", zeros), extra=[(f"{run}/zeros", zeros)])
    assert "a bomb" in refused(path)


def test_a_member_that_is_larger_than_it_says_does_not_fill_the_memory(hostile):
    path, run = hostile
    zeros = b"\0" * 2**26
    rewrite(path, change={f"{run}/probes": (b'"classes"', zeros)})
    claimed = json.loads(zipfile.ZipFile(path).read("index.json"))
    honest = claimed["runs"][0]["files"]["probes.json"]["bytes"]

    def lie(entry):
        lies = entry["name"].endswith(b"probes.json")
        return entry | ({"size": honest, "compressed": honest} if lies else {})

    patch_directory(path, lie)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="size or checksum is another"):
            archive.open_archive(path).read(run, "probes.json", 2**26)
        assert tracemalloc.get_traced_memory()[1] < 2**22
    finally:
        tracemalloc.stop()


def test_a_file_that_is_larger_than_any_run_writes_is_not_read(hostile):
    path, run = hostile
    with pytest.raises(ValueError, match="expected at most 10 bytes"):
        storage.read(path / run / "summary.json", 10)


@pytest.mark.parametrize("size", [-1, 1])
def test_a_size_that_is_not_true_is_refused(hostile, size):
    path, _ = hostile

    def lie(entry):
        lies = entry["name"].endswith(b"summary.json")
        return entry | ({"size": entry["size"] + size} if lies else {})

    patch_directory(path, lie)
    assert "do not agree on" in refused(path)


def test_compressed_bytes_that_hold_nothing_are_not_read(hostile):
    path, run = hostile
    rewrite(path, extra=[(f"{run}/filler", os.urandom(2**16))])
    patch_directory(
        path, lambda entry: entry | ({"size": 10} if b"filler" in entry["name"] else {})
    )
    assert "expected fewer compressed bytes" in refused(path)


def test_members_that_overlap_are_refused(hostile):
    path, _ = hostile
    places = []

    def pile(entry):
        places.append(entry["offset"])
        return entry | {"offset": places[0]}

    patch_directory(path, pile)
    assert "do not overlap" in refused(path)


def test_a_member_that_reaches_into_the_next_leaves_its_run_out(hostile):
    path, run = hostile
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as file:
        offset = file.getinfo(f"{run}/summary.json").header_offset
    data[offset + 28 : offset + 30] = struct.pack("<H", 500)  # the length of the extra field
    path.write_bytes(data)
    frame, (warning,) = loaded(path)
    assert len(frame) == 0
    assert "reaches into what follows it" in warning


def test_a_member_under_another_name_than_the_directorys_leaves_its_run_out(hostile):
    path, run = hostile
    data = path.read_bytes()
    path.write_bytes(data.replace(f"{run}/history.csv".encode(), f"{run}/hystory.csv".encode(), 1))
    frame, (warning,) = loaded(path)
    assert len(frame) == 0
    assert "is not where the directory says" in warning


def test_a_directory_that_would_fill_the_memory_is_not_read(hostile, monkeypatch):
    monkeypatch.setattr(archive, "MAX_DIRECTORY_BYTES", 100)
    assert "expected a directory of at most 100 bytes" in refused(hostile[0])


def test_too_many_members_are_refused(hostile, monkeypatch):
    monkeypatch.setattr(archive, "MAX_MEMBERS", 3)
    assert "expected at most 3 members" in refused(hostile[0])


def test_an_index_that_would_fill_the_memory_is_not_read(hostile, monkeypatch):
    monkeypatch.setattr(archive, "MAX_INDEX_BYTES", 100)
    assert "expected at most 100 bytes" in refused(hostile[0])


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        (lambda content: b"", "damaged"),
        (lambda content: b"[" * 100_000, "index.json is damaged"),
        (lambda content: b"[]", "index.json is damaged"),
        (lambda content: b"\xff", "damaged"),
        (indexed(version=2), "it is of version 2; read it with a newer regbench"),
        (indexed(version="1"), "index.json is damaged: version"),
        (indexed(runs=[]), "do not agree on"),
        (in_first_run(files={}), "do not agree on"),
        (in_first_run(seed=-1), "index.json is damaged: runs.0.seed"),
        (with_file("ghost"), "do not agree on"),
    ],
)
def test_an_index_that_is_not_that_of_its_members_is_refused(hostile, index, expected):
    path, _ = hostile
    rewrite(path, index=index)
    assert expected in refused(path)


def test_a_run_that_the_index_names_twice_is_refused(hostile):
    path, _ = hostile

    def twice(content):
        index = json.loads(content)
        return json.dumps(index | {"runs": index["runs"] * 2}).encode()

    rewrite(path, index=twice)
    assert "expected each run once" in refused(path)


def test_keys_of_a_later_version_are_ignored(hostile):
    path, _ = hostile
    rewrite(path, index=indexed(made_by="regbench 9"))
    frame, warnings = loaded(path)
    assert len(frame)
    assert warnings == []


def test_a_member_that_the_index_does_not_name_is_refused(hostile):
    path, run = hostile
    rewrite(path, extra=[(f"{run}/evil.py", b"evil")])
    assert f"do not agree on {run}/evil.py" in refused(path)


def test_a_member_of_another_checksum_leaves_its_run_out(hostile):
    path, run = hostile
    rewrite(path, change={f"{run}/summary": (b'"seed": 0', b'"seed": 1')})
    frame, (warning,) = loaded(path)
    assert len(frame) == 0
    assert "expected the SHA-256 of the bundle's index" in warning


def test_a_config_in_a_bundle_opens_no_other_file(results, tmp_path):
    secret = tmp_path / "secret.yaml"
    secret.write_text("l2: secret\n")
    run = sorted(results.iterdir())[0]
    (run / "config.yaml").write_text(f"extends: {secret}\nname: baseline\n")
    bundle.write(run, tmp_path / "evil.zip")
    frame, (warning,) = loaded(tmp_path / "evil.zip")
    assert frame.configs == {}
    assert "extends: expected a resolved config" in warning


@pytest.mark.parametrize(
    "content", [b"", b"PK", b"not a zip", b"PK\5\6" + b"\0" * 18, b"\0" * 5000]
)
def test_what_is_no_bundle_is_refused(tmp_path, content):
    (tmp_path / "runs.zip").write_bytes(content)
    assert "expected a file that regbench bundle wrote" in refused(tmp_path / "runs.zip")
    assert "expected a file that regbench bundle wrote" in refused(tmp_path)


def test_a_zip_file_without_an_index_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "other.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("holiday.txt", "sun")
    assert "it has no index.json" in refused(tmp_path / "other.zip")


def numbers(path):
    """Return what a bundle says of its runs, without its path; None if it is refused."""
    try:
        frame, warnings = loaded(path)
    except RegbenchError:
        return None
    assert all(warning.isprintable() for warning in warnings)
    return frame.drop(columns="results") if len(frame) else None


def test_a_bundle_cut_anywhere_is_refused(small, tmp_path):
    whole = small.read_bytes()
    for length in range(0, len(whole), 61):
        path = tmp_path / f"{length}.zip"
        path.write_bytes(whole[:length])
        assert numbers(path) is None


def test_a_byte_changed_anywhere_never_gives_a_wrong_number(small, tmp_path):
    whole, expected = small.read_bytes(), numbers(small)
    for position in range(0, len(whole), 211):
        path = tmp_path / f"{position}.zip"
        changed = bytearray(whole)
        changed[position] ^= 0x55
        path.write_bytes(changed)
        received = numbers(path)
        assert received is None or received.equals(expected), position


def patch_directory(path, change):
    """Change the entries of a zip file's directory, each given as a dictionary."""
    data = bytearray(path.read_bytes())
    layout = struct.Struct("<4sHHHHHHIIIHHHHHII")
    end = data.rindex(b"PK\5\6")
    place = struct.unpack_from("<I", data, end + 16)[0]
    while data[place : place + 4] == b"PK\1\2":
        fields = list(layout.unpack_from(data, place))
        name = bytes(data[place + layout.size : place + layout.size + fields[10]])
        entry = change({
            "name": name, "flags": fields[3], "compressed": fields[8], "size": fields[9],
            "offset": fields[16],
        })  # fmt: skip
        fields[3], fields[8], fields[9], fields[16] = (
            entry[key] for key in ("flags", "compressed", "size", "offset")
        )
        layout.pack_into(data, place, *fields)
        place += layout.size + fields[10] + fields[11] + fields[12]
    path.write_bytes(data)
