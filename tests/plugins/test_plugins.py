"""Plugins: code of one's own, in files as their authors write them."""

import json
import pickle

import numpy as np
import pytest

import regbench
from regbench import cli, config, datasets, plugins, runs
from regbench.analysis import metrics
from regbench.config import ConfigError, Experiment
from regbench.errors import RegbenchError
from regbench.execution.local import local
from regbench.plugins import PluginError
from regbench.studies import file as study_file
from regbench.sweeps import sweep
from tests import made_up_runs

PLUGIN = '''
from typing import Annotated
import numpy as np
from pydantic import Field
import regbench


@regbench.regularizer("soften")
class Soften(regbench.Toggle):
    """Moves a share of each target to the other classes."""

    shorthand = "share"
    share: Annotated[float, Field(ge=0, lt=1)] = 0.1
    evenly: bool = True

    def is_idle(self):
        return self.share == 0


@regbench.dataset("stripes")
def stripes(path):
    images = np.arange(8 * 16 * 16 * 3, dtype=np.uint8).reshape(8, 16, 16, 3)
    return regbench.Splits(images, np.arange(8) % 2, images, np.arange(8) % 2, ("up", "across"))


@regbench.model("two_branches")
def two_branches(input_shape, classes):
    raise RuntimeError("not built here")


@regbench.metric("last_gain", better="higher")
def last_gain(run):
    """Test accuracy won in the last epoch."""
    accuracy = run.history["test_accuracy"]
    return accuracy[-1] - accuracy[-2]


@regbench.figure("ends")
def ends(frame):
    """Where the variants end.

    Test accuracy after the last epoch.
    """
    import altair

    last = frame[frame["epoch"] == frame["epoch"].max()][["variant", "test_accuracy"]]
    return altair.Chart(last).mark_bar().encode(x="test_accuracy:Q", y="variant:N")


@regbench.executor("in_order")
def in_order(function, jobs, workers, variables):
    from regbench.execution.local import local

    yield from local(function, jobs, 1, variables)
'''
USES = "data: {name: stripes, train_examples: all}\nmodel: {name: two_branches}\nsoften: 0.25\n"


@pytest.fixture(autouse=True)
def none_left(monkeypatch):
    monkeypatch.delenv("REGBENCH_PLUGINS", raising=False)
    plugins.unload()
    yield
    plugins.unload()


@pytest.fixture
def plugin(write):
    path = write(PLUGIN, "mine.py")
    plugins.load(path)
    return path


def said(capsys, *arguments):
    """Run a command in this process; return its exit code and what it printed."""
    with pytest.raises(SystemExit) as ended:
        cli.main([str(each) for each in arguments])
    printed = capsys.readouterr()
    return ended.value.code or 0, printed.out, printed.err


def test_a_config_names_what_a_plugin_has(plugin, write):
    experiment = config.load(write(USES))
    assert experiment.soften.share == 0.25
    assert list(experiment.regularizers) == ["pooling", "soften"]
    assert datasets.load(experiment.data, 0).classes == ("up", "across")
    assert experiment.model.name == "two_branches"


def test_a_plugins_keys_are_checked_as_all_others_are(plugin, write):
    path = write("soften: {shaer: 0.2}\nl2: 0.1\n")
    with pytest.raises(
        ConfigError, match=r'1:10: soften\.shaer: unknown key; did you mean "share"\?'
    ):
        config.load(path)
    with pytest.raises(ConfigError, match=r"soften: expected .*a number >= 0 and < 1.* received 2"):
        config.load(write("soften: 2\n"))
    assert config.load(write("soften: 0\n")).soften is None
    assert config.load(write("soften: false\n")).hash == Experiment(name="x").hash


def test_the_schema_has_a_plugins_names_while_it_is_loaded(plugin):
    described = config.schema()
    assert "Moves a share" in described["$defs"]["Soften"]["description"]
    assert "stripes" in described["$defs"]["Data"]["properties"]["name"]["enum"]
    assert "two_branches" in json.dumps(described)
    plugins.unload()
    assert "soften" not in config.schema()["properties"]


