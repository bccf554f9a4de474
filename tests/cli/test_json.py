"""What `--json` prints has a schema that `regbench schema` publishes, and holds to it."""

import dataclasses
import json
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner

from regbench import config
from regbench.cli import cli, json_schemas
from regbench.doctor.check import Check
from regbench.studies import file as study_file
from regbench.sweeps.plan import Plan, PlannedRun
from tests import made_up_runs

CONFIGS = ("baseline", "dropout", "l2")
STUDY = "configs/studies/demo.yaml"


def regbench(*arguments, code=0):
    """Call the command in this process; return what it printed."""
    done = CliRunner().invoke(cli, [*map(str, arguments)], standalone_mode=False)
    assert done.exception is None, (done.output, done.exception)
    assert code is None or (done.return_value or 0) == code
    return done.stdout


def published(kind):
    """Return a schema as the command prints it, with no room for keys that it does not know."""
    schema = json.loads(regbench("schema", kind))
    jsonschema.Draft202012Validator.check_schema(schema)
    return closed(schema)


def closed(schema):
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: closed(each) for key, each in schema.items()}
    return made | {"additionalProperties": False} if "properties" in schema else made


def assert_holds(text, kind):
    content = json.loads(text)
    schema = published(kind)
    jsonschema.validate(content, schema)
    if isinstance(content, dict):
        assert content["version"] == json_schemas.VERSION
        assert schema["required"][0] == "version"
    else:
        assert schema["version"] == json_schemas.VERSION
    return content


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "results"
    experiments = [config.load(f"configs/{name}.yaml") for name in CONFIGS]
    made_up_runs.write(folder, experiments, seeds=2, epochs=3, probed=False)
    return folder


def judged(folder, seeds=range(5), gap=None):
    """Write made-up runs of the demo's study."""
    for number, each in enumerate(study_file.read(STUDY).experiments):
        if each.seed in seeds:
            kind = number if gap is None else gap[each.name]
            made_up_runs.write_run(folder, each, kind, 12, probed=False)
    return folder


@pytest.mark.parametrize("more", [(), ("--metric", "test_loss")])
def test_compare(results, more):
    rows = assert_holds(regbench("compare", results, "--json", *more), "compare")
    assert len(rows) == len(CONFIGS)


def test_compare_by_origin(results):
    text = regbench("compare", results, results, "--by-origin", "--json")
    origins = dict.fromkeys(row["origin"] for row in assert_holds(text, "compare"))
    assert [each.split("/")[-1] for each in origins] == ["results (1)", "results (2)"]


def test_study(tmp_path):
    folder = judged(tmp_path / "runs", gap={"baseline": 0, "l1": 14, "l2": 14, "dropout": 14})
    text = regbench("study", STUDY, "--results", folder, "--no-run", "--json", code=0)
    content = assert_holds(text, "study-result")
    assert content["exit_code"] == 0


@pytest.mark.parametrize(("study", "key"), [("interactions", "effects"), ("variance", "variances")])
def test_study_with_sections_of_its_own(tmp_path, study, key):
    path = f"configs/studies/{study}.yaml"
    for number, each in enumerate(study_file.read(path).experiments):
        made_up_runs.write_run(tmp_path / "runs", each, number, 12, probed=False)
    text = regbench("study", path, "--results", tmp_path / "runs", "--no-run", "--json", code=None)
    assert assert_holds(text, "study-result")[key]


def test_data():
    assert_holds(regbench("data", "--json"), "data")


def test_plugins():
    assert_holds(regbench("plugins", "--json"), "plugins")


def test_plan_of_finished_runs(results):
    names = [f"configs/{name}.yaml" for name in CONFIGS]
    text = regbench("run", *names, "--seeds", "0-1", "--results", results, "--dry-run", "--json")
    assert len(assert_holds(text, "plan")["runs"]) == 2 * len(CONFIGS)


def test_plan_with_every_key():
    run = PlannedRun("baseline", "44136fa3", 0, "interrupted", 1, 2, 3, 1, 2.5, "no memory")
    plan = Plan([run], 1, None, {"jax": ["baseline s0"]})
    assert_holds(json.dumps(json_schemas.versioned(plan.as_dict())), "plan")


def test_doctor():
    assert_holds(json.dumps([Check("l2", "penalty", "1", "1", True, "jax").as_dict()]), "doctor")


@pytest.mark.slow
def test_inspect():
    text = regbench("inspect", "configs/smoke.yaml", "--no-time", "--json")
    assert assert_holds(text, "inspect")["timing"] is None


def test_the_pages_say_which_schema_belongs_to_which_command():
    page = Path("docs/json.md").read_text(encoding="utf-8")
    for kind in json_schemas.KINDS:
        assert f"`regbench schema {kind}`" in page


def next_of(folder, *more, code=0):
    text = regbench("study", STUDY, "--results", folder, "--no-run", "--json", *more, code=code)
    return json.loads(text)["next"]


def test_the_next_command_trains_the_runs_that_are_missing(tmp_path, monkeypatch):
    folder = judged(tmp_path / "runs", seeds=range(2))
    command = ["regbench", "study", STUDY, "--results", str(folder), "--no-run", "--json"]
    monkeypatch.setattr("sys.argv", command)
    found = next_of(folder)
    assert found["state"] == "train"
    assert found["reason"] == "12 of 20 runs are missing"
    assert found["command"] == command[:-2]


def test_an_open_claim_asks_for_fresh_seeds_in_a_folder_of_their_own(tmp_path, monkeypatch):
    from regbench.studies import next_step
    from regbench.studies import run as studies

    folder = judged(tmp_path / "runs")
    result = studies.judge(study_file.read(STUDY), folder)
    opened = [
        dataclasses.replace(each, decision="undecided", needed=24) for each in result.verdicts
    ]
    command = ["regbench", "study", STUDY, "--seeds", "0-4", f"--results={folder}", "--no-run"]
    found = next_step.after(dataclasses.replace(result, verdicts=opened), folder, command)
    assert found.state == "fresh seeds"
    own = tmp_path / "runs-s5-28"
    assert found.command == [*command[:3], "--seeds", "5-28", "--results", str(own)]
    decided = [dataclasses.replace(each, decision="supported") for each in result.verdicts]
    done = next_step.after(dataclasses.replace(result, verdicts=decided), folder, command)
    assert (done.state, done.command) == ("decided", None)
