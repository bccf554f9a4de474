"""`regbench tune`: the search of one config, its table, its JSON, errors."""

import pytest
from click.testing import CliRunner

from regbench.cli import cli
from regbench.config import ConfigError
from regbench.studies import contest as contests
from regbench.studies.contest import Tuning
from tests.cli.test_json import assert_holds
from tests.studies.test_contest import finish

DIMENSIONS = ("train.learning_rate=log:1e-4:1e-2", "dropout.dense=choice:0.2:0.5")
OVERRIDES = ("data.validation_examples=50",)


@pytest.fixture
def tune(tmp_path):
    """Run the command over finished trials, of which the third is the best."""

    def tune(*arguments, dimensions=DIMENSIONS):
        contest = contests.of_config("smoke", OVERRIDES, DIMENSIONS, Tuning(trials=4))
        for place, run in enumerate(contest.runs):
            finish(tmp_path, run, 0.5 if place == 2 else 1.0)
        options = [part for each in dimensions for part in ("--tune", each)]
        return CliRunner().invoke(
            cli,
            ["tune", "smoke", "--set", *OVERRIDES, *options, "--trials", "4", "--results",
             str(tmp_path), *arguments],
        )  # fmt: skip

    return tune


def test_the_winner_is_shown_with_the_command_that_trains_it(tune):
    found = tune()
    assert found.exit_code == 0, found.output
    values = contests.of_config("smoke", OVERRIDES, DIMENSIONS, Tuning(trials=4)).trials["smoke"][2]
    rate = values.values["train.learning_rate"]
    assert f"train.learning_rate={rate}" in found.stdout
    assert "Train the winner with: regbench run smoke --set data.validation" in found.stderr
    assert f"--set train.learning_rate={rate} --set dropout.dense=" in found.stderr
    assert "--seeds 0-4" in found.stderr


def test_the_json_has_every_trial(tune):
    found = assert_holds(tune("--json", "--quiet").stdout, "tune")
    (search,) = found["searches"]
    assert search["winner"] == 3
    assert [each["metric"] for each in search["trials"]] == [1.0, 1.0, 0.5, 1.0]
    assert [each["key"] for each in search["importance"]] == [
        "train.learning_rate", "dropout.dense"
    ]  # fmt: skip
    assert found["seconds"] == search["seconds"] == 8.0


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("l2", "expected KEY=SCALE:VALUES"),
        ("l2=linear:0:1", "with a scale of log, uniform, integer, choice"),
        ("l2=log:2:1", "log: expected a range [low, high], received 2 and 1"),
        ("l2=log:a:1", "expected a number"),
        ("dropout.dense=uniform:0:1.5", "dropout.dense: expected a number >= 0 and < 1"),
        ("l3=log:1:2", "l3: unknown key"),
        ("seed=integer:1:2", "seed can't be set here"),
    ],
)
def test_an_invalid_option_is_cited_with_what_was_expected(option, said):
    with pytest.raises(ConfigError) as error:
        contests.of_config("smoke", OVERRIDES, [option], Tuning())
    assert error.value.messages[0].startswith(f"--tune {option}: ")
    assert said in error.value.messages[0]


def test_a_config_without_validation_examples_can_not_be_tuned():
    with pytest.raises(ConfigError, match=r"tune: expected data\.validation_examples in smoke"):
        contests.of_config("smoke", (), DIMENSIONS, Tuning())
