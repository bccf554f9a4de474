"""A study from its file to its verdicts: made-up runs, and tiny real ones."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from regbench import runs
from regbench.studies import file as study_file
from regbench.studies import markdown
from regbench.studies import run as study
from tests.made_up_runs import write_run

BASE = Path("configs/baseline.yaml").resolve()
TINY = (
    "data.name: shapes, data.train_examples: 100, data.test_examples: 100, "
    "model.blocks: [4], model.dense: [8], train.epochs: 1, train.batch_size: 50"
)


@pytest.fixture
def write(tmp_path):
    def write(variants, claims, profile=f"seeds: 0-1, set: {{{TINY}}}", name="mine.yaml"):
        path = tmp_path / name
        path.write_text(
            f"question: Is it so?\nbase: {BASE}\nprofiles: {{quick: {{{profile}}}}}\n"
            f"variants: {variants}\nclaims:\n"
            + "".join(f"  - {{text: Claim, {claim}}}\n" for claim in claims)
        )
        return path

    return write


def command(*arguments, cwd=None):
    return subprocess.run(
        [sys.executable, "-m", "regbench", "study", *map(str, arguments)],
        capture_output=True, text=True, cwd=cwd, timeout=280,
    )  # fmt: skip


def made_up(path, results, numbers):
    """Write runs of the study's variants; the made-up gap falls as the number grows."""
    read = study_file.read(path)
    for experiment in read.experiments:
        write_run(results, experiment, numbers[experiment.name], 12, probed=False)


WIDE, NARROW = 0, 14
GAP = "metric: gap, variant: dropout, against: baseline, expect: lower"
VARIANTS = "{baseline: {}, dropout: {set: {dropout.dense: 0.5}}}"


def test_a_claim_is_supported_and_with_swapped_labels_contradicted(write, tmp_path):
    path = write(VARIANTS, [GAP], "seeds: 0-4")
    made_up(path, tmp_path / "right", {"baseline": WIDE, "dropout": NARROW})
    made_up(path, tmp_path / "swapped", {"baseline": NARROW, "dropout": WIDE})
    read = study_file.read(path)
    right, swapped = (study.judge(read, tmp_path / each) for each in ("right", "swapped"))
    assert (right.verdicts[0].decision, right.exit_code) == ("supported", 0)
    assert (swapped.verdicts[0].decision, swapped.exit_code) == ("contradicted", 1)
    assert right.verdicts[0].mean == pytest.approx(-swapped.verdicts[0].mean, abs=0.02)


def test_a_variant_under_another_name_differs_by_exactly_nothing(write, tmp_path):
    metrics = ("train_loss", "test_loss", "train_accuracy", "gap", "weight_norm", "parameters")
    asked = "variant: again, against: baseline, expect: same, margin: 1e-9"
    claims = [f"metric: {m}, {asked}" for m in metrics]
    results = tmp_path / "results"
    found = study.run(write("{baseline: {}, again: {}}", claims), results=results, jobs=1)
    assert found.outcome.exit_code == found.exit_code == 0
    assert [each.mean for each in found.verdicts] == [0] * 6
    # Equal runs of two seeds do not make a sampled number certain.
    assert all(each.low < 0 < each.high for each in found.verdicts[:5])
    assert found.verdicts[5].low == found.verdicts[5].high == 0
    # What is counted is the same for certain; of what is sampled, two seeds show no such thing.
    assert [each.decision for each in found.verdicts] == [*["undecided"] * 5, "supported"]
    assert "more than 10,000 seeds" in found.verdicts[0].reason
    assert found.counts == {
        "supported": 0, "contradicted": 0, "undecided": 5, "by_arithmetic": 1
    }  # fmt: skip
    first, second = (each.metrics["train_loss"] for each in found.variants)
    assert first == second

    # The verdicts lie beside the runs, where neither a comparison nor a resumed study minds them.
    warnings = []
    assert runs.load(results, warnings.append)["run"].nunique() == 4
    assert warnings == []
    assert json.loads((results / "verdicts.json").read_text()) == found.as_dict()
    assert (results / "verdicts.md").read_text() == markdown.markdown(found)
    assert list(results.glob(".*tmp*")) == []
    again = study.run(tmp_path / "mine.yaml", results=results)
    assert again.verdicts == found.verdicts
    assert len(again.outcome.skipped) == 4