def test_a_changed_plugin_is_another_experiment_and_a_config_without_it_is_not(write, plugin):
    paths = [write(text, f"{name}.yaml") for name, text in (
        ("toggle", "soften: 0.25\n"), ("data", "data: {name: stripes}\n"),
        ("model", "model: {name: two_branches}\n"), ("none", "dropout: 0.5\n"))]  # fmt: skip
    before = [config.load(path).hash for path in paths]
    write(PLUGIN + "\n# another version\n", "mine.py")
    plugins.load(plugin)
    after = [config.load(path).hash for path in paths]
    assert [old == new for old, new in zip(before, after, strict=True)] == [False] * 3 + [True]
    assert before[3] == config.load("configs/dropout.yaml").hash
    plugins.unload()
    assert config.load(paths[3]).hash == before[3]


def test_a_plugins_file_can_be_called_anything_and_its_experiment_is_the_same(write, plugin):
    before = config.load(write(USES)).hash
    plugins.unload()
    plugins.load(write(PLUGIN, "elsewhere/other-name.py"))
    assert config.load(write(USES)).hash == before


def test_a_config_without_its_plugin_is_refused_and_told_how_to_give_it(write, capsys):
    code, _, text = said(capsys, "run", write(USES))
    assert code == 2
    assert "data.name: expected one of arrays, cifar10, " in text
    for name in ('received "stripes"', 'received "two_branches"', "soften: unknown key"):
        (line,) = [line for line in text.splitlines() if name in line]
        assert "--plugin FILE, or the variable REGBENCH_PLUGINS" in line
    assert "Traceback" not in text


def test_a_run_asks_for_the_plugin_that_it_was_made_with(write, plugin):
    resolved = write(config.dump(config.load(write(USES))), "resolved.yaml")
    assert config.load(resolved).hash == config.load(write(USES)).hash
    write(PLUGIN + "\n# another version\n", "mine.py")
    plugins.load(plugin)
    with pytest.raises(ConfigError, match=r"plugins: made with mine of SHA-256 .*, received mine"):
        config.load(resolved)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import regbench\n\n1 / 0\n", "mine.py:3: ZeroDivisionError: division by zero"),
        ("def half(:\n", "mine.py:1: SyntaxError: invalid syntax"),
        ("raise SystemExit(3)\n", "mine.py:1: SystemExit: 3"),
        ("import regbench\n", "mine.py: registers nothing; expected one of @regbench.regularizer,"),
        (PLUGIN.replace('("soften")', '("l2")'), 'regularizer("l2"): the name is already used in'),
        (PLUGIN.replace('("soften")', '("data")'), "a config has another key of this name"),
        (PLUGIN.replace('("soften")', '("Soft en")'), "expected a name of at most 64 lower-case"),
        (PLUGIN.replace('("stripes")', '("shapes")'), 'dataset("shapes"): the name is already'),
        (PLUGIN + PLUGIN, 'regularizer("soften"): the name is already used in this plugin'),
        ('import regbench\nregbench.regularizer("a")(int)\n', "a class that extends regbench.Togg"),
        ('import regbench\nregbench.figure("a")(3)\n', "expected a function of a frame, received"),
    ],
)  # fmt: skip
def test_a_plugin_that_cannot_be_loaded_is_one_line_and_leaves_nothing(
    write, capsys, text, expected
):
    code, out, err = said(capsys, "plugins", "--plugin", write(text, "mine.py"))
    assert (code, out) == (2, "")
    assert expected in err
    assert err.count("\n") == 1
    assert plugins.loaded() == []
    assert "soften" not in config.schema()["properties"]


def test_a_plugin_given_twice_and_two_of_one_name_are_refused(write, capsys, monkeypatch):
    path = write(PLUGIN, "mine.py")
    assert "is given twice" in said(capsys, "plugins", "--plugin", path, "--plugin", path)[2]
    monkeypatch.setenv("REGBENCH_PLUGINS", str(path))
    text = said(capsys, "plugins", "--plugin", path)[2]
    assert "--plugin and REGBENCH_PLUGINS" in text
    other = write("import regbench\n", "other/mine.py")
    assert "there is a plugin named mine already" in said(capsys, "plugins", "--plugin", other)[2]
    monkeypatch.setenv("REGBENCH_PLUGINS", str(path.parent / "gone.py"))
    code, _, text = said(capsys, "plugins")
    assert code == 2
    assert text.startswith("Error: REGBENCH_PLUGINS: ")
    assert "gone.py: No such file" in text


