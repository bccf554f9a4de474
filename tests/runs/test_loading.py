"""The run folder: what a run writes is what a comparison reads, or it is named in a warning."""

import itertools
import json
import math
import os
import shutil
import subprocess
import sys
import textwrap

import pytest

from regbench import config, runs
from regbench.analysis.compare import compare
from regbench.errors import RegbenchError
from regbench.runs import loading
from regbench.runs.files import HISTORY, LIMITS, VALIDATION
from regbench.runs.folder import RunFolder
from regbench.runs.summary import Summary


def row(epoch, **values):
    numbers = dict.fromkeys(HISTORY, 0.1 * epoch) | {"epoch": epoch}
    unreported = {"reported_loss": None, "reported_accuracy": None} if epoch == 0 else {}
    return numbers | unreported | values


def written(results, name="baseline", seed=0, epochs=2, status="completed", further=(), **last):
    """Write a finished run as training does, without training; return its folder."""
    experiment = config.load("configs/baseline.yaml", [f"name={name}"]).with_seed(seed)
    folder = RunFolder.of(results, experiment)
    rows = [row(epoch) for epoch in range(epochs)] + [row(epochs, **last)]
    rows = [each | dict.fromkeys(further, 0.25) for each in rows]
    with folder.lock():
        folder.start(config.dump(experiment), {"backend": "tensorflow"})
        for each in rows:
            folder.append(each)
        measured = {key: rows[-1][key] for key in HISTORY[3:7]}
        summary = {
            "name": name, "config_hash": experiment.hash, "seed": seed, "status": status,
            "epochs": epochs, "parameters": 550570, **measured,
        }  # fmt: skip
        folder.finish(Summary.of(summary))
    return folder.path


def loaded(*paths):
    """Return the results and the warnings."""
    warnings = []
    return runs.load(paths, warnings.append), warnings


def test_what_was_written_is_read(tmp_path):
    written(tmp_path, "baseline", seed=0)
    written(tmp_path, "other", seed=3, epochs=4)
    frame, warnings = loaded(tmp_path)
    assert warnings == []
    assert list(frame.columns) == [*loading.RUN, *HISTORY]
    assert list(frame.name) == ["baseline"] * 3 + ["other"] * 5
    assert list(frame.seed.unique()) == [0, 3]
    assert list(frame[frame.name == "other"].epoch) == [0, 1, 2, 3, 4]
    assert frame.train_loss.tolist()[-1] == 0.4
    assert math.isnan(frame.reported_loss[0])
    assert frame.configs["44136fa3"]["train"]["epochs"] == 25
    assert "seed" not in frame.configs["44136fa3"]


def test_columns_of_validation_are_there_where_a_run_has_them(tmp_path):
    written(tmp_path, "a")
    written(tmp_path, "b", further=VALIDATION)
    frame, warnings = loaded(tmp_path)
    assert warnings == []
    assert list(frame.columns) == [*loading.RUN, *HISTORY, *VALIDATION]
    assert frame[frame.name == "a"].validation_accuracy.isna().all()
    assert frame[frame.name == "b"].validation_accuracy.tolist() == [0.25] * 3
    rows = compare(frame, metrics=["validation_accuracy"])
    assert [row.metrics["validation_accuracy"].mean for row in rows] == [None, 0.25]
    (row,) = compare(loaded(tmp_path)[0].only(frame["name"] == "a"), metrics=["validation_loss"])
    assert row.metrics["validation_loss"].mean is None
    again, _ = loaded(next(tmp_path.glob("a-*")))
    (row,) = compare(again, metrics=["validation_loss"])  # whose frame lacks the columns
    assert row.metrics["validation_loss"].mean is None


def test_floats_survive_to_the_last_bit(tmp_path):
    written(tmp_path, test_loss=0.1 + 0.2, train_loss=1 / 3)
    frame, _ = loaded(tmp_path)
    assert frame.test_loss.iloc[-1] == 0.1 + 0.2
    assert frame.train_loss.iloc[-1] == 1 / 3


def test_a_path_is_a_results_folder_a_run_folder_or_a_string(tmp_path):
    folder = written(tmp_path)
    frames = [runs.load(path) for path in (tmp_path, folder, str(tmp_path), [folder])]
    assert [len(frame.frame) for frame in frames] == [3, 3, 3, 3]


def test_a_missing_folder_is_an_error_that_names_it(tmp_path):
    with pytest.raises(RegbenchError, match="nowhere: no such folder"):
        runs.load(tmp_path / "nowhere")


def test_no_run_is_an_empty_frame_with_every_column(tmp_path):
    frame, warnings = loaded(tmp_path)
    assert len(frame) == 0
    assert list(frame.columns) == [*loading.RUN, *HISTORY]
    assert warnings == []


