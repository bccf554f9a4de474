"""From YAML to an experiment: precedence, inheritance, hashes, and errors that cite their place."""

import json
import pickle
import re
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regbench import config
from regbench.config import ConfigError, seeds, yaml12
from regbench.regularizers import REGULARIZERS

CONFIGS = sorted(Path("configs").glob("*.yaml"))


def messages(path, *overrides):
    with pytest.raises(ConfigError) as error:
        config.load(path, overrides)
    return error.value.messages


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("early_stopping: 5", "early_stopping: expected validation examples, since the test set"),
        ("{ema: true, swa: true}", "ema and swa: expected one technique that averages weights"),
        ("gradient_clipping: {clipnorm: 1, clipvalue: 1}", "received clipnorm and clipvalue"),
        ("gradient_clipping: {}", "expected one of global_clipnorm, clipnorm and clipvalue"),
        ("data: {validation_examples: 1.5}", "expected an integer >= 1"),
    ],
)
def test_techniques_that_do_not_fit_are_an_error(write, text, expected):
    (line,) = messages(write(text))
    assert expected in line


@pytest.mark.parametrize("text", ["", "# nothing but a comment\n", "---\n"])
def test_an_empty_file_is_an_error_and_never_the_baseline(write, text):
    path = write(text)
    (line,) = messages(path)
    assert line.startswith(f"{path}:")
    assert "expected keys such as extends: baseline.yaml, received an empty file" in line
    (line,) = messages(write("extends: mine.yaml", "other.yaml"))
    assert line.startswith(f"{path}:")
    assert "empty file" in line


def test_a_config_that_says_nothing_in_so_many_words_is_the_baseline_under_its_own_name(write):
    mine, baseline = config.load(write("{}")), config.load("configs/baseline.yaml")
    assert mine.name == "mine"
    assert mine.hash == baseline.hash
    assert list(mine.regularizers) == ["pooling"]


def test_a_file_that_is_missing_has_the_nearest_name_beside_it_suggested(write):
    path = write("l2: 1e-3", "dropout.yaml")
    (line,) = messages(path.with_name("droput.yaml"))
    assert line.endswith(f'droput.yaml: no such file; did you mean "{path}"?')
    (line,) = messages(write("extends: dropuot.yaml"))
    assert line.endswith(f'no such file; did you mean "{path}"?')
    (line,) = messages(path.with_name("quite-another.yaml"))
    assert line.endswith("no such file")


@pytest.mark.parametrize(
    ("change", "hint"),
    [
        ("epochs=3", 'did you mean "train.epochs"?'),
        ("dense=[8]", 'did you mean "model.dense", "dropout.dense" or "gaussian_dropout.dense"?'),
        ("model.epochs=3", 'did you mean "train.epochs"?'),
        ("dropuot=3", 'did you mean "dropout"?'),
    ],
)
def test_a_key_of_another_section_is_suggested_with_its_section(change, hint):
    (line,) = messages("configs/baseline.yaml", change)
    assert line.endswith(f"unknown key; {hint}")


def test_a_bare_number_is_the_rate_of_dropout_in_front_of_dense_layers(write):
    long, short = write("dropout: {dense: 0.3}", "a.yaml"), write("dropout: 0.3", "b.yaml")
    assert config.load(short).hash == config.load(long).hash
    assert config.load("configs/baseline.yaml", ["dropout=0.3"]).dropout.dense == 0.3
    both = config.load(write("extends: b.yaml\ndropout: {conv: 0.1}")).dropout
    assert (both.dense, both.conv) == (0.3, 0.1)
    assert config.load(short, ["dropout=0"]).dropout is None
    (line,) = messages(short, "dropout=1.5")
    assert "dropout: expected a mapping with dense, conv, input or a number >= 0 and < 1" in line
    (line,) = messages(short, "pooling=3")
    assert "pooling: expected a mapping with kind, size, stride, padding or max, average" in line


def test_a_study_is_no_config_and_the_error_names_the_command_for_it():
    (line,) = messages("configs/studies/pooling.yaml")
    assert line.endswith(
        "expected a config, received a study; "
        "run it with: regbench study configs/studies/pooling.yaml"
    )


