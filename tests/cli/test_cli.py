"""The command line as a user types it, in processes of its own."""

import ast
import csv
import errno
import io
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from regbench import cli, runs
from regbench.cli import options, printing
from regbench.cli.training import print_failures, resuming
from regbench.errors import RegbenchError
from regbench.runs import bundle
from regbench.sweeps import sweep
from regbench.sweeps.sweep import Outcome
from tests import made_up_runs
from tests.faults.pythons import without_packages

ALL_CONFIGS = sorted(Path("configs").glob("*.yaml"))
# Those whose histories are known, and the smallest. `make test-configs` trains all of them.
HISTORIES = json.loads(Path("tests/golden/histories.json").read_text(encoding="utf-8"))
CONFIGS = [Path("configs") / f"{name}.yaml" for name in (*HISTORIES, "smoke")]
# After a few steps, machines differ by the rounding of sums: by one or two of 100 images.
LOSS, ACCURACY = 2e-3, 0.02
REGBENCH = [sys.executable, "-m", "regbench"]
QUICK_STUDY = "configs/studies/overfitting.yaml"
TINY = [
    "--smoke",
    "--set=model.blocks=[4]",
    "--set=model.dense=[8]",
]


def regbench(*arguments, **options):
    """Run the program with pipes for a terminal; return what it printed and its exit code."""
    command = [*REGBENCH, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=280, **options)


def assert_unchanged(results, name, seed):
    """Compare a run's history with the published one."""
    (path,) = results.glob(f"{name}-????????-s{seed}/history.csv")
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    before = HISTORIES[name][seed]
    assert len(rows) == len(before)
    for row, old in zip(rows, before, strict=True):
        for column, value in old.items():
            allowed = ACCURACY if column.endswith("accuracy") else LOSS
            now = float(row[column]) if row[column] else None
            assert now == (value if value is None else pytest.approx(value, abs=allowed)), column


@pytest.fixture(scope="session")
def several(tmp_path_factory):
    """One smoke run of several configs, as `regbench run --smoke` leaves it."""
    results = tmp_path_factory.mktemp("several") / "results"
    done = regbench("run", *CONFIGS, "--smoke", "--threads", "1", "--results", results)
    assert done.returncode == 0, done.stderr
    return results, done


