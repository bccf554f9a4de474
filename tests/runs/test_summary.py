"""`summary.json`: what is known is checked, what is not is kept."""

import json
import math

import pytest

from regbench.runs import summary
from regbench.runs.summary import Summary
from tests import made_up_runs

OLD = {  # what the first version wrote
    "name": "dropout", "config_hash": "44136fa3", "seed": 0, "status": "completed",
    "epochs": 2, "parameters": 550_570,
}  # fmt: skip


def test_keys_keep_their_order_and_those_of_a_later_version_are_written_back():
    content = OLD | {"gap": 0.5, "later": {"a": [1, None]}}
    assert json.dumps(Summary.of(content).as_dict()) == json.dumps(content)


def test_what_an_older_version_did_not_write_is_unknown(tmp_path):
    (tmp_path / "summary.json").write_text(json.dumps(OLD))
    read = summary.read(tmp_path)
    assert (read.test_examples, read.data, read.wall_seconds) == (None, None, None)
    assert math.isnan(read.test_accuracy)
    assert read.as_dict() == OLD


def test_null_stands_for_what_is_no_number():
    assert math.isnan(made_up_runs.summary(status="diverged", test_loss=None).test_loss)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", "../x"), ("name", "x\n"), ("seed", True), ("seed", 2**63), ("seed", -1),
        ("status", "failed"), ("epochs", 1.0), ("gap", "1"), ("gap", 10**400),
        ("test_examples", -1), ("data", {"pool": "A" * 64}), ("probes_failed", ["dropout"]),
    ],
)  # fmt: skip
def test_a_damaged_value_is_named(key, value):
    with pytest.raises(ValueError, match=rf"^{key}: unexpected value ."):
        Summary.of(OLD | {key: value})


def test_a_changed_summary_is_another_one():
    before = made_up_runs.summary()
    after = before.with_keys(wall_seconds=3.0)
    assert (before.wall_seconds, after.wall_seconds) == (None, 3.0)