@pytest.mark.processes
def test_the_command_trains_what_is_missing_prints_and_is_quick_when_all_is_there(write, tmp_path):
    claim = "metric: parameters, variant: wide, against: baseline, expect: lower"
    path = write(
        "{baseline: {}, wide: {set: {model.dense: [16]}}}", [claim], f"seeds: 0, set: {{{TINY}}}"
    )
    first = command(path, cwd=tmp_path)
    assert first.returncode == 1, first.stderr
    assert "contradicted" in first.stdout
    assert "wide s0" in first.stderr
    assert "wide s0 epoch" not in first.stdout
    assert (tmp_path / "results/studies/mine/verdicts.md").exists()
    begin = time.perf_counter()
    second = command(path, "--json", cwd=tmp_path)
    assert time.perf_counter() - begin < 6  # two seconds alone; tests share the machine
    assert json.loads(second.stdout)["verdicts"][0]["decision"] == "contradicted"
    assert second.returncode == 1


def test_each_profile_but_the_first_has_results_of_its_own():
    path = Path("configs/studies/overfitting.yaml")
    first, full = (study_file.read(path, profile) for profile in (None, "full"))
    assert study.default_results(first) == Path("results/studies/overfitting")
    assert study.default_results(study_file.read(path, "quick")) == study.default_results(first)
    assert study.default_results(full) == Path("results/studies/overfitting-full")


def test_a_finished_study_is_judged_without_tensorflow(write, tmp_path):
    path = write(VARIANTS, [GAP], "seeds: 0-4")
    made_up(path, tmp_path / "results", {"baseline": WIDE, "dropout": NARROW})
    script = (
        "import sys; from regbench.studies import run as study; "
        "from regbench.terminal import study as study_tables; "
        f"found = study.run({str(path)!r}, results={str(tmp_path / 'results')!r}); "
        "study_tables.terminal(found); "
        "print([each for each in ('tensorflow', 'keras', 'altair') if each in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr


def test_no_run_judges_what_is_there_and_writes_nothing(write, tmp_path):
    path = write(VARIANTS, [GAP], "seeds: 0-4")
    done = command(path, "--no-run", "--results", tmp_path / "results")
    assert done.returncode == 0
    assert "no pairs with this metric" in " ".join(done.stdout.split())
    assert not (tmp_path / "results").exists()
    made_up(path, tmp_path / "results", {"baseline": WIDE, "dropout": NARROW})
    done = command(path, "--no-run", "--results", tmp_path / "results", "--markdown")
    assert "| **supported** |" in done.stdout
    assert not (tmp_path / "results/verdicts.md").exists()


@pytest.mark.processes
def test_a_run_that_fails_is_3_and_the_others_are_judged(write, tmp_path):
    variants = "{baseline: {}, bad: {set: {model.blocks: [4, 4, 4, 4, 4, 4, 4]}}}"
    claim = "metric: gap, variant: bad, against: baseline, expect: lower"
    done = command(write(variants, [claim]), "--results", tmp_path / "results", "--quiet")
    assert done.returncode == 3, done.stderr
    assert "Error: bad s0" in done.stderr
    assert "undecided" in done.stdout


def test_what_is_wrong_is_2_and_one_line(write, tmp_path):
    wrong = write(VARIANTS, [GAP.replace("gap", "gpa")], name="wrong.yaml")
    right = write(VARIANTS, [GAP])
    for arguments in ([wrong], [tmp_path / "none.yaml"], [right, "--profile", "x"]):
        done = command(*arguments, cwd=tmp_path)
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1
        assert "Traceback" not in done.stderr


def test_text_of_a_claim_can_neither_steer_a_terminal_nor_break_a_table(write, tmp_path):
    path = write(VARIANTS, [GAP])
    text = path.read_text().replace("text: Claim", 'text: "a | b <i>\\u202e [red]\\n| x"')
    path.write_text(text.replace("Is it so?", '"[bold]Is it so?"'))
    found = study.judge(study_file.read(path), tmp_path / "results")
    table = markdown.markdown(found)
    assert r"a \| b &lt;i&gt;" in table
    assert "\u202e" not in table
    done = command(path, "--no-run", "--results", tmp_path / "results")
    assert "\u202e" not in done.stdout
    assert "[bold]Is it so?" in done.stdout


def test_symbols_say_what_is_claimed(write, tmp_path):
    claims = [
        GAP + ", margin: 0.02",
        "metric: gap, variant: baseline, against: 0.05, expect: higher",
        "metric: gap, variant: dropout, against: baseline, expect: same, margin: 0.1",
    ]
    path = write(VARIANTS, claims)
    found = study.judge(study_file.read(path), tmp_path)
    assert [markdown.said(each, found) for each in found.verdicts] == [
        "gap: dropout - baseline < -0.02",
        "gap: baseline > 0.05",
        "gap: dropout - baseline = 0 ± 0.1",
    ]
    made_up(path, tmp_path, {"baseline": WIDE, "dropout": NARROW})
    found = study.judge(study_file.read(path), tmp_path)
    wide, narrow = (each.metrics["gap"].mean for each in found.variants)
    first = markdown.said(found.verdicts[0], found)
    assert first == f"gap: dropout {narrow:.3g} - baseline {wide:.3g} < -0.02"
