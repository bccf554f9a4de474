"""Contests: search spaces, fair numbers of trials, the choice, and finals that alone are tested."""

import itertools
import json
import math

import numpy as np
import pytest

from regbench import config, figures, runs
from regbench.config import ConfigError
from regbench.errors import RegbenchError, RunFailed
from regbench.report import page
from regbench.runs.folder import RunFolder
from regbench.studies import contest_markdown, markdown, trials
from regbench.studies import file as study_file
from regbench.studies import run as studies
from regbench.studies.contest import FIRST_SEED
from regbench.studies.search_space import Dimension
from tests.made_up_runs import ENVIRONMENT

RATE = "train.learning_rate: {log: [1.0e-4, 1.0e-2]}"
BASELINE = f"{{tune: {{{RATE}}}}}"
DROPOUT = f"{{tune: {{{RATE}, dropout.dense: {{uniform: [0.1, 0.7]}}}}}}"
TINY = (
    "data.name: shapes, data.train_examples: 40, data.test_examples: 20, "
    "data.validation_examples: 20, model.blocks: [2], model.convolutions: 1, model.dense: [2], "
    "train.epochs: 1, train.batch_size: 20"
)


@pytest.fixture
def write(tmp_path):
    def write(
        tune="trials: 8", baseline=BASELINE, dropout=DROPOUT, profile="seeds: 0-1", tiny=TINY,
        versus=("dropout", "baseline"),
    ):  # fmt: skip
        path = tmp_path / "mine.yaml"
        path.write_text(
            f"question: Which is better?\nbase: regbench:baseline\nset: {{{tiny}}}\n"
            f"tune: {{{tune}}}\nprofiles: {{quick: {{{profile}}}}}\n"
            f"variants:\n  baseline: {baseline}\n  dropout: {dropout}\nclaims:\n"
            f"  - {{text: Dropout is, metric: test_accuracy, variant: {versus[0]}, "
            f"against: {versus[1]}, expect: higher}}\n"
        )
        return path

    return write


def messages(path, **options):
    with pytest.raises(ConfigError) as error:
        study_file.read(path, **options)
    return error.value.messages


def finish(results, experiment, loss, status="completed"):
    """Write a finished trial with this validation loss, as a run without a test set writes it."""
    folder = RunFolder.of(results, experiment)
    measured = {"validation_loss": loss, "validation_accuracy": 0.5, "validation_evaluated": 20}
    row = {
        "epoch": 0, "seconds": 1.0, "learning_rate": 1e-3, "train_loss": 0.5,
        "train_accuracy": 0.5, "test_loss": None, "test_accuracy": None, "reported_loss": None,
        "reported_accuracy": None, "penalty": 0.0, "train_evaluated": 20, "test_evaluated": 0,
        **measured,
    }  # fmt: skip
    with folder.lock():
        folder.start(config.dump(experiment), ENVIRONMENT)
        folder.append(row)
        folder.finish(
            runs.Summary.of(
                {
                    "name": experiment.name, "config_hash": experiment.hash,
                    "seed": experiment.seed, "status": status, "epochs": 0, "parameters": 10,
                    "train_accuracy": 0.5, "train_loss": 0.5, "test_evaluated": 0,
                    "wall_seconds": 2.0, **measured,
                }
            )
        )  # fmt: skip


def finish_all(study, results, loss):
    """Write every trial, its validation loss a function of learning rate and dropout's rate."""
    for own in study.contest.trials.values():
        for trial in own:
            for run in trial.runs:
                finish(trials.folder(results), run, loss(**named(trial.values)))


def named(values):
    return {key.rpartition(".")[2]: value for key, value in values.items()}


def planted(learning_rate, dense=0.9):
    """The loss is lowest at a learning rate of 1e-3 and dropout of 0.4."""
    return 1 + abs(math.log10(learning_rate) + 3) + abs(dense - 0.4)


# Search spaces.


@pytest.mark.parametrize(
    ("written", "low", "high"),
    [
        ({"log": [1e-4, 1e-2]}, 1e-4, 1e-2),
        ({"uniform": [0.1, 0.7]}, 0.1, 0.7),
        ({"integer": [2, 5]}, 2, 5),
    ],
)
def test_values_lie_within_their_range_and_reach_its_ends(written, low, high):
    dimension = Dimension.model_validate(written)
    values = [dimension.at(unit) for unit in np.linspace(0, 1, 1000, endpoint=False)]
    assert (min(values), max(values)) == (low, pytest.approx(high, rel=0.01))


