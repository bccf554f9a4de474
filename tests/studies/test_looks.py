"""Studies whose seeds are added until every claim is decided: judged, trained, resumed."""

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas
import pytest
from rich.console import Console

from regbench import config
from regbench.analysis import metrics
from regbench.analysis.sequential import Design
from regbench.runs import loading
from regbench.studies import file as study_file
from regbench.studies import looks, markdown
from regbench.studies import run as studies
from regbench.studies.file import Study
from regbench.studies.sections import Claim
from regbench.sweeps import schedule
from regbench.sweeps.sweep import Outcome
from regbench.terminal import study as tables
from tests.analysis import simulate_sequential as simulated
from tests.cli.test_cli import regbench
from tests.made_up_runs import write_run

BASE = Path("configs/baseline.yaml").resolve()
EXPERIMENT = config.load(BASE)
LOOKS = Design((5, 10, 20), "pocock")
STUDY = f"""\
question: Is it so?
base: {BASE}
profiles: {{quick: {{seeds: {{first: 5, most: 20, spending: pocock}}}}, fixed: {{seeds: 0-4}}}}
variants: {{baseline: {{}}, dropout: {{set: {{dropout.dense: 0.5}}}}, l2: {{set: {{l2: 1e-4}}}}}}
claims:
  - {{text: Clear, metric: gap, variant: dropout, against: baseline, expect: lower}}
  - {{text: Noise, metric: gap, variant: l2, against: baseline, expect: higher}}
  - {{text: Counted, metric: parameters, variant: l2, against: baseline, expect: same}}
"""


def number(experiment):
    """Return a number with which the made-up gap falls: as often higher as lower with L2."""
    odd = {"baseline": 5, "l2": 0, "dropout": 14}
    return (odd if experiment.seed % 2 else odd | {"baseline": 0, "l2": 5})[experiment.name]


def frame(values):
    """Return finished runs whose training loss is `values[variant][seed]`."""
    rows = []
    for name, losses in values.items():
        for seed, loss in enumerate(losses):
            numbers = [loss if each == "train_loss" else 0.0 for each in loading.HISTORY]
            head = ("results", f"{name}-s{seed}", name, EXPERIMENT.hash, seed, "completed")
            rows.append((*head, 10, None, None, 1.0, *numbers))
    return pandas.DataFrame(rows, columns=[*loading.RUN, *loading.HISTORY])


def claim(variant, expect="higher", margin=0.0, against=0.0):
    return Claim(
        text="A claim", metric="train_loss", variant=variant, against=against, expect=expect,
        margin=margin,
    )  # fmt: skip


def judge(claims, values, design=LOOKS):
    variants = dict.fromkeys(values, EXPERIMENT)
    seeds = tuple(range(design.looks[-1]))
    study = Study("study", "?", "quick", seeds, variants, tuple(claims), design)
    return looks.judge(study, metrics.table(frame(values), ["train_loss"]))


def spread(mean, seeds=20, deviation=1.0):
    """Return values whose every even number of first ones has this mean, or nearly."""
    return mean + deviation * np.resize([-1.0, 1.0], seeds)


def test_a_verdict_keeps_the_p_values_and_boundaries_of_its_looks():
    clear, open_ = judge([claim("clear"), claim("open")], {"clear": spread(9), "open": spread(0)})
    assert [each.seeds for each in clear.look.passed] == [5]
    assert [each.seeds for each in open_.look.passed] == [5, 10, 20]
    assert tuple(each.alone for each in open_.look.passed) == LOOKS.boundaries()
    # Two claims are open at the first look, and one at the others.
    halved = LOOKS.boundaries(0.025)[0]
    assert [each.all_open for each in open_.look.passed] == [halved, *LOOKS.boundaries()[1:]]
    assert clear.look.passed[0].p_value < halved < open_.look.passed[-1].p_value