def test_defaults_then_extends_then_the_file_then_set(write):
    write("train: {epochs: 2, batch_size: 2, learning_rate: 2e-3}", "base.yaml")
    path = write("extends: base.yaml\ntrain: {epochs: 3, batch_size: 3}")
    train = config.load(path, ["train.epochs=4"]).train
    assert (train.epochs, train.batch_size, train.learning_rate) == (4, 3, 2e-3)
    assert train.optimizer == "adam"


def test_a_resolved_config_extends_no_other_file():
    with pytest.raises(ConfigError, match="extends: expected a resolved config"):
        config.parse("extends: baseline.yaml\n", "stored")


def test_extends_is_relative_to_the_file_and_may_be_a_chain(write):
    write("l2: 1e-3", "deep/a.yaml")
    write("extends: deep/a.yaml\nl1: 1e-5", "b.yaml")
    experiment = config.load(write("extends: b.yaml\nbatch_norm: true"))
    assert list(experiment.regularizers) == ["l1", "l2", "batch_norm", "pooling"]


def test_a_name_is_not_inherited(write):
    write("name: base_name", "base.yaml")
    assert config.load(write("extends: base.yaml")).name == "mine"
    assert config.load(write("extends: base.yaml\nname: chosen")).name == "chosen"


@pytest.mark.parametrize(
    ("base", "change", "expected"),
    [
        ("pooling: average", "pooling: {size: 3}", ("average", 3)),
        ("pooling: {size: 3}", "pooling: average", ("average", 2)),
        ("pooling: {size: 3}", "pooling: {kind: average}", ("average", 3)),
    ],
)
def test_a_bare_toggle_replaces_and_a_mapping_changes(write, base, change, expected):
    write(base, "base.yaml")
    pooling = config.load(write(f"extends: base.yaml\n{change}")).pooling
    assert (pooling.kind, pooling.size) == expected


# Those that take neither `true` nor a half.
SWITCHED_ON = {"lp": "{p: 3, strength: 1e-3}"}


@pytest.mark.parametrize("off", ["null", "false", "0", "0.0", "~"])
@pytest.mark.parametrize("toggle", [name for name in REGULARIZERS if name != "pooling"])
def test_null_false_and_0_switch_a_technique_off(write, toggle, off):
    plain = "true" if REGULARIZERS[toggle].bare else "0.5"
    # Early stopping asks for validation examples.
    on = f"data: {{validation_examples: 10}}\n{toggle}: {SWITCHED_ON.get(toggle, plain)}"
    base = config.load(write(on, "on.yaml"))
    assert set(base.regularizers) == {toggle, "pooling"}
    experiment = config.load(write(f"extends: on.yaml\n{toggle}: {off}"))
    assert list(experiment.regularizers) == ["pooling"]


def test_what_does_nothing_has_the_baselines_hash(write):
    idle = write("dropout: {dense: 0, conv: 0.0}\nl2: 0\nlp: {p: 2, strength: 0}")
    assert config.load(idle).hash == config.load(write("{}")).hash


def test_the_hash_tells_values_apart_and_not_names_seeds_or_spelling(write):
    def hash_of(text):
        return config.load(write(text)).hash

    assert hash_of("l2: 1e-3") == hash_of("name: other\nseed: 7\nl2: 0.001")
    assert hash_of("pooling: {kind: average, size: 2}") == hash_of("pooling: average")
    distinct = ["{}", "l2: 1e-3", "l2: 2e-3", "l1: 1e-3", "batch_norm: true", "train: {epochs: 3}"]
    assert len({hash_of(text) for text in distinct}) == len(distinct)


def test_the_hashes_of_shipped_configs_do_not_change():
    """A folder of results is found again by its hash: a changed one would orphan every run."""
    hashes = {path.stem: config.load(path).hash for path in CONFIGS}
    assert hashes["baseline"] == hashes["max_pooling"] == "44136fa3"
    assert hashes["dropout"] == "c554be80"
    assert hashes["batch_norm"] == "1de392c8"