def test_every_choice_has_an_equal_share():
    dimension = Dimension.model_validate({"choice": ["a", [1], None]})
    values = [dimension.at(unit) for unit in np.linspace(0, 1, 9, endpoint=False)]
    assert values == [*["a"] * 3, *[[1]] * 3, *[None] * 3]


def test_a_logarithmic_range_has_as_many_values_in_each_decade():
    dimension = Dimension.model_validate({"log": [1e-4, 1e-2]})
    assert dimension.at(0.5) == pytest.approx(1e-3)


def test_a_longer_search_continues_a_shorter_one(write):
    short, long = (study_file.read(write(f"trials: {count}")).contest for count in (5, 70))
    for name in ("baseline", "dropout"):
        assert [each.values for each in long.trials[name][:5]] == [
            each.values for each in short.trials[name]
        ]
    assert {run.run_name for run in short.runs} < {run.run_name for run in long.runs}


def test_points_are_even_differ_by_study_and_are_shared_in_the_first_dimensions(write, tmp_path):
    path = write("trials: 16")
    found = study_file.read(path).contest.trials
    rates = [math.log10(each.values["train.learning_rate"]) for each in found["baseline"]]
    counts, _ = np.histogram(rates, bins=8, range=(-4, -2))
    assert set(counts) == {2}  # random points would leave some of them empty
    assert [each.values["train.learning_rate"] for each in found["dropout"]] == [
        each.values["train.learning_rate"] for each in found["baseline"]
    ]
    other = path.rename(tmp_path / "other.yaml")
    again = study_file.read(other).contest.trials["baseline"]
    assert [each.values for each in again] != [each.values for each in found["baseline"]]


def test_the_points_of_a_study_stay_what_they_are(write):
    """Others would orphan every finished trial."""
    found = study_file.read(write("trials: 3")).contest.trials["dropout"]
    assert [list(each.values.values()) for each in found] == PINNED


PINNED = [[0.000102, 0.651], [0.00102, 0.451], [0.000321, 0.251]]


def test_every_variant_has_as_many_trials_in_turn_and_none_twice(write):
    contest = study_file.read(write("trials: 6, seeds: 2")).contest
    assert [len(each) for each in contest.trials.values()] == [6, 6]
    order = [(each.name, each.seed) for each in contest.runs]
    turn = list(itertools.product(("baseline", "dropout"), (FIRST_SEED, FIRST_SEED + 1)))
    assert order == turn * 6
    assert len({each.run_name for each in contest.runs}) == 24


def test_a_space_of_fewer_points_than_trials_is_searched_whole(write, tmp_path):
    study = study_file.read(write(dropout="{tune: {dropout.dense: {choice: [0.2, 0.4, 0.6]}}}"))
    assert len(study.contest.trials["dropout"]) == 3
    finish_all(study, tmp_path, planted_or_dense)
    found = trials.read(study.contest, trials.folder(tmp_path))
    assert found.searches[1].warnings == ("the space has only 3 of 8 points",)


def planted_or_dense(learning_rate=1e-3, dense=0.9):
    return planted(learning_rate, dense)


# What a file may say.


def test_errors_cite_the_place_and_what_was_expected(write):
    (line,) = messages(write("trails: 16"))
    assert line.endswith('tune.trails: unknown key; did you mean "trials"?')
    assert ":4:8: " in line
    (line,) = messages(write(baseline="{tune: {l2: {log: [0, 1]}}}"))
    assert line.endswith(
        "variants.baseline.tune.l2: log: expected a range above 0, received 0 and 1"
    )
    (line,) = messages(write(baseline="{tune: {l2: {log: [1, 2], choice: [1, 2]}}}"))
    assert line.endswith("expected one of log, uniform, integer or choice, received log and choice")
    (line,) = messages(write(baseline="{tune: {l2: {uniform: [2, 1]}}}"))
    assert line.endswith("uniform: expected a range [low, high], received 2 and 1")
    (line,) = messages(write(baseline="{tune: {dropout.dens: {uniform: [0.1, 0.2]}}}"))
    assert line.endswith('dropout.dens: unknown key; did you mean "dense"?')
    (line,) = messages(write(baseline="{tune: {dropout.dense: {uniform: [0.1, 1.2]}}}"))
    assert line.endswith("dropout.dense: expected a number >= 0 and < 1, received 1.2")
    assert ":7:" in line
    (line,) = messages(write(baseline="{tune: {name: {choice: [a, b]}}}"))
    assert "name can't be set here" in line


def test_trials_need_validation_examples_and_a_study_that_tunes_says_how(write):
    lines = messages(write(tiny=TINY.replace("data.validation_examples: 20", "l2: 0")))
    assert "tune: expected data.validation_examples in baseline" in lines[0]
    path = write()
    path.write_text(path.read_text().replace("tune: {trials: 8}\n", ""))
    assert (
        "variants.baseline.tune: expected tune: {trials: 16} in the study too" in messages(path)[0]
    )
    (line,) = messages(write(baseline="{}", dropout="{}"))
    assert "tune: expected a variant with values to try" in line