@pytest.mark.parametrize("spending", ["obrien_fleming", "pocock"])
def test_verdicts_are_those_of_the_simulated_studies(spending):
    design = Design((4, 8, 16), spending)
    expects = ("lower", "higher", "same", "higher")
    rng = np.random.default_rng(3)
    samples = rng.normal(size=(6, 4, 16)) + rng.normal(0, 1, (6, 4, 1))
    expected = simulated.judge(samples, design, expects)
    for index, study in enumerate(samples):
        margins = [simulated.MARGIN if each == "same" else 0.0 for each in expects]
        claims = [
            claim(f"v{n}", *each) for n, each in enumerate(zip(expects, margins, strict=True))
        ]
        found = judge(claims, {f"v{n}": each for n, each in enumerate(study)}, design)
        decided = [each.decision != "undecided" for each in found]
        assert decided == expected.decided[index].tolist()
        assert [each.look.seeds for each in found] == expected.seeds[index].tolist()
    assert 0 < expected.decided.mean() < 1


def test_a_decided_claim_keeps_its_verdict_whatever_the_seeds_after_it_say():
    asked = [claim("clear"), claim("noise")]
    values = {"clear": spread(9, 5), "noise": spread(0, 20)}
    early = judge(asked, values)
    later = judge(asked, values | {"clear": np.append(spread(9, 5), [-1000.0] * 15)})
    assert early == later
    assert [each.decision for each in early] == ["supported", "undecided"]
    assert [each.look.seeds for each in early] == [5, 20]
    assert early[0].pairs == 5


def test_a_look_that_lacks_a_run_is_not_judged():
    asked = [claim("clear"), claim("noise")]
    clear, noise = judge(asked, {"clear": spread(9, 5), "noise": spread(0, 4)})
    assert {clear.decision, noise.decision} == {"undecided"}
    assert "needs 5 seeds" in clear.reason
    clear, noise = judge(asked, {"clear": spread(9, 5), "noise": spread(0, 9)})
    assert (clear.decision, noise.look.seeds) == ("supported", 5)
    assert noise.reason == "open after 5 seeds; the next look is at 10"


def test_what_is_not_decided_after_the_last_look_says_what_is_ruled_out():
    (found,) = judge([claim("noise")], {"noise": spread(0, 20, 0.03)})
    assert found.decision == "undecided"
    limit = float(found.reason.split("above ")[1].split()[0])
    assert found.reason == f"not decided with 20 seeds; a difference above {limit:g} is ruled out"
    assert found.high <= limit <= found.high * 1.1


def test_a_claim_that_is_decided_hands_its_alpha_to_the_open_ones():
    rng = np.random.default_rng(0)
    sample = rng.normal(0, 1, 20)
    sample = (sample - sample.mean()) / sample.std() + 0.58
    alone = judge([claim("b")], {"b": sample})[0]
    with_noise = judge([claim("b"), claim("a")], {"b": sample, "a": spread(0)})[0]
    with_clear = judge([claim("b"), claim("a")], {"b": sample, "a": spread(9, 5)})[0]
    assert alone.adjusted == with_clear.adjusted < with_noise.adjusted


def test_intervals_are_repeated_ones_that_exclude_a_limit_where_a_claim_alone_is_decided():
    for mean in (0.2, 0.5, 0.6, 0.7, 0.8, 2.0):
        (found,) = judge([claim("a")], {"a": spread(mean)})
        assert (found.decision == "supported") == (found.low > 0)
        fixed = metrics.interval(spread(mean)[: found.pairs])
        assert found.low < fixed.low


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(STUDY)
    return path


@pytest.fixture
def trained(monkeypatch):
    """Let sweeps write made-up runs; return the runs of each sweep, without the finished ones."""
    sweeps = []

    def run(experiments, results, **options):
        found = schedule.sort_out(experiments, Path(results))
        sweeps.append([f"{each.name} {each.seed}" for each in found.pending])
        for each in found.pending:
            write_run(Path(results), each, number(each), 3, probed=False)
        return Outcome(skipped=found.skipped)

    monkeypatch.setattr(looks.sweep, "run", run)
    return sweeps


def test_a_variant_all_of_whose_claims_are_decided_trains_no_more(path, tmp_path, trained):
    found = studies.run(path, results=tmp_path / "runs")
    assert [len(each) for each in trained] == [15, 10, 20]
    assert not any("dropout" in each for each in (*trained[1], *trained[2]))
    clear, noise, counted = found.verdicts
    assert (clear.decision, clear.look.seeds) == ("supported", 5)
    assert (noise.decision, noise.look.seeds) == ("undecided", 20)
    assert "not decided with 20 seeds" in noise.reason
    assert (counted.decision, counted.look) == ("supported", None)
    written = json.loads((tmp_path / "runs/verdicts.json").read_text())
    assert written["looks"] == {"looks": [5, 10, 20], "spending": "pocock", "judged": 20}
    assert "profile `quick`, 20 of at most 20 seeds.\n" in markdown.markdown(found)
    assert "? (20 of at most 20 seeds)\n" in terminal_text(found)