def test_unfinished_failed_and_foreign_folders_are_named(tmp_path):
    fine = written(tmp_path)
    (written(tmp_path, "unfinished") / "summary.json").unlink()
    failed = RunFolder(tmp_path / "failed-00000000-s0")
    failed.fail("MemoryError")
    (tmp_path / "holiday").mkdir()
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "curves.svg").touch()
    frame, warnings = loaded(tmp_path)
    assert set(frame.run) == {fine.name}
    assert len(warnings) == 3
    assert "the run failed; error.txt says why" in warnings[0]
    assert "holiday: left out: not a run's folder" in warnings[1]
    assert "the run is not finished; the command that started it resumes it" in warnings[2]


def test_a_run_in_progress_is_called_so(tmp_path):
    written(tmp_path)
    busy = written(tmp_path, "busy")
    (busy / "summary.json").unlink()
    with RunFolder(busy).lock():
        _, warnings = loaded(tmp_path)
    assert [each.partition(": left out: ")[2] for each in warnings] == ["the run is in progress"]
    _, warnings = loaded(tmp_path)
    assert "the run is not finished" in warnings[0]


def test_a_warning_is_one_line_without_control_characters(tmp_path):
    (tmp_path / "\x1b[2J\nfake: fine").mkdir()
    hostile = written(tmp_path, "hostile")
    (hostile / "history.csv").write_text(f"\x1b[2J,{','.join(HISTORY)}\n")
    lines = ",".join(HISTORY) + "\n0,\x1b]0;owned\x07,,,,,,,,,,\n"
    (written(tmp_path, "worse") / "history.csv").write_text(lines)
    _, warnings = loaded(tmp_path)
    assert len(warnings) == 3
    assert all(map(str.isprintable, warnings)), warnings


@pytest.mark.parametrize(
    ("file", "content", "expected"),
    [
        ("summary.json", "", "summary.json is damaged"),
        ("summary.json", "[]", "expected a mapping"),
        ("summary.json", "{}", "name: unexpected value null"),
        ("summary.json", "[" * 100_000, "left out"),
        ("summary.json", "\xff", "left out"),
        ("history.csv", "", "expected a line end"),
        ("history.csv", "name\n", "expected the columns epoch,seconds"),
        ("history.csv", ",".join(HISTORY) + "\n", "expected 2 epochs"),
        ("history.csv", ",".join(HISTORY) + "\n0,x,,,,,,,,,,\n", "could not convert"),
        ("history.csv", ",".join(HISTORY) + "\n1,,,,,,,,,,,\n", "expected epoch 0 in line 2"),
        (
            "history.csv",
            ",".join(HISTORY) + "\n0,1e41,,,,,,,,,,\n",
            "seconds: unexpected value 1e+41",
        ),
        ("history.csv", ",".join(HISTORY) + "\n0,1_0,,,,,,,,,,\n", "received _"),
        ("history.csv", ",".join(HISTORY) + "\n0,,,,1.1,,,,,,,\n", "train_accuracy: unexpected"),
    ],
)
def test_a_damaged_file_leaves_its_run_out(tmp_path, file, content, expected):
    written(tmp_path, "fine")
    (written(tmp_path) / file).write_text(content, encoding="latin-1")
    frame, (warning,) = loaded(tmp_path)
    assert set(frame.name) == {"fine"}
    assert expected in warning
    assert "\n" not in warning


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", "=cmd()"),
        ("name", "<script>"),
        ("name", 1),
        ("config_hash", "../../up"),
        ("seed", -1),
        ("seed", True),
        ("seed", 2**63),
        ("name", "baseline\n"),
        ("config_hash", 44136123),
        ("status", "fine"),
        ("parameters", 1e9),
        ("epochs", 3),
        ("test_accuracy", 0.99),
        ("train_loss", None),
    ],
)
def test_a_summary_that_cannot_be_true_leaves_its_run_out(tmp_path, key, value):
    path = written(tmp_path) / "summary.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    frame, (warning,) = loaded(tmp_path)
    assert len(frame) == 0
    assert key in warning or "epochs" in warning


@pytest.mark.parametrize("file", ["summary.json", "history.csv"])
def test_a_file_that_is_too_large_leaves_its_run_out(tmp_path, file):
    with (written(tmp_path) / file).open("r+b") as opened:
        opened.truncate(LIMITS[file] + 1)
    frame, (warning,) = loaded(tmp_path)
    assert len(frame) == 0
    assert f"expected at most {LIMITS[file]} bytes" in warning