def test_a_technique_that_needs_validation_examples_can_not_have_them_back(write):
    stopping = f"{{set: {{early_stopping: true}}, tune: {{{RATE}}}}}"
    (line,) = messages(write(dropout=stopping))
    assert "tune.validation: dropout needs them (early_stopping: expected validation" in line
    assert study_file.read(write("validation: out", dropout=stopping)).contest


def test_the_seeds_of_finals_are_those_of_no_trial(write):
    with pytest.raises(RegbenchError, match="which trials have"):
        study_file.read(write("seeds: 3"), seeds=[0, FIRST_SEED + 2])
    assert study_file.read(write("seeds: 3"), seeds=[0, FIRST_SEED + 3])


def test_a_profile_changes_the_number_of_trials(write):
    study = study_file.read(write(profile="seeds: 0, tune: {trials: 3}"))
    assert len(study.contest.runs) == 6


# The choice.


def test_a_planted_best_strength_is_found_within_the_grid_s_resolution(write, tmp_path):
    study = study_file.read(write("trials: 32"))
    finish_all(study, tmp_path, planted)
    found = trials.read(study.contest, trials.folder(tmp_path))
    final = trials.settled(study, found).variants
    # 32 points in two decades are 1/16 of a decade apart; of two dimensions, each sees the other.
    assert abs(math.log10(final["baseline"].train.learning_rate) + 3) <= 2 / 32
    best = named(found.searches[1].best.values)
    assert planted(**best) == min(planted(**named(t.values)) for t in found.searches[1].trials)
    assert final["dropout"].regularizers["dropout"].dense == best["dense"]
    assert abs(best["dense"] - 0.4) < 0.6 / 4
    assert not any("widen" in each for each in found.searches[0].warnings)


def test_the_mean_over_seeds_decides_and_a_diverged_trial_never_wins(write, tmp_path):
    study = study_file.read(write("trials: 3, seeds: 2"))
    losses = [(1.0, 9.0), (4.0, 4.0), (0.1, math.nan)]
    for own in study.contest.trials.values():
        for trial, pair in zip(own, losses, strict=True):
            for run, loss in zip(trial.runs, pair, strict=True):
                status = "completed" if math.isfinite(loss) else "diverged"
                finish(trials.folder(tmp_path), run, loss, status)
    found = trials.read(study.contest, trials.folder(tmp_path))
    assert [each.winner for each in found.searches] == [2, 2]
    assert found.searches[0].trials[2].metric is None
    assert "1 of 3 trials diverged, and count as worst" in found.searches[0].warnings
    assert found.seconds == 2 * 3 * 2 * 2.0


def test_if_every_trial_diverged_or_one_is_missing_nothing_is_chosen(write, tmp_path):
    study = study_file.read(write("trials: 2"))
    with pytest.raises(RunFailed, match="expected 4 finished trials, received 0"):
        trials.read(study.contest, trials.folder(tmp_path))
    for run in study.contest.runs:
        finish(trials.folder(tmp_path), run, math.nan, "diverged")
    with pytest.raises(RunFailed, match="every trial of baseline diverged"):
        trials.read(study.contest, trials.folder(tmp_path))


def test_a_search_says_when_it_should_go_on(write, tmp_path):
    study = study_file.read(write(dropout=DROPOUT.replace("[0.1, 0.7]", "[0.5, 0.7]")))
    finish_all(study, tmp_path, lambda learning_rate, dense=0: dense + 0.1 * planted(learning_rate))
    found = trials.read(study.contest, trials.folder(tmp_path))
    said = contest_markdown.warnings(found)
    assert any("is the lowest value tried in uniform [0.5, 0.7]: widen" in each for each in said)
    assert any("spaces of other dimension: 1 for baseline; 2 for dropout" in each for each in said)
    # A single lucky trial: nobody knows whether another one would be luckier.
    rare = study_file.read(write("trials: 16, metric: validation_loss"))
    lucky = iter([0.1, *[0.9] * 15] * 2)
    folder = tmp_path / "rare"
    for own in rare.contest.trials.values():
        for trial in own:
            finish(trials.folder(folder), trial.runs[0], next(lucky))
    found = trials.read(rare.contest, trials.folder(folder))
    assert any("had not leveled off" in each for each in found.searches[0].warnings)


