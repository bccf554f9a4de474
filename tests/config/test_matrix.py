"""One config, several experiments: names, combinations, and errors that cite their place."""

import re
import subprocess
import sys

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regbench import config
from regbench.config import ConfigError, yaml12


def names(path, *overrides):
    return [each.name for each in config.load_all([path], overrides)]


def messages(path, *overrides):
    with pytest.raises(ConfigError) as error:
        config.load_all([path], overrides)
    return error.value.messages


def test_a_matrix_is_every_combination_named_after_what_was_changed(write):
    path = write("matrix: {dropout.dense: [0.2, 0.5], l2: [0, 1e-3]}")
    experiments = config.load_all([path])
    assert [each.name for each in experiments] == [
        "mine-dense_0.2-l2_0",
        "mine-dense_0.2-l2_0.001",
        "mine-dense_0.5-l2_0",
        "mine-dense_0.5-l2_0.001",
    ]
    rates = [each.dropout.dense for each in experiments]
    assert rates == [0.2, 0.2, 0.5, 0.5]
    assert ["l2" in each.regularizers for each in experiments] == [False, True, False, True]


def test_lists_in_zip_are_gone_through_together(write):
    zipped = "matrix: {zip: {model.blocks: [[16], [32, 64]], train.epochs: [3, 4]}, l2: [0, 1]}"
    experiments = config.load_all([write(zipped)])
    seen = {(each.model.blocks, each.train.epochs) for each in experiments}
    assert seen == {((16,), 3), ((32, 64), 4)}
    assert len(experiments) == 4
    assert experiments[0].name == "mine-blocks_16-epochs_3-l2_0"


def test_an_experiment_of_a_matrix_is_the_one_of_a_plain_file(write):
    (first, _) = config.load_all([write("matrix: {dropout.dense: [0.5, 0.1]}")])
    assert first.hash == config.load("configs/dropout.yaml").hash
    copy = write(config.dump(first), "copy.yaml")
    assert "matrix" not in copy.read_text()
    assert config.load(copy) == first


@given(values=st.lists(st.integers(1, 10**6), min_size=1, max_size=40, unique=True))
def test_names_are_distinct_valid_and_stable(tmp_path_factory, values):
    path = tmp_path_factory.getbasetemp() / f"{'n' * 40}.yaml"
    lists = ", ".join(f"[{value}, {value}]" for value in values)
    path.write_text(f"matrix: {{model.blocks: [{lists}]}}")
    found = names(path)
    assert len(set(found)) == len(values)
    assert all(re.fullmatch(config.NAME, name) for name in found)
    assert found == names(path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("matrix: {dropuot.dense: [1, 2]}", ':1:10: dropuot: unknown key; did you mean "dropout"?'),
        ("matrix: {dropout.dnese: [1, 2]}", 'dropout.dnese: unknown key; did you mean "dense"?'),
        ("matrix: {l2: [1, -1]}", ":1:18: l2: expected a number >= 0"),
        ("matrix: {l2: []}", ":1:14: matrix.l2: expected a list of at least one value"),
        ("matrix: {l2: 1}", ":1:14: matrix.l2: expected a list"),
        ("matrix: {}", ":1:9: matrix: expected lists of values by key"),
        ("matrix: [1]", ":1:9: matrix: expected lists of values by key"),
        ("matrix: {zip: {}}", "matrix.zip: expected lists of equal length"),
        ("matrix: {zip: {l1: [1], l2: [1, 2]}}", "equal length, received l1: 1, l2: 2"),
        ("matrix: {l2: [0, 0.0]}", "are the same experiment; leave one out"),
        ("matrix: {seed: [1, 2]}", "give several seeds with --seeds"),
        ("matrix: {name: [a, b]}", "named after what was changed"),
        ("matrix: {extends: [a.yaml]}", "belongs to a whole file"),
        ("matrix: {a..b: [1]}", "expected a key such as dropout.dense, received 'a..b'"),
        ("matirx: {l2: [1]}", 'matirx: unknown key; did you mean "matrix"?'),
        ("matrix: {l2: [1], zip: {l2: [1]}}", "it is in zip too"),
        ("matrix: {dropout: [{dense: 0.1}], dropout.dense: [0.2]}", "dropout sets it too"),
    ],
)
def test_a_wrong_matrix_is_cited_where_it_is_wrong(write, text, expected):
    found = messages(write(text))
    assert any(expected in message for message in found), found
    assert all("mine.yaml:1:" in message for message in found)


def test_a_matrix_that_explodes_is_refused_before_it_is_built(write):
    keys = ", ".join(f"k{index}: [1, 2, 3, 4]" for index in range(500))
    (message,) = messages(write(f"matrix: {{{keys}}}"))
    assert "expected at most 256 experiments" in message


def test_set_may_change_what_the_matrix_does_not(write):
    path = write("matrix: {dropout.dense: [0.2, 0.5]}")
    assert {each.train.epochs for each in config.load_all([path], ["train.epochs=3"])} == {3}
    assert (
        f"the matrix sets dropout.dense, at {path}:1:10" in messages(path, "dropout.dense=0.1")[0]
    )
    assert "the matrix sets dropout.dense" in messages(path, "dropout=0.1")[0]
    assert "matrix belongs in a file" in messages(path, "matrix=1")[0]


def test_where_one_experiment_is_expected_a_matrix_is_an_error(write):
    path = write("\nmatrix: {l2: [1, 2]}")
    with pytest.raises(ConfigError, match=r"mine\.yaml:2:1: matrix: expected one experiment"):
        config.load(path)
    done = subprocess.run(
        [sys.executable, "-m", "regbench", "inspect", str(path)], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "expected one experiment, received 2" in done.stderr


def test_a_file_with_a_matrix_is_not_extended(write):
    write("matrix: {l2: [1, 2]}", "base.yaml")
    (message,) = messages(write("extends: base.yaml"))
    assert "expected one experiment, received the matrix at" in message


def test_the_schema_knows_a_matrix():
    fine = "matrix: {l2: [0, 1e-3], zip: {l1: [0, 1], train.epochs: [1, 2]}}"
    jsonschema.validate(yaml12.parse(fine, "fine").root.plain(), config.schema())
    for wrong in ({"matrix": {}}, {"matrix": {"l2": []}}, {"matrix": {"zip": {"l1": 3}}}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, config.schema())