def test_plugins_come_from_options_and_from_the_variable_and_are_listed(write, capsys, monkeypatch):
    second = write('import regbench\n@regbench.dataset("b")\ndef b(path): ...\n', "second.py")
    monkeypatch.setenv("REGBENCH_PLUGINS", str(second))
    code, text, _ = said(capsys, "plugins", "--plugin", write(PLUGIN, "mine.py"), "--json")
    found = {each["name"]: each for each in json.loads(text)}
    assert code == 0
    assert found["second"]["registered"] == {"dataset": ["b"]}
    assert found["mine"]["registered"]["executor"] == ["in_order"]
    assert len(found["mine"]["sha256"]) == 64
    assert found["second"]["place"] == str(second)


def test_an_installed_package_is_a_plugin_by_its_entry_points(tmp_path, monkeypatch, write):
    info = tmp_path / "own_tricks-1.5.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: own-tricks\nVersion: 1.5\n")
    (info / "entry_points.txt").write_text(
        "[regbench.regularizers]\nharden = own_tricks:Harden\n"
        "[regbench.datasets]\nempty = own_tricks:empty\n"
    )
    write("import regbench\nclass Harden(regbench.Toggle):\n    by: float = 1.0\n"
          "def empty(path): ...\n", "own_tricks.py")  # fmt: skip
    monkeypatch.syspath_prepend(tmp_path)
    (found,) = plugins.load()
    assert (found.name, found.place) == ("own_tricks", "own-tricks 1.5")
    assert found.registered == (("regularizer", "harden"), ("dataset", "empty"))
    experiment = config.load(write("harden: {by: 2.0}\n"))
    assert experiment.plugins == {"own_tricks": found.sha256}
    assert pickle.loads(pickle.dumps(experiment)) == experiment


def test_a_decorator_outside_of_a_plugin_says_where_it_belongs():
    with pytest.raises(PluginError, match=r"expected in a plugin.*regbench.plugins.load"):
        regbench.dataset("here")(lambda path: None)


def share_of(experiment, emit):
    return experiment.soften.share, type(experiment.soften).__module__, list(experiment.plugins)


def test_a_worker_loads_the_plugin_before_its_job_starts(plugin, write):
    (last,) = [event for event in local(share_of, [config.load(write(USES))], 1, {})
               if event.kind != "started"]  # fmt: skip
    assert last.result == (0.25, "regbench_plugin_mine", ["mine"])


def test_a_plugin_that_changes_before_the_worker_loads_it_fails_the_job(plugin, write):
    jobs = [config.load(write(USES)), Experiment(name="unconcerned")]
    write(PLUGIN + "\n# changed meanwhile\n", "mine.py")
    events = [event for event in local(name_of, jobs, 1, {}) if event.kind != "started"]
    assert [event.kind for event in events] == ["failed", "done"]
    assert events[1].result == ("unconcerned", config.dump(jobs[1]))
    assert "mine.py: changed while regbench was running: expected SHA" in events[0].failure.message
    assert events[0].failure.error == "PluginError"


def name_of(experiment, emit):
    return experiment.name, config.dump(experiment)


def test_finished_runs_are_read_without_the_plugin(plugin, write, tmp_path, capsys):
    other = config.load(write("soften: {share: 0.5, evenly: false}\n", "other.yaml"))
    experiments = [Experiment(name="baseline"), config.load(write(USES)), other]
    made_up_runs.write(tmp_path / "results", experiments, seeds=2, epochs=3)
    with_it = runs.load(tmp_path / "results").configs
    plugins.unload()
    warnings: list[str] = []
    results = runs.load(tmp_path / "results", warnings.append)
    assert warnings == []
    assert len(results) == 6
    assert results.configs == with_it
    assert results.configs[experiments[1].hash]["soften"] == {"share": 0.25, "evenly": True}
    code, text, err = said(capsys, "compare", tmp_path / "results", "--json")
    assert code == 0
    assert "Warning" not in err
    changes = {row["name"]: row["changes"] for row in json.loads(text)}
    assert changes["mine"]["soften.share"] == 0.25
    assert changes["mine"]["data.name"] == "stripes"
    assert changes["mine"]["model.name"] == "two_branches"
    assert changes["other"]["plugins.mine"] == other.plugins["mine"][:12]