def test_validation_examples_go_back_or_stay_out_as_stated(write, tmp_path):
    for stated, expected in (("back", (60, None)), ("out", (40, 20))):
        study = study_file.read(write(f"trials: 2, validation: {stated}"))
        data = study.variants["dropout"].data
        assert (data.train_examples, data.validation_examples) == expected
        trial = study.contest.runs[0]
        assert (trial.data.train_examples, trial.evaluation.test) == (40, False)
        assert study.variants["dropout"].evaluation.test


def test_defaults_stand_beside_winners_and_a_variant_without_values_has_no_winner(write):
    study = study_file.read(write("trials: 2, defaults: true"))
    assert list(study.variants) == ["baseline", "baseline_tuned", "dropout", "dropout_tuned"]
    study = study_file.read(write("trials: 2", baseline="{}"))
    assert list(study.variants) == ["baseline", "dropout"]
    assert [len(each) for each in study.contest.trials.values()] == [1, 2]


# Through the real path.


def test_a_contest_trains_trials_then_finals_extends_and_trains_nothing_twice(write, tmp_path):
    results = tmp_path / "results"
    options = {"results": results, "jobs": 1, "threads": 1}
    found = studies.run(write("trials: 2"), **options)
    assert found.exit_code == 0
    assert len(found.outcome.done) == 4
    own = sorted((results / "trials").glob("*/summary.json"))
    assert len(own) == 4
    for path in own:
        summary = json.loads(path.read_text())
        assert [summary[key] for key in ("test_loss", "test_accuracy", "gap")] == [None] * 3
        assert summary["validation_loss"] > 0
        header, *rows = (path.parent / "history.csv").read_text().splitlines()
        places = [header.split(",").index(f"test_{key}") for key in ("loss", "accuracy")]
        assert {row.split(",")[place] for row in rows for place in places} == {""}
        assert not (path.parent / "predictions.csv").exists()
        assert "probes" not in summary
    # Winners are those of the lowest validation loss, and finals have their values.
    for search in found.contest.searches:
        assert search.best.metric == min(each.metric for each in search.trials)
        rate = search.best.values["train.learning_rate"]
        assert found.study.variants[search.variant].train.learning_rate == rate
    assert json.loads((results / "verdicts.json").read_text()) == found.as_dict()
    assert "## Tuning" in (results / "verdicts.md").read_text()

    before = {path: path.stat().st_mtime_ns for path in own}
    again = studies.run(write("trials: 3"), **options)
    assert {path: path.stat().st_mtime_ns for path in own} == before
    assert len(list((results / "trials").glob("*/summary.json"))) == 6
    nothing = studies.run(write("trials: 3"), **options)
    assert nothing.outcome.done == []
    assert nothing.as_dict() == again.as_dict()
    judged = studies.judge(study_file.read(write("trials: 3")), results)
    assert markdown.markdown(judged) == markdown.markdown(nothing)

    # Every command that reads results shows blanks for what was not measured.
    loaded = runs.load(results / "trials")
    rendered = page.render(loaded)
    assert "The best of k trials" in rendered
    assert "nan" not in rendered.lower().replace("nanmean", "").split("<script")[0]
    assert len(figures.save_all(loaded, tmp_path / "figures")) == 2
    warnings = []
    assert runs.load(results, warnings.append)["seed"].max() == 1  # trials are apart
    assert warnings == []


def test_a_test_set_with_poisoned_labels_changes_no_choice(write, tmp_path):
    rng = np.random.default_rng(0)
    labels = np.arange(120) % 3
    images = rng.integers(0, 255, (120, 8, 8, 1), dtype=np.uint8) // 4
    images[labels == 1, :4] += 120
    images[labels == 2, 4:] += 120
    data = {"train_images": images[:90], "train_labels": labels[:90], "test_images": images[90:]}
    found, files = {}, {}
    for name, of_test in (("clean", labels[90:]), ("poisoned", (labels[90:] + 1) % 3)):
        files[name] = tmp_path / f"{name}.npz"
        np.savez(files[name], test_labels=of_test, **data)
        tiny = TINY.replace("shapes", f"arrays, data.path: '{files[name]}'")
        tiny = tiny.replace("data.test_examples: 20", "data.test_examples: 10")
        study = study_file.read(write("trials: 2", tiny=tiny))
        results = trials.folder(tmp_path / name)
        trials.train(study.contest, results, jobs=1, threads=1)
        found[name] = trials.read(study.contest, results)
    clean, poisoned = found["clean"], found["poisoned"]
    for one, other in zip(clean.searches, poisoned.searches, strict=True):
        assert one.winner == other.winner
        assert [each.values for each in one.trials] == [each.values for each in other.trials]
        assert [each.metric for each in one.trials] == [each.metric for each in other.trials]