def test_a_results_folder_in_a_results_folder_is_left_to_its_own_comparison(tmp_path):
    written(tmp_path)
    written(tmp_path / "seeds")
    frame, warnings = loaded(tmp_path)
    assert set(frame.results) == {str(tmp_path)}
    assert warnings == []
    assert set(loaded(tmp_path / "seeds")[0].results) == {str(tmp_path / "seeds")}


@pytest.mark.parametrize("file", ["summary.json", "history.csv", "config.yaml"])
def test_a_file_cut_anywhere_never_gives_a_wrong_number(tmp_path, file):
    whole, _ = loaded(written(tmp_path))
    (folder,) = tmp_path.iterdir()
    content = (folder / file).read_bytes()
    # Some hundred places of each; `make faults` cuts the files at every byte.
    for length in range(0, len(content), max(1, len(content) // 200)):
        (folder / file).write_bytes(content[:length])
        frame, warnings = loaded(tmp_path)
        if len(frame):
            assert frame.equals(whole.frame)
        assert warnings or frame.configs == whole.configs


def test_a_config_that_the_run_was_not_made_with_is_not_shown(tmp_path):
    path = written(tmp_path) / "config.yaml"
    path.write_text(path.read_text().replace("epochs: 25", "epochs: 26"))
    frame, (warning,) = loaded(tmp_path)
    assert len(frame.frame) == 3
    assert frame.configs == {}
    assert "what the config changes is not shown" in warning


def test_a_diverged_run_is_json_without_nan_and_read_back(tmp_path):
    folder = written(tmp_path, status="diverged", train_loss=math.nan, test_loss=math.inf)
    assert json.loads((folder / "summary.json").read_text())["train_loss"] is None
    frame, warnings = loaded(tmp_path)
    assert warnings == []
    assert set(frame.status) == {"diverged"}
    assert math.isnan(frame.train_loss.iloc[-1])


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read_leaves_its_run_out(tmp_path):
    (written(tmp_path) / "history.csv").chmod(0)
    frame, (warning,) = loaded(tmp_path)
    assert len(frame) == 0
    assert "Permission denied" in warning


def test_a_copied_results_folder_reads_the_same(tmp_path):
    written(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    frame, _ = loaded(tmp_path / "a", tmp_path / "b")
    assert len(frame.frame) == 6
    assert set(frame.results) == {str(tmp_path / "a"), str(tmp_path / "b")}


POOL, EXAMPLES = "1" * 64, "a" * 64


def with_summary(folder, **keys):
    path = folder / "summary.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | keys))
    return folder


def test_the_fingerprint_of_a_runs_data_is_read_and_an_old_run_has_none(tmp_path):
    data = {"pool": POOL, "examples": EXAMPLES, "later": ["anything"]}
    with_summary(written(tmp_path, "fine"), data=data)
    written(tmp_path, "old")
    frame, warnings = loaded(tmp_path)
    assert warnings == []
    last = frame.drop_duplicates("run", keep="last").set_index("name")
    assert last.loc["fine", ["data_pool", "data_examples"]].tolist() == [POOL, EXAMPLES]
    assert last.loc["old", ["data_pool", "data_examples"]].isna().all()


@pytest.mark.parametrize(
    "data",
    ["x", [1], {"pool": "\x1b[2J" + POOL}, {"pool": POOL, "examples": 7}, {"pool": "A" * 64}],
)
def test_a_fingerprint_that_is_none_leaves_its_run_out(tmp_path, data):
    with_summary(written(tmp_path), data=data)
    frame, (warning,) = loaded(tmp_path)
    assert len(frame) == 0
    assert "summary.json is damaged: data: unexpected value" in warning
    assert warning.isprintable()


def test_columns_and_keys_of_a_later_version_are_read_over_without_a_word(tmp_path):
    plain, _ = loaded(written(tmp_path))
    (folder,) = tmp_path.iterdir()
    with_summary(folder, margin={"of": ["a", "later_version"]})
    lines = (folder / "history.csv").read_text().splitlines()
    lines = [
        "note," + lines[0] + ",norm",
        *(f"\x1b_{i},{line},x" for i, line in enumerate(lines[1:])),
    ]
    (folder / "history.csv").write_text("\n".join(lines) + "\n")
    frame, warnings = loaded(tmp_path)
    assert warnings == []
    assert frame.equals(plain.frame)


def test_an_older_run_without_a_column_of_this_version_is_read_without_a_word(
    tmp_path, monkeypatch
):
    old, _ = loaded(written(tmp_path))
    monkeypatch.setattr(loading, "HISTORY", (*HISTORY, "norm"))
    frame, warnings = loaded(tmp_path)
    assert warnings == []
    assert frame["norm"].isna().all()
    assert frame.drop(columns="norm").equals(old.frame)


@pytest.mark.parametrize("columns", [HISTORY[1:], (*HISTORY, "test_loss")])
def test_a_history_that_lacks_a_column_or_has_one_twice_is_damaged(tmp_path, columns):
    text = ",".join(columns) + "\n0" + "," * (len(columns) - 1) + "\n"
    (written(tmp_path) / "history.csv").write_text(text)
    frame, (warning,) = loaded(tmp_path)
    assert len(frame) == 0
    assert "history.csv is damaged: expected the columns epoch" in warning


@pytest.mark.skipif(os.name == "nt", reason="no permissions to take away")
def test_a_link_to_itself_leaves_the_other_runs(tmp_path):
    written(tmp_path, "fine")
    (tmp_path / "circle").symlink_to("circle")
    assert set(loaded(tmp_path)[0].name) == {"fine"}


def test_a_run_folder_that_may_not_be_opened_is_named_and_the_others_are_read(
    tmp_path, monkeypatch
):
    fine, closed = written(tmp_path, "fine"), written(tmp_path, "closed")
    closed.chmod(0)
    for path in (tmp_path, fine):
        path.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    loaded(fine)  # imports what only root may read
    if os.geteuid() == 0:  # root opens everything
        os.seteuid(65534)
    try:
        frame, warnings = loaded(".")
    finally:
        os.seteuid(os.getuid())
        closed.chmod(0o755)
    assert set(frame.name) == {"fine"}
    (warning,) = warnings
    assert warning.startswith(f"{closed.name}: left out: ")
    assert "Permission denied" in warning


FIRST = "0,0.0,0.001,2.3,0.1,2.3,0.1,,,0.0,100,100\n"


@pytest.mark.parametrize(
    "rows",
    [
        "",
        FIRST,
        FIRST + "1,0.1,1e-3,nan,-0.0,inf,0.1,0.30000000000000004,1E2, 7,,\n",
        FIRST + "2,0.1,,,,,,,,,,\n",
        FIRST + "1,0.1,,,,,,,,,\n",
        FIRST + "\n",
        FIRST + "1,0.1,,,,,,,,,,,\n2,,,,,,,,,,\n",
        FIRST + '1,"0.1",,,,,,,,,,\n',
        FIRST + "1,0_1,,,,,,,,,,\n",
        FIRST + "1,x,,,,,,,,,,\n",
        FIRST + "1,0.1,,,,,,,,,,\r\n",
        FIRST + "1,\u0663,,,,,,,,,,\n",
        FIRST + "1,\0,,,,,,,,,,\n",
    ],
)
def test_the_fast_reader_of_histories_reads_what_the_usual_one_reads_or_leaves_it_to_it(rows):
    text = ",".join(HISTORY) + "\n" + rows
    fast = loading._plain_rows(text)
    if fast is not None:
        usual = loading._any_rows(text)
        assert fast.tobytes() == usual.tobytes()
        assert fast.shape == usual.shape
    assert fast is not None or rows != FIRST


def opened_by(*arguments):
    """Run a command in a process of its own; return every path that Python opened in it."""
    code = """
        import os, sys
        def note(event, arguments):
            if event == "open" and isinstance(arguments[0], str | os.PathLike):
                print("opened", os.fspath(arguments[0]), file=sys.stderr)
        from regbench.cli import main
        sys.addaudithook(note)
        main(sys.argv[1:])
    """
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    return {line.removeprefix("opened ") for line in lines if line.startswith("opened ")}


@pytest.mark.parametrize("command", ["compare", "report"])
def test_neither_models_nor_checkpoints_are_opened_to_read_results(tmp_path, command):
    """Loading a model can run code; a stranger's results folder may hold any."""
    folder = written(tmp_path / "results")
    (folder / "model.keras").write_bytes(b"evil")
    checkpoint = folder / "checkpoint" / "000001-000000000"
    checkpoint.mkdir(parents=True)
    for name in ("arrays.npz", "state.json", "SHA256SUMS"):
        (checkpoint / name).write_bytes(b"evil")
    output = ["-o", tmp_path / "report.html"] if command == "report" else []
    opened = opened_by(command, tmp_path / "results", *output)
    assert str(folder / "summary.json") in opened
    assert not {path for path in opened if path.endswith("model.keras") or "checkpoint/" in path}


def test_the_ends_alone_are_compared_as_whole_runs_are(tmp_path):
    for seed, name in itertools.product(range(3), ("baseline", "other")):
        written(tmp_path, name, seed, epochs=3, test_accuracy=0.4 + 0.07 * seed)
    whole, ends = (runs.load(tmp_path, ends=each) for each in (False, True))
    assert (len(whole.frame), len(ends.frame)) == (24, 6)
    assert [row.as_dict() for row in compare(ends)] == [row.as_dict() for row in compare(whole)]