def terminal_text(found):
    console = Console(width=100, file=io.StringIO())
    console.print(tables.terminal(found))
    return console.file.getvalue()


def test_a_second_call_resumes_at_the_look_where_the_first_stopped(path, tmp_path, trained):
    results = tmp_path / "runs"
    read = study_file.read(path)
    until = replace(read, seeds=read.seeds[:5])
    looks.train(replace(until, looks=Design((5,))), results, lambda _: [])
    first = studies.judge(read, results)
    assert [each.look.seeds for each in first.verdicts[:2]] == [5, 5]
    trained.clear()
    found = studies.run(path, results=results)
    assert [len(each) for each in trained] == [0, 10, 20]
    assert found.verdicts[0] == first.verdicts[0]
    again = studies.run(path, results=results)
    assert again.verdicts == found.verdicts
    assert again.judged_before == ()


def test_a_failure_ends_the_looks_and_those_before_it_count(path, tmp_path, trained, monkeypatch):
    train = looks.sweep.run

    def fails_at_the_second_look(experiments, results, **options):
        if min(each.seed for each in experiments) >= 5:
            return Outcome(left=list(experiments))
        return train(experiments, results, **options)

    monkeypatch.setattr(looks.sweep, "run", fails_at_the_second_look)
    found = studies.run(path, results=tmp_path / "runs")
    assert found.verdicts[1].reason == "open after 5 seeds; the next look is at 10"


def test_a_plan_says_the_least_and_the_most_that_is_trained(path, tmp_path, trained):
    read, results = study_file.read(path), tmp_path / "runs"
    least, most = looks.planned(read, studies.judge(read, results).verdicts)
    assert (len(least), len(most)) == (15, 60)
    studies.run(path, results=results)
    least, most = looks.planned(read, studies.judge(read, results).verdicts)
    assert len(least) == len(most) == 45
    done = regbench("study", path, "--results", results, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "At least 45 runs and at most these 45: looks at 5, 10, 20 seeds" in done.stdout


def test_seeds_added_by_hand_are_noticed_and_stay_noticed(path, tmp_path, trained):
    results, told = tmp_path / "runs", []
    studies.run(path, "fixed", results, warn=told.append)
    studies.run(path, "fixed", results, warn=told.append)
    assert told == []
    for _ in range(2):
        found = studies.run(path, "fixed", results, seeds=range(10), warn=told.append)
        assert found.judged_before == (5,)
    (line,) = set(told)
    assert "seeds were added after verdicts with 5 seeds" in line
    assert "15% of cases (looks at 5, 10, 20, 40) or 25% (at every seed), not 5%" in line
    assert "seeds: {first: 5, most: 40}" in line
    assert line in markdown.legend(found)
    found = studies.run(path, "fixed", results, seeds=range(20), warn=told.append)
    assert found.judged_before == (5, 10)


def test_a_fresh_set_of_seeds_is_not_told_of(path, tmp_path, trained):
    told = []
    studies.run(path, "fixed", tmp_path / "runs", warn=told.append)
    studies.run(path, "fixed", tmp_path / "runs", seeds=range(5, 15), warn=told.append)
    assert told == []


def test_looks_declared_after_a_first_verdict_are_told_of(path, tmp_path, trained):
    told = []
    studies.run(path, "fixed", tmp_path / "runs", warn=told.append)
    found = studies.run(path, "quick", tmp_path / "runs", warn=told.append)
    assert found.judged_before == (5,)
    assert len(told) == 1


def test_a_damaged_file_of_verdicts_is_no_obstacle(path, tmp_path, trained):
    results = tmp_path / "runs"
    studies.run(path, "fixed", results)
    for text in ("", "[]", '{"variants": 3}', '{"variants": [], "verdicts": []}'):
        (results / "verdicts.json").write_text(text)
        assert studies.judge(study_file.read(path, "fixed"), results).judged_before == ()
