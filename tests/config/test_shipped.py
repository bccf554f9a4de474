"""The configs that come with regbench: found by name, extended from anywhere, written out."""

from __future__ import annotations

from pathlib import Path

import pytest

from regbench import cli, config
from regbench.cli import init
from regbench.config import ConfigError, shipped
from regbench.errors import RegbenchError
from regbench.studies import file as study_file


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """Be in an empty folder."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def refused(load, *arguments):
    with pytest.raises(ConfigError) as error:
        load(*arguments)
    return str(error.value)


def test_a_name_is_that_of_a_shipped_config_where_no_such_file_is(elsewhere):
    for asked in ("dropout", "regbench:dropout"):
        found = config.load(asked)
        assert (found.name, found.hash) == ("dropout", "c554be80")


def test_a_name_is_that_of_a_shipped_study_too(elsewhere):
    assert study_file.read("overfitting").name == "overfitting"
    assert study_file.read("regbench:demo").question.startswith("Does the baseline overfit")


def test_a_file_of_ones_own_always_wins(elsewhere):
    Path("dropout").write_text("extends: regbench:smoke\nname: mine\n")
    assert config.load("dropout").name == "mine"
    assert config.load("regbench:dropout").name == "dropout"


def test_a_folder_of_that_name_is_no_config_and_hides_the_shipped_one(elsewhere):
    Path("dropout").mkdir()
    assert refused(config.load, "dropout") == "dropout: expected a file, received a directory"


def test_extends_finds_a_shipped_config_from_anywhere(elsewhere):
    Path("mine.yaml").write_text("extends: regbench:baseline\ndropout: {dense: 0.5}\n")
    assert config.load("mine.yaml").hash == config.load("dropout").hash


def test_a_study_may_be_based_on_a_shipped_config(elsewhere):
    text = shipped.names("study")["demo"].read_text().replace("../quick.yaml", "regbench:quick")
    Path("mine.yaml").write_text(text)
    shown, own = study_file.read("demo"), study_file.read("mine.yaml")
    assert own.experiments == shown.experiments


@pytest.mark.parametrize(
    ("load", "asked", "expected"),
    [
        (config.load, "dropuot", 'did you mean "dropout"?'),
        (study_file.read, "overfiting", 'did you mean "overfitting"?'),
        (config.load, "overfitting", "is a study; give it to: regbench study overfitting"),
        (study_file.read, "dropout", "is a config; give it to: regbench run dropout"),
        (config.load, "configs/l2.yaml", 'the shipped config is found as "l2"'),
        (config.load, "regbench:basline", 'did you mean "regbench:baseline"?'),
        (config.load, "zzz", "there are all, all_cnn"),
    ],
)
def test_an_unknown_name_suggests_the_nearest(elsewhere, load, asked, expected):
    text = refused(load, asked)
    assert text.startswith(f"{asked}: ")
    assert expected in text


def test_a_name_without_its_suffix_suggests_the_file_beside(elsewhere):
    Path("mine.yaml").write_text("extends: regbench:smoke\n")
    assert refused(config.load, "mine") == 'mine: no such file; did you mean "mine.yaml"?'


@pytest.mark.parametrize(
    "name",
    ["../pyproject", "../../etc/passwd", "/etc/passwd", "studies/demo", "l2.yaml", ".", "", "a\0"],
)
def test_a_name_leads_nowhere_but_to_a_shipped_config(elsewhere, name):
    assert "no shipped config has the name" in refused(config.load, f"regbench:{name}")


def test_a_link_among_the_shipped_configs_is_not_followed(tmp_path, monkeypatch):
    secret = tmp_path / "secret.yaml"
    secret.write_text("l2: 1\n")
    ships = tmp_path / "configs"
    ships.mkdir()
    (ships / "linked.yaml").symlink_to(secret)
    (ships / "plain.yaml").write_text("l2: 1e-3\n")
    monkeypatch.setattr(shipped, "folder", lambda: ships)
    assert list(shipped.names("config")) == ["plain"]
    assert shipped.write_out(tmp_path / "out").written == [Path("plain.yaml")]


def test_init_writes_what_is_shipped_and_says_what_comes_next(elsewhere, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["init"])
    assert not end.value.code
    assert capsys.readouterr().out.endswith("Next: regbench run configs/quick.yaml\n")
    for path in [*shipped.folder().rglob("*.yaml"), *shipped.folder().rglob("*.json")]:
        own = Path("configs") / path.relative_to(shipped.folder())
        assert own.read_bytes() == path.read_bytes()
    assert config.load("configs/dropout.yaml").hash == "c554be80"


def test_init_overwrites_nothing_and_then_writes_nothing(elsewhere):
    edited = Path("configs/l2.yaml")
    edited.parent.mkdir()
    edited.write_text("extends: baseline.yaml\nl2: 1\n")
    with pytest.raises(RegbenchError, match=r"configs/l2\.yaml: .* nothing was written"):
        init.write_configs(Path("configs"))
    assert [*Path("configs").iterdir()] == [edited]


def test_init_leaves_the_target_of_a_dangling_link_alone(elsewhere):
    link = Path("configs/l2.yaml")
    link.parent.mkdir()
    link.symlink_to("outside.yaml")
    with pytest.raises(RegbenchError, match="nothing was written"):
        init.write_configs(Path("configs"))
    assert not Path("configs/outside.yaml").exists()


def test_init_completes_what_is_missing(elsewhere, capsys):
    init.write_configs(Path("mine"))
    Path("mine/l1.yaml").unlink()
    capsys.readouterr()
    init.write_configs(Path("mine"))
    assert Path("mine/l1.yaml").exists()
    assert "Wrote 1 file into mine: " in capsys.readouterr().out