@pytest.mark.configs
def test_every_config_trains(tmp_path):
    assert len(ALL_CONFIGS) >= 40
    command = [*REGBENCH, "run", *map(str, ALL_CONFIGS), "--smoke", "--results", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for path in ALL_CONFIGS:
        assert f"\n{path.stem} s0: train " in "\n" + done.stdout
        (summary,) = tmp_path.glob(f"{path.stem}-*-s0/summary.json")
        assert "probes_failed" not in json.loads(summary.read_text())


def test_configs_train_by_one_command(several):
    results, done = several
    for path in CONFIGS:
        assert f"\n{path.stem} s0: train " in "\n" + done.stdout
    assert len(list(results.glob("*/summary.json"))) == len(CONFIGS)


@pytest.mark.parametrize("name", HISTORIES)
def test_histories_are_what_they_were(several, name):
    results, _ = several
    assert_unchanged(results, name, "0")


def test_a_probe_that_failed_is_one_warning_and_no_failure(capsys, tmp_path):
    failed = {"dropout": "ValueError: ndim=2"}
    summary = made_up_runs.summary(name="mine", seed=3, probes_failed=failed)
    outcome = Outcome(done=[summary])
    print_failures(outcome, tmp_path)
    warning = "Warning: mine s3: probes failed: dropout: ValueError: ndim=2\n"
    assert capsys.readouterr().err == warning
    assert outcome.exit_code == 0


@pytest.mark.parametrize("command", [["run", "configs/smoke.yaml"], ["study", QUICK_STUDY]])
@pytest.mark.parametrize("flags", [[], ["--no-probes"]])
def test_probes_are_skipped_on_demand(monkeypatch, tmp_path, command, flags):
    asked = {}

    def pretend(experiments, results, **options):
        asked.update(options)
        raise RegbenchError("enough")

    monkeypatch.setattr("regbench.sweeps.sweep.run", pretend)
    with pytest.raises(RegbenchError, match="enough"):
        cli.cli.main([*command, *flags, "--results", str(tmp_path)], standalone_mode=False)
    assert asked["probes"] is (not flags)


def test_piped_progress_is_one_plain_line_per_epoch_on_stderr(several):
    _, done = several
    lines = [line for line in done.stderr.splitlines() if line.startswith("dropout s0 epoch ")]
    assert [line.split(",")[0] for line in lines] == [f"dropout s0 epoch {n}/2" for n in range(3)]
    assert "\x1b" not in done.stderr
    assert "epoch" not in done.stdout


LOADED = """
import atexit, sys
atexit.register(lambda: print("loaded:", *sorted({name.partition(".")[0] for name in sys.modules})))
from regbench.cli import main
main(sys.argv[1:])
"""


def test_a_finished_sweep_says_so_and_loads_nothing_heavy(several, tmp_path):
    results, _ = several
    command = ["run", *CONFIGS, "--smoke", "--threads", "1", "--results", results]
    # No data set to be read: a second decoding would need the cache.
    environment = os.environ | {"REGBENCH_DATA": str(tmp_path / "cache")}
    again = subprocess.run(
        [sys.executable, "-c", LOADED, *map(str, command)],
        capture_output=True,
        text=True,
        env=environment,
    )
    assert again.returncode == 0
    assert f"nothing to do: all {len(CONFIGS)} runs are finished" in again.stderr
    loaded = set(again.stdout.partition("loaded:")[2].split())
    assert "numpy" in loaded
    assert not loaded & {"tensorflow", "keras", "jax", "torch", "pandas", "scipy", "altair"}
    assert not (tmp_path / "cache").exists()


def test_compare_json_has_the_keys_of_the_contract(several):
    results, _ = several
    rows = json.loads(regbench("compare", results, "--json").stdout)
    assert {row["name"] for row in rows} == {path.stem for path in CONFIGS}
    metrics = {"train_accuracy", "test_accuracy", "train_loss", "test_loss", "gap"}
    keys = {"name", "config_hash", "seeds", "runs", "parameters", "seconds", "changes"}
    for row in rows:
        assert keys | metrics <= set(row)
        assert row["seeds"] == [0]
        assert row["gap"]["mean"] is not None
        assert row["gap"]["low"] is None  # one seed has no interval
    dropout = next(row for row in rows if row["name"] == "dropout")
    assert metrics <= set(dropout["versus_baseline"])
    assert dropout["versus_baseline"]["gap"]["pairs"] == 1


def test_compare_prints_a_table_csv_and_markdown(several):
    results, _ = several
    table = regbench("compare", results, env=os.environ | {"COLUMNS": "80"}).stdout
    assert max(map(len, table.splitlines())) <= 80
    rows = list(csv.reader(io.StringIO(regbench("compare", results, "--csv").stdout)))
    markdown = regbench("compare", results, "--markdown").stdout
    assert len(rows) == len(CONFIGS) + 1
    for path in CONFIGS:
        assert path.stem[:20] in table
        assert path.stem in markdown


def test_compare_draws_the_curves(several, tmp_path):
    results, _ = several
    done = regbench("compare", results, "--plot", tmp_path / "curves.svg")
    assert done.returncode == 0
    drawn = (tmp_path / "curves.svg").read_text()
    assert drawn.startswith("<svg")
    assert "batch_norm" in drawn


@pytest.mark.processes
def test_two_processes_give_byte_equal_histories(tmp_path):
    options = [*TINY, "--set=dropout.dense=0.5", "--set=batch_norm=true"]
    histories = []
    for attempt in ("first", "second"):
        done = regbench("run", "configs/baseline.yaml", *options, "--results", tmp_path / attempt)
        assert done.returncode == 0, done.stderr
        (path,) = (tmp_path / attempt).glob("*/history.csv")
        with path.open() as file:
            rows = list(csv.DictReader(file))
        histories.append([{**row, "seconds": ""} for row in rows])
    assert histories[0] == histories[1]
    assert len(histories[0]) == 3


def interrupted(results, number, send):
    """Start a run, send it a signal after its first epoch; return its exit code and last words."""
    command = [*REGBENCH, "run", "configs/baseline.yaml", *TINY, "--results", str(results)]
    # A session of its own, so that a signal can reach the whole group, as a terminal sends it.
    process = subprocess.Popen(
        [*command, "--set=train.epochs=60"],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    for line in process.stderr:
        if "epoch 1/" in line:
            break
    send(process.pid, number)
    _, rest = process.communicate(timeout=60)
    assert "Traceback" not in rest
    assert_no_process_in_group(process.pid)
    return process.returncode, rest


@pytest.mark.processes
def test_ctrl_c_ends_with_130_and_the_command_that_goes_on(tmp_path):
    code, said = interrupted(tmp_path, signal.SIGINT, os.killpg)
    assert code == 130
    assert said.count("Stopping at the next step") == 1
    (folder,) = tmp_path.iterdir()
    assert not (folder / "summary.json").exists()
    assert not (folder / "error.txt").exists()
    assert not list(folder.glob("**/.*.tmp*"))
    _, _, command = said.partition("Interrupted. Resume with: python ")
    again = subprocess.run(
        [sys.executable, *shlex.split(command)], capture_output=True, text=True, timeout=280
    )
    assert again.returncode == 0, again.stderr
    assert "baseline s0: resuming from " in again.stderr
    assert "epoch 1/60" not in again.stderr
    assert not (folder / "checkpoint").exists()


@pytest.mark.processes
def test_sigterm_of_the_parent_alone_ends_with_143_and_a_checkpoint(tmp_path):
    code, said = interrupted(tmp_path, signal.SIGTERM, os.kill)
    assert code == 143
    assert "Interrupted. Resume with: python -m regbench run configs/baseline.yaml" in said
    (folder,) = tmp_path.iterdir()
    assert len(list((folder / "checkpoint").iterdir())) == 2


def assert_no_process_in_group(group):
    for _ in range(50):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    pytest.fail("a process was left behind")


@pytest.mark.processes
def test_a_dry_run_prints_json_and_writes_nothing(tmp_path):
    done = regbench(
        "run",
        "configs/smoke.yaml",
        "--seeds=0-1",
        "--dry-run",
        "--json",
        "--results",
        tmp_path / "r",
    )
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    assert [(run["seed"], run["state"]) for run in plan["runs"]] == [(0, "to do"), (1, "to do")]
    assert 0 < plan["runs"][0]["seconds"] < plan["seconds"]
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["run", "configs/nothing.yaml"], "nothing.yaml"),
        (["run", "configs/baseline.yaml", "--set", "dropuot.dense=0.5"], 'did you mean "dropout"'),
        (["run", "configs/baseline.yaml", "--set", "dropout.dense=1.5"], "1.5"),
        (["run", "configs/baseline.yaml", "--seeds", "4-0"], "received '4-0'"),
        (["run", "configs/baseline.yaml", "--seeds", "a"], "received 'a'"),
        (["run", "configs/baseline.yaml", "--threads", "0"], "received '0'"),
        (
            ["run", "configs/baseline.yaml", "configs/baseline.yaml", "--smoke"],
            "expected once, received twice",
        ),
        (["run"], "CONFIG"),
        (["run", "configs/smoke.yaml", "--json"], "--json needs --dry-run"),
        (["compare", "nowhere"], "nowhere"),
    ],
)
def test_bad_input_is_one_clear_line_and_exit_code_2(arguments, expected, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(arguments)
    printed = capsys.readouterr()
    assert end.value.code == 2
    assert expected in printed.err
    assert "Traceback" not in printed.err
    assert printed.out == ""


def test_no_control_character_of_an_error_or_a_warning_reaches_the_terminal(
    tmp_path, capsys, monkeypatch
):
    def fail(*_, **__):
        raise OSError(errno.EIO, os.strerror(errno.EIO), "\x1b[2J.csv")

    (tmp_path / "\x1b]0;owned\x07").mkdir()
    for error in (tmp_path / "\x1b[2J", tmp_path):
        with pytest.raises(SystemExit):
            cli.main(["compare", str(error)])
    printed = capsys.readouterr()
    assert printed.err.replace("\n", "").isprintable()
    assert "Warning: " in printed.err
    monkeypatch.setattr(runs, "load", fail)
    with pytest.raises(SystemExit):
        cli.main(["compare", str(tmp_path)])
    assert capsys.readouterr().err == "Error: \\x1b[2J.csv: Input/output error\n"
    with pytest.raises(SystemExit):
        cli.main(["run", "configs/baseline.yaml", "--set", "data.name=image_folder", "--set",
                  "data.path=\u202e\x9b2J", "--results", str(tmp_path)])  # fmt: skip
    assert capsys.readouterr().err.replace("\n", "").isprintable()


def test_no_control_characters_of_a_folder_or_an_error_reach_the_terminal(tmp_path, capsys):
    made_up_runs.write(tmp_path, made_up_runs.twenty()[:1], epochs=2, probed=False)
    (folder,) = tmp_path.iterdir()
    (folder / "environment.json").write_text("{")
    folder.rename(tmp_path / "\x1b[2Jrun")
    for arguments in (["report", tmp_path, "-o", tmp_path / "r.html"], ["report", "\x1b[2J"]):
        with pytest.raises(SystemExit):
            cli.main(list(map(str, arguments)))
    printing.complain("one\x1b[2J\ntwo\r")
    said = capsys.readouterr().err
    assert "\x1b" not in said
    assert r"Warning: \x1b[2Jrun: environment.json can't be read" in said
    assert "Error: one\\x1b[2J\nError: two\\r\n" in said


@pytest.mark.processes
def test_a_run_that_fails_leaves_its_reason_and_the_others_finish(tmp_path):
    good = regbench(
        "run", "configs/smoke.yaml", "--results", tmp_path, "--set=data.test_examples=200"
    )
    assert good.returncode == 0
    small = tmp_path / "small.yaml"
    small.write_text(
        f"extends: {Path('configs/smoke.yaml').resolve()}\nmodel: {{blocks: {[2] * 7}}}\n"
    )
    mixed = regbench(
        "run", small, "configs/smoke.yaml", "--results", tmp_path, "--set=data.test_examples=200"
    )
    assert mixed.returncode == 3
    assert "small s0: model: the network can't be built" in mixed.stderr
    assert "Traceback" not in mixed.stderr
    (error,) = tmp_path.glob("small-*/error.txt")
    assert "can't be built" in error.read_text()


@pytest.mark.processes
def test_the_first_failure_stops_the_others_with_a_checkpoint_if_it_is_to(tmp_path):
    broken = tmp_path / "broken.yaml"
    broken.write_text(
        f"extends: {Path('configs/smoke.yaml').resolve()}\nmodel: {{blocks: {[2] * 7}}}\n"
    )
    brief = tmp_path / "brief.yaml"
    brief.write_text(f"extends: {Path('configs/smoke.yaml').resolve()}\n")
    long = tmp_path / "long.yaml"
    long.write_text(f"extends: {Path('configs/smoke.yaml').resolve()}\ntrain: {{epochs: 1000}}\n")
    never = tmp_path / "never.yaml"
    never.write_text(brief.read_text())
    command = ["run", long, brief, broken, never, "--jobs=2", "--threads=1"]
    results = ["--results", tmp_path / "results", "--device=cpu"]
    done = regbench(*command, *results, "--fail-fast", start_new_session=True)
    assert done.returncode == 3
    assert "failed: broken s0: model: the network can't be built" in done.stderr
    assert "Stopped at the first failure, with 2 of 4 runs left. Resume with: " in done.stderr
    assert len(list((tmp_path / "results").glob("brief-*/summary.json"))) == 1
    assert len(list((tmp_path / "results").glob("long-*/checkpoint/*"))) == 2
    assert not list((tmp_path / "results").glob("never-*"))
    # The same command again tries the failed one once more, and skips the finished one.
    plan = regbench(*command, *results, "--dry-run", "--json")
    states = {run["name"]: run["state"] for run in json.loads(plan.stdout)["runs"]}
    assert states == {
        "long": "interrupted",
        "brief": "finished",
        "broken": "failed",
        "never": "to do",
    }
    assert plan.returncode == 1


def said(arguments, capsys):
    """Run the program in this process; return its exit code and what it printed."""
    with pytest.raises(SystemExit) as end:
        cli.main(list(map(str, arguments)))
    return end.value.code or 0, capsys.readouterr()


def test_a_plot_that_cannot_be_written_is_refused_before_anything_is_read(tmp_path, capsys):
    made_up_runs.write(tmp_path / "r", made_up_runs.twenty()[:2], epochs=2, probed=False)
    code, printed = said(["compare", tmp_path / "r", "--plot", tmp_path / "x.jpg"], capsys)
    assert code == 2
    assert printed.out == ""
    assert "expected a name that ends in .svg, .pdf, .png, .html, received '.jpg'" in printed.err
    code, _ = said(["compare", tmp_path / "r", "--plot", tmp_path / "x.pdf"], capsys)
    assert code == 0
    assert (tmp_path / "x.pdf").read_bytes().startswith(b"%PDF-")


@pytest.mark.parametrize("command", ["compare", "report"])
def test_a_folder_of_results_folders_names_those_that_hold_runs(tmp_path, capsys, command):
    results = tmp_path / "results"
    for name in ("demo", "studies/pooling"):
        made_up_runs.write(results / name, made_up_runs.twenty()[:1], epochs=2, probed=False)
    bundle.write(results / "demo", results / "bundled" / "runs.zip")
    code, printed = said([command, results], capsys)
    assert code == 2
    assert printed.err.splitlines()[-1] == (
        f"Error: {results}: no finished runs here, but in {results}/bundled, "
        f"{results}/demo, {results}/studies/pooling; name one of these"
    )


def test_the_baseline_of_a_report_is_that_of_its_figures(tmp_path, capsys, monkeypatch):
    from regbench import figures, report

    asked = []
    monkeypatch.setattr(report, "write", lambda *_, **__: None)
    monkeypatch.setattr(figures, "save_all", lambda frame, folder, name: asked.append(name) or [])
    made_up_runs.write(tmp_path / "r", made_up_runs.twenty()[:1], epochs=2, probed=False)
    options = ["--baseline", "all", "--figures", tmp_path / "figures"]
    assert said(["report", tmp_path / "r", *options], capsys)[0] == 0
    assert asked == ["all"]


def test_signs_that_the_terminal_lacks_are_replaced(tmp_path):
    made_up_runs.write(tmp_path, made_up_runs.twenty()[:2], seeds=2, epochs=2, probed=False)
    for form, encoding in (([], "ascii"), ([], "latin-1"), (["--markdown"], "latin-1")):
        environment = os.environ | {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
        done = regbench("compare", tmp_path, *form, env=environment, encoding=encoding)
        assert done.returncode == 0, done.stderr
        assert "? test" in done.stdout


@pytest.mark.parametrize(
    ("options", "folder"),
    [
        ([], "results"),
        (["--smoke"], "results/smoke"),
        (["--smoke", "--results", "mine"], "mine"),
    ],
)
def test_smoke_runs_have_results_of_their_own(monkeypatch, capsys, options, folder):
    from regbench.sweeps import sweep

    asked = []

    def run(experiments, results, **_):
        asked.append(results)
        return sweep.Outcome()

    monkeypatch.setattr(sweep, "run", run)
    assert said(["run", "configs/smoke.yaml", *options], capsys)[0] == 0
    assert asked == [Path(folder)]


def test_runs_that_another_process_trains_are_named(monkeypatch, capsys, tmp_path):
    from regbench import config
    from regbench.sweeps import sweep

    left = config.load("configs/smoke.yaml").with_seed(3)
    outcome = sweep.Outcome(skipped=[left.with_seed(0)], busy=[left])
    monkeypatch.setattr(sweep, "run", lambda *_, **__: outcome)
    code, printed = said(["run", "configs/smoke.yaml", "--results", tmp_path], capsys)
    assert code == 0
    assert "skipped, because another process is training: smoke s3" in printed.err


@pytest.mark.parametrize("terminal", [False, True])
def test_what_takes_longer_than_a_moment_is_said_on_stderr(monkeypatch, terminal):
    from rich.console import Console

    from regbench.terminal import status

    monkeypatch.setattr(status, "PATIENCE", 0.05)
    for seconds, expected in ((0.5, True), (0, terminal)):
        output = io.StringIO()
        console = Console(file=output, force_terminal=terminal)
        with status.Status(console, "Reading the runs"):
            time.sleep(seconds)
        assert ("Reading the runs" in output.getvalue()) == expected


def test_shapes_are_not_called_missing(capsys):
    code, printed = said(["data", "--json"], capsys)
    assert code == 0
    states = {item["dataset"]: item["state"] for item in json.loads(printed.out)}
    assert states["shapes"] in ("drawn when needed", "decoded")
    assert "missing" not in states["shapes"]


def test_the_command_that_resumes_does_not_start_over():
    command = ["regbench", "run", "my configs/l2.yaml", "--force", "--seeds", "0-4"]
    assert resuming(command) == "regbench run 'my configs/l2.yaml' --seeds 0-4"


@pytest.mark.parametrize("value", ["0-4", "0,3,7", "7,0-2"])
def test_seeds_are_ranges_and_lists(value):
    expected = {"0-4": [0, 1, 2, 3, 4], "0,3,7": [0, 3, 7], "7,0-2": [7, 0, 1, 2]}
    assert options.SeedRange().convert(value, None, None) == expected[value]


def test_help_of_every_command_has_an_example(capsys):
    for command in cli.cli.commands:
        with pytest.raises(SystemExit) as end:
            cli.main([command, "--help"])
        assert end.value.code == 0
        printed = capsys.readouterr().out
        assert f"  regbench {command}" in printed


@pytest.mark.processes
def test_a_run_goes_on_when_nobody_reads_its_progress_any_more(tmp_path):
    """As `regbench run ... 2>&1 | head -1` leaves it."""
    command = [*REGBENCH, "run", "configs/baseline.yaml", *TINY, f"--results={tmp_path}"]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert any(b"epoch 0/2" in line for line in iter(run.stdout.readline, b""))
    run.stdout.close()
    assert run.wait(timeout=200) == 0
    assert len(list(tmp_path.glob("*/summary.json"))) == 1


def test_what_nobody_reads_results_of_ends_with_its_own_exit_code(monkeypatch):
    def unread(*arguments):
        raise BrokenPipeError

    monkeypatch.setattr(sweep, "run", lambda *args, **options: Outcome(diverged=[{}]))
    monkeypatch.setattr(cli.run, "print_outcome", unread)
    monkeypatch.setattr(printing, "_silence", lambda stream: None)
    with pytest.raises(SystemExit) as end:
        cli.main(["run", "configs/baseline.yaml", "--quiet"])
    assert end.value.code == 1


def test_output_that_nobody_reads_is_no_failure():
    """As of `regbench schema | head -1`, which must not end a script."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [*REGBENCH, "schema"]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


def test_nothing_in_the_current_folder_is_imported(tmp_path):
    """`python -m` puts it first; a config from a stranger may lie beside a module from the same."""
    hostile = "from pathlib import Path\nPath(__file__).with_name('hacked').touch()\n"
    for module in ("click", "rich", "yaml", "shlex", "csv"):
        (tmp_path / f"{module}.py").write_text(hostile)
    variables = os.environ | {"PYTHONPATH": str(Path.cwd())}
    done = regbench("schema", cwd=tmp_path, env=variables)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)
    assert not (tmp_path / "hacked").exists()


def test_a_python_without_regbenchs_packages_is_told_which_it_lacks(tmp_path):
    """Such as that of the machine, in a checkout."""
    done = subprocess.run(without_packages(), capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "received 3." in done.stderr
    assert "without the package click; install them with `make install`" in done.stderr


def test_the_help_imports_nothing_that_a_command_alone_needs():
    """It would take a second instead of a fifth of one."""
    code = "import sys; from regbench import cli; print([*sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    heavy = {"numpy", "pandas", "pydantic", "rich.console", "scipy", "yaml", "regbench.config"}
    assert not heavy & set(ast.literal_eval(done.stdout))