def test_all_errors_of_a_file_are_reported_with_line_and_column(write):
    path = write(
        "dropuot: {dense: 0.5}\n"
        "dropout: {dense: 1.5, covn: 0.1}\n"
        "l2: true\n"
        "lp: {p: 0.5}\n"
        "train:\n"
        "  epochs: 1.5\n"
        "  epochs: 2\n"
    )
    assert messages(path) == [
        f'{path}:1:1: dropuot: unknown key; did you mean "dropout"?',
        f"{path}:2:18: dropout.dense: expected a number >= 0 and < 1, received 1.5",
        f'{path}:2:23: dropout.covn: unknown key; did you mean "conv"?',
        f"{path}:3:5: l2: expected a number >= 0 and < 1000000 or null or false, received true",
        f"{path}:4:5: lp.strength: missing; expected a number >= 0 and < 1000000",
        f"{path}:4:9: lp.p: expected a number >= 1 and <= 16, received 0.5",
        f"{path}:6:11: train.epochs: expected an integer >= 1 and <= 100000, received 1.5",
        f'{path}:7:3: duplicate key "epochs", first at {path}:6:3',
    ]


def test_errors_of_all_files_are_reported_and_those_of_options_once(write):
    first, second = write("l1: x", "first.yaml"), write("l1: y", "second.yaml")
    with pytest.raises(ConfigError) as error:
        config.load_all([first, second], ["train.epochs=-1"])
    places = [message.split(": ")[0] for message in error.value.messages]
    assert places == ["--set train.epochs=-1", f"{first}:1:5", f"{second}:1:5"]


def refused(paths, overrides=(), seeds=None, smoke=()):
    """Return the one line with which files are refused."""
    with pytest.raises(ConfigError) as error:
        config.load_all(paths, overrides, seeds, smoke)
    (message,) = error.value.messages
    return message


def test_two_files_of_one_experiment_are_an_error_that_names_both(write):
    first, second = write("l2: 0.1\nname: x", "a.yaml"), write("l2: 1e-1\nname: x", "b.yaml")
    assert refused([first, second]) == (
        f"{first} and {second}: expected two experiments, received the same one: x with seed 0; "
        "give one of the files, or change only one"
    )
    assert refused([first, first]) == f"{first}: expected once, received twice"


def test_overrides_that_make_two_files_one_experiment_are_an_error_that_names_both(write):
    paths = [write("l2: 0.1", "a.yaml"), write("dropout: {dense: 0.5}", "b.yaml")]
    assert len(config.load_all(paths, ["name=x"])) == 2  # their hashes tell them apart
    changes = ["name=x", "l2=0.2", "dropout=null"]
    message = refused(paths, changes)
    assert message.startswith(f"{paths[0]} and {paths[1]}: expected two experiments, received ")
    assert "with --set name=x --set l2=0.2 --set dropout=null: x with seed 0" in message
    message = refused(paths, changes[1:])
    assert message.startswith(f"{paths[0]} and {paths[1]}: expected two experiments, but --set ")
    assert "the same one, under the names a and b" in message


def test_seeds_that_make_two_files_one_experiment_are_an_error_that_names_both(write):
    paths = [write(f"name: x\nseed: {seed}", f"{seed}.yaml") for seed in (0, 1)]
    assert [each.seed for each in config.load_all(paths)] == [0, 1]
    with pytest.raises(ConfigError) as error:
        config.load_all(paths, seeds=[3, 4])
    message, _ = error.value.messages  # a line for each seed
    assert message.startswith(f"{paths[0]} and {paths[1]}: ")
    assert "received the same one with --seeds: x with seed" in message


def test_the_same_experiment_under_two_names_is_fine_where_no_override_made_it_so(write):
    paths = [write("l2: 0.1", "a.yaml"), write("l2: 0.1", "again.yaml")]
    assert len(config.load_all(paths, ["train.epochs=3"])) == 2
    sizes = [write(f"data: {{train_examples: {n}}}", f"{n}.yaml") for n in (500, 600)]
    assert len(config.load_all(sizes, smoke=["data.train_examples=100"])) == 2