@pytest.mark.parametrize(
    "change",
    [
        ("share: 0.25", "share: 0.5"),
        ("soften:", "harden:"),
        ("name: stripes", "name: dots"),
        ("share: 0.25", "'<b>': 0.25"),
        ("share: 0.25", "share: .inf"),
        ("dropout: null", "dropuot: null"),
    ],
)
def test_a_stored_config_that_was_changed_is_not_trusted(plugin, write, tmp_path, change):
    experiment = config.load(write(USES))
    made_up_runs.write(tmp_path / "results", [experiment], epochs=1)
    plugins.unload()
    path = tmp_path / "results" / experiment.run_name / "config.yaml"
    path.write_text(path.read_text().replace(*change))
    warnings: list[str] = []
    assert runs.load(tmp_path / "results", warnings.append).configs == {}
    assert len(warnings) == 1
    assert "is not shown" in warnings[0]


def test_a_metric_and_a_figure_of_a_plugin_are_in_tables_and_in_the_report(
    plugin, tmp_path, capsys
):
    made_up_runs.write(tmp_path / "results", [Experiment(name="baseline")], seeds=3, epochs=3)
    results = runs.load(tmp_path / "results")
    assert metrics.metric("last_gain").text == "Test accuracy won in the last epoch"
    (row,) = regbench.compare(results, metrics=["last_gain"])
    gains = [run[1] for run in results.frame.groupby("seed")["test_accuracy"]]
    expected = np.mean([each.iloc[-1] - each.iloc[-2] for each in gains])
    assert row.as_dict()["metrics"]["last_gain"]["mean"] == pytest.approx(expected)
    regbench.report.write(results, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert '<h2 id="ends-title">Where the variants end</h2>' in page
    assert "<p>Test accuracy after the last epoch.</p>" in page
    plugins.unload()
    with pytest.raises(RegbenchError, match=r"metric: expected one of .*--plugin FILE"):
        metrics.metric("last_gain")


def test_what_a_plugins_function_raises_names_the_plugin_and_the_line(write):
    text = PLUGIN.replace("images = np", "oops = np.zeros(3)[4]\n    images = np")
    path = write(text, "mine.py")
    plugins.load(path)
    line = text.splitlines().index("    oops = np.zeros(3)[4]") + 1
    with pytest.raises(datasets.DataError, match=f"stripes: .*mine.py:{line}: IndexError"):
        datasets.load(config.load(write("data: {name: stripes}\n")).data, 0)


STUDY = """
question: Does softening help?
base: base.yaml
profiles: {quick: {seeds: 0-1}}
variants: {baseline: {}, softened: {set: {soften: 0.2}}}
claims:
  - {text: It does, metric: last_gain, variant: softened, against: baseline, expect: higher}
"""


def test_a_study_varies_and_judges_what_a_plugin_has(plugin, write):
    write("data: {name: stripes}\n", "base.yaml")
    study = study_file.read(write(STUDY, "softening.yaml"))
    assert study.variants["softened"].soften.share == 0.2
    plugins.unload()
    with pytest.raises(ConfigError) as error:
        study_file.read(write(STUDY, "softening.yaml"))
    assert "soften: unknown key" in str(error.value)
    assert "claims[0].metric: expected one of" in str(error.value)


def test_an_executor_is_chosen_by_name(plugin, tmp_path):
    experiment = Experiment(name="baseline", data={"name": "shapes"})
    with pytest.raises(
        RegbenchError, match=r'--executor: .* received "in_ordr"; did you mean "in_'
    ):
        sweep.run([experiment], tmp_path, executor="in_ordr")


def test_the_data_sets_of_plugins_are_listed(plugin, capsys):
    code, text, _ = said(capsys, "data", "--plugin", plugin)
    assert code == 0
    assert "stripes       from a plugin" in text
    assert str(plugin) in text