def test_an_error_in_an_extended_file_cites_that_file(write):
    base = write("l2: -1", "base.yaml")
    assert messages(write("extends: base.yaml"))[0].startswith(f"{base}:1:5: l2: expected")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "batch_norm: no",
            "batch_norm: expected a mapping with position",
        ),
        ("l2: '1e-3'", 'received "1e-3"'),
        ("l2: .inf", "received Infinity"),
        ("pooling: null", "stochastic, mixed or none, received null"),
        ("data: {train_examples: none}", 'or all, received "none"'),
        ("data: {name: image_folder}", "image_folder needs a path"),
        ("data: {name: shapes, path: x}", "shapes is drawn, not read"),
        ("train: {momentum: 0.5}", "momentum is for optimizer: sgd"),
        ("model: {blocks: [1, x]}", "model.blocks[1]: expected an integer >= 1"),
        ("model:", "model: expected a mapping with name, blocks"),
        ("seed: -1", "seed: expected an integer >= 0"),
        ("name: ../up", "name: expected a name of at most 64 letters"),
        ("- 1", "expected a mapping"),
        ("just text", "expected a mapping"),
        ("extends: nothing.yaml", "nothing.yaml: no such file"),
        ("extends: /etc/passwd", "expected the name of a .yaml or .yml file"),
        ("extends: mine.yaml", "circular extends: mine.yaml -> mine.yaml"),
        ("name: !!python/object:os.system x", "tags are not supported"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(write, text, expected):
    (message,) = messages(write(text))
    assert expected in message
    assert "\n" not in message


def test_files_in_a_long_row_are_refused(write):
    write("l2: 0.5", "0.yaml")
    for number in range(1, 1500):
        path = write(f"extends: {number - 1}.yaml", f"{number}.yaml")
    (message,) = messages(path)
    assert "extends: expected at most 50 files in a row, received more" in message
    assert config.load(path.with_name("49.yaml")).values()["l2"] == 0.5


def test_a_key_of_hundreds_of_parts_is_refused(write):
    key = ".".join(["a"] * 500)
    (message,) = messages(write(f"matrix:\n  {key}: [1, 2]"))
    assert "expected a key such as dropout.dense" in message
    with pytest.raises(ConfigError, match="expected KEY=VALUE"):
        config.load("configs/baseline.yaml", [f"{key}=1"])


@pytest.mark.parametrize("text", ["l2: '{}'", "{}: 1", "extends: '{}.yaml'", "!{} x", "*{}", "{}"])
def test_what_turns_text_around_in_a_terminal_is_escaped(write, text):
    """Such characters are printable by YAML's rules, and not by Python's."""
    for character in "\u202e\u200b\u2028":
        for message in messages(write(text.format(f"a{character}b"))):
            assert message.isprintable(), ascii(message)


@pytest.mark.parametrize(
    "content",
    [
        "key: [hunter2",
        "a: b: hunter2",
        "@hunter2",
        "%hunter2",
        "'hunter2",
        "\thunter2",
        "- a\nhunter2",
        "x: |\n  hunter2\n y",
        "-----BEGIN KEY-----\nhunter2: : =\n",
        "hunter2 hunter2",
        "{a: hunter2]",
        "token: hunter2",
    ],
)
def test_a_file_that_is_no_config_is_not_shown_by_extending_it(write, content):
    """Who sends a config could learn what is in a file from the error that comes back."""
    write(content, "secret.yaml")
    for message in messages(write("extends: secret.yaml")):
        assert "secret.yaml:" in message
        assert "hunter2" not in message


@pytest.mark.parametrize("name", ["x" * 300, "loop", "loop/a"])
def test_a_path_that_cannot_be_looked_up_is_cited(write, tmp_path, name):
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    (tmp_path / "loop").symlink_to("loop")
    (message,) = messages(write(f"extends: {name}.yaml"))
    assert re.fullmatch(r".*mine\.yaml:1:10: extends: .*(can't be read|no such file).*", message)


@pytest.mark.parametrize(
    "name", ["../../etc/hosts", "/proc/self/environ", "a.yaml/../b", "~/.ssh/id"]
)
def test_a_file_outside_that_is_no_config_by_its_name_is_not_opened(write, monkeypatch, name):
    path, opened = write(f"extends: {name}"), []
    read = yaml12.read
    monkeypatch.setattr(yaml12, "read", lambda *args: (opened.append(args[0]), read(*args))[1])
    (message,) = messages(path)
    assert "expected the name of a .yaml or .yml file" in message
    assert opened == [path]


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("train.epochs", "expected KEY=VALUE"),
        ("=3", "expected KEY=VALUE"),
        ("train..epochs=3", "expected KEY=VALUE"),
        ("train.epochs=[", "not YAML"),
        ("train.epochs=five", 'received "five"'),
        ("extends=base.yaml", "extends belongs in a file"),
        ("trian.epochs=3", 'did you mean "train"?'),
    ],
)
def test_a_wrong_option_is_cited_as_it_was_typed(override, expected):
    (message,) = messages("configs/baseline.yaml", override)
    assert message.startswith(f"--set {override}: ")
    assert expected in message


def test_a_file_whose_stem_is_no_name_asks_for_one(write):
    (message,) = messages(write("{}", "my config.yaml"))
    assert "name: expected a name of at most 64 letters, digits, _, . and -, received" in message


def test_a_long_text_of_seeds_is_cut_in_its_message():
    with pytest.raises(ValueError, match="expected seeds") as found:
        seeds.parse("9" * 5000)
    assert len(str(found.value)) < 200


def test_sgd_has_momentum_unless_told_otherwise(write):
    assert config.load(write("train: {optimizer: sgd}")).train.momentum == 0.9
    assert config.load(write("train: {optimizer: sgd, momentum: 0}")).train.momentum == 0
    assert config.load(write("{}")).train.momentum is None


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_dump_repeats_the_experiment(path, tmp_path):
    experiment = config.load(path).with_seed(3)
    copy = tmp_path / "config.yaml"
    copy.write_text(config.dump(experiment))
    assert config.load(copy) == experiment
    assert config.load(copy).run_name == experiment.run_name


@given(name=st.from_regex(config.NAME, fullmatch=True), seed=st.integers(0, 2**32 - 1))
def test_a_dump_quotes_what_yaml_would_read_as_something_else(name, seed):
    experiment = config.load("configs/baseline.yaml").model_copy(update={"name": name})
    text = config.dump(experiment.with_seed(seed))
    assert yaml12.parse(text, "dump").root.plain()["name"] == name


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_shipped_config_opens_with_modeline_purpose_command_and_time(path):
    lines = path.read_text().splitlines()
    assert lines[0] == "# yaml-language-server: $schema=schema.json"
    comment = [line for line in lines if line.startswith("#")]
    assert f"#   regbench run configs/{path.name}" in comment
    assert any("two cores" in line or "seconds" in line for line in comment)
    assert path.stem == "baseline" or "extends: baseline.yaml" in lines


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_shipped_config_fits_the_schema(path):
    jsonschema.validate(yaml12.read(path, path.name).root.plain(), config.schema())


@pytest.mark.parametrize(
    "wrong", [{"dropuot": 1}, {"l2": -1}, {"pooling": "foo"}, {"train": {"epochs": 0}}]
)
def test_the_schema_refuses_what_loading_refuses(wrong):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, config.schema())


def test_the_schema_file_beside_the_configs_is_up_to_date():
    """After a change: regbench schema > configs/schema.json"""
    assert json.loads(Path("configs/schema.json").read_text()) == config.schema()


def test_experiments_reach_worker_processes_unchanged():
    experiment = config.load("configs/all.yaml").with_seed(5)
    assert pickle.loads(pickle.dumps(experiment)) == experiment


def loaded_or_messages(path):
    """Return what is said of the file; nothing else may come of reading it."""
    try:
        config.load(path)
    except ConfigError as error:
        return error.messages
    return []


@given(st.text(max_size=200))
def test_any_text_is_a_config_or_cited_errors(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(text, encoding="utf-8", errors="replace", newline="")
    for message in loaded_or_messages(path):
        assert message.startswith(str(path))
        assert message.isprintable()


MUTATIONS = st.sampled_from(
    [
        "null",
        "[]",
        "{}",
        "-1",
        "1e400",
        "x: y",
        ": :",
        "&a *a",
        "!!binary x",
        "'",
        "{[",
        "\t",
        "yes",
    ]
)


@given(
    path=st.sampled_from(CONFIGS), position=st.floats(0, 1), length=st.integers(0, 9), put=MUTATIONS
)
def test_a_damaged_config_is_still_one_or_says_where_not(
    tmp_path_factory, path, position, length, put
):
    text = "".join(f"{line}\n" for line in path.read_text().splitlines() if line[:1] != "#")
    text = text.replace("extends: baseline.yaml", f"extends: {path.parent.resolve()}/baseline.yaml")
    start = int(position * len(text))
    damaged = tmp_path_factory.getbasetemp() / "damaged.yaml"
    damaged.write_text(text[:start] + put + text[start + length :])
    for message in loaded_or_messages(damaged):
        assert re.match(r"[^:]+damaged\.yaml:\d+:\d+: ", message), message
