"""Reading a study: variants, seeds and claims, and errors that cite their place."""

import json
import re
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regbench import config
from regbench.analysis import metrics
from regbench.config import ConfigError, yaml12
from regbench.errors import RegbenchError
from regbench.studies import file as study_file

STUDIES = sorted(Path("configs/studies").glob("*.yaml"))
BASE = Path("configs/baseline.yaml").resolve()
STUDY = f"""\
question: Does dropout narrow the gap?
base: {BASE}
set: {{train.epochs: 3, l2: 1e-3}}
profiles:
  quick: {{seeds: 0-4, set: {{train.epochs: 4}}}}
  full: {{seeds: [1, 5]}}
variants:
  baseline: {{}}
  dropout: {{set: {{dropout.dense: 0.5}}}}
  file: {{config: {BASE.parent}/dropout.yaml, set: {{train.epochs: 5}}}}
  rates: {{matrix: {{dropout.dense: [0.2, 0.3]}}}}
claims:
  - text: It does
    metric: gap
    variant: dropout
    against: baseline
    expect: lower
"""


def messages(path, *overrides):
    with pytest.raises(ConfigError) as error:
        study_file.read(path, overrides=overrides)
    return error.value.messages


def messages_if_any(path):
    """Return what is said of the file; nothing else may come of reading it."""
    try:
        study_file.read(path)
    except ConfigError as error:
        return error.messages
    return []


def test_a_config_is_no_study_and_the_error_names_the_command_for_it():
    (line,) = messages("configs/l2.yaml")
    assert line.endswith(
        "expected a study, received a config; train it with: regbench run configs/l2.yaml"
    )


def test_a_wrong_item_is_not_also_told_as_a_list_that_is_too_short(write):
    (line,) = messages(write(STUDY.replace("expect: lower", "expect: less")))
    assert line.endswith('claims[0].expect: expected lower, higher or same, received "less"')


def test_what_a_study_lacks_is_said_in_words(write):
    start, end = STUDY.index("profiles:"), STUDY.index("variants:")
    (line,) = messages(write(STUDY[:start] + STUDY[end:]))
    assert line.endswith("profiles: missing; expected a mapping by name")
    (line,) = messages(write(STUDY[:end] + STUDY[STUDY.index("claims:") :]))
    assert "variants: missing" in line


def test_a_variant_is_base_then_set_then_profile_then_its_own_then_options(write):
    path = write(STUDY)
    study = study_file.read(path)
    epochs = {name: each.train.epochs for name, each in study.variants.items()}
    assert epochs == {
        "baseline": 4, "dropout": 4, "file": 5, "rates-dense_0.2": 4, "rates-dense_0.3": 4,
    }  # fmt: skip
    assert {each.brief()["l2"] for each in study.variants.values()} == {1e-3}
    assert study.variants["dropout"].dropout == study.variants["file"].dropout
    assert study_file.read(path, "full").variants["baseline"].train.epochs == 3
    changed = study_file.read(path, overrides=["train.epochs=9"])
    assert {each.train.epochs for each in changed.variants.values()} == {9}


def test_an_option_is_for_the_profile_that_runs(write):
    drawn = (
        STUDY.replace("quick: {", "quick: {")
        .replace("full: {seeds: [1, 5]}", "full: {seeds: [1, 5], set: {data.name: mnist}}")
        .replace("set: {train.epochs: 3, ", "set: {data.name: shapes, train.epochs: 3, ")
    )
    full = study_file.read(write(drawn), "full", overrides=["data.path=there.gz"])
    assert full.variants["baseline"].data.path == "there.gz"
    (line, *_) = messages(write(drawn), "data.path=there.gz")
    assert "shapes is drawn, not read" in line


def test_seeds_are_those_of_the_profile_unless_others_are_asked_for(write):
    path = write(STUDY)
    assert study_file.read(path).seeds == (0, 1, 2, 3, 4)
    assert study_file.read(path, "full").seeds == (1, 5)
    study = study_file.read(path, seeds=[7, 8])
    assert study.seeds == (7, 8)
    assert [each.seed for each in study.experiments] == [7] * 5 + [8] * 5


def test_an_unknown_profile_is_said_with_those_that_there_are(write):
    with pytest.raises(RegbenchError, match="has quick, full, received 'quik'"):
        study_file.read(write(STUDY), "quik")


# ruff: noqa: E501 -- a case is a line
@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("question:", "qestion:", '1:1: qestion: unknown key; did you mean "question"?'),
        ("question: Does", "question: 3 #", "1:11: question: expected text, received 3"),
        ("base: ", "base: no", "2:7: base: "),
        ("base: ", "bsae: ", "base: missing; expected the config that the variants change"),
        ("set: {train.epochs: 3", "set: {trian.epochs: 3", '3:7: trian: unknown key; did you mean "tr'),
        ("set: {train.epochs: 3", "set: {train.epochs: x", "3:21: train.epochs: expected an integer"),
        ("set: {train.epochs: 3", "set: {seed: 3", "3:7: set: seed can't be set here"),
        ("seeds: 0-4", "seeds: 4-0", "5:18: profiles.quick.seeds: expected distinct seeds"),
        ("seeds: 0-4", "seeds: 0-999999999", "5:18: profiles.quick.seeds: expected at most 10000"),
        ("seeds: 0-4", "seeds: 1.5", "5:18: profiles.quick.seeds: expected"),
        ("seeds: 0-4", "sedes: 0-4", 'profiles.quick.sedes: unknown key; did you mean "seeds"?'),
        ("dropout: {set", "dropout: {ste", '9:13: variants.dropout.ste: unknown key; did you mean "set"'),
        ("dropout.dense: 0.5", "dropuot.dense: 0.5", 'dropuot: unknown key; did you mean "dropout"?'),
        ("dropout.dense: 0.5", "dropout.dense: 1.5", "9:34: dropout.dense: expected a number >= 0"),
        ("/dropout.yaml", "/drop.yaml", "variants.file.config: "),
        ("matrix: {dropout.dense: [0.2, 0.3]}", "matrix: {}", "matrix: expected lists of values"),
        ("  dropout: {", "  ../up: {", "variants: expected a name of letters, digits"),
        ("variant: dropout", "variant: droput", 'no variant \'droput\'; did you mean "dropout"?'),
        ("variant: dropout", "variant: rates", "15:14: claims[0].variant: no variant 'rates'"),
        ("against: baseline", "against: x", "16:14: claims[0].against: no variant 'x'; expected one"),
        ("metric: gap", "metric: gpa", "14:13: claims[0].metric: expected one of"),
        ("expect: lower", "expect: less", "17:13: claims[0].expect: expected lower, higher or same"),
        ("expect: lower", "expect: lower\n    margin: -1", "18:13: claims[0].margin: expected a number"),
        ("    expect: lower\n", "", "claims[0].expect: missing; expected lower, higher or same"),
        (
            "against: baseline",
            "against: 0.1\n    beyond: {variant: dropout, against: baseline}",
            "claims[0].beyond: expected against to be a variant, received 0.1",
        ),
    ],
)  # fmt: skip
def test_a_wrong_study_is_cited_where_it_is_wrong(write, old, new, expected):
    assert old in STUDY
    found = messages(write(STUDY.replace(old, new, 1)))
    assert any(expected in message for message in found), found
    assert all("\n" not in message for message in found)


@pytest.mark.parametrize("text", ["", "[]", "x", "- 1", "a: &a [*a]", "\t"])
def test_what_is_no_mapping_is_one_error(write, text):
    assert len(messages(write(text))) == 1


def test_a_profile_that_is_not_asked_for_is_checked_too(write):
    (message,) = messages(write(STUDY.replace("seeds: [1, 5]", "seeds: 0, set: {l1: -1}")))
    assert "6:30: l1: expected a number" in message


def test_what_variants_share_is_said_once(write):
    found = messages(write(STUDY.replace("l2: 1e-3", "l2: -1")))
    assert len(found) == 1


def test_two_variants_may_be_the_same_config(write):
    study = study_file.read(write(STUDY.replace("dropout: {set", "dropout: {} #")))
    assert study.variants["dropout"].hash == study.variants["baseline"].hash


def test_a_set_of_what_a_matrix_sets_is_an_error(write):
    assert "the matrix sets dropout.dense" in messages(write(STUDY), "dropout.dense=0.1")[0]


@given(position=st.floats(0, 1), length=st.integers(0, 9), put=st.text(max_size=6))
def test_a_damaged_study_is_still_one_or_says_where_not(tmp_path_factory, position, length, put):
    start = int(position * len(STUDY))
    path = tmp_path_factory.getbasetemp() / "damaged.yaml"
    text = STUDY[:start] + put + STUDY[start + length :]
    path.write_text(text, encoding="utf-8", errors="replace", newline="")
    assert all(re.match(r"\S*\.yaml", message) for message in messages_if_any(path))


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_a_shipped_study_opens_with_modeline_purpose_command_and_time(path):
    lines = path.read_text().splitlines()
    assert lines[0] == "# yaml-language-server: $schema=schema.json"
    assert f"#   regbench study {path}" in lines
    assert any("two cores" in line for line in lines if line.startswith("#"))


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_a_shipped_study_fits_the_schema_and_every_profile_of_it_can_be_read(path):
    plain = yaml12.read(path, path.name).root.plain()
    jsonschema.validate(plain, study_file.schema())
    for profile in plain["profiles"]:
        assert len(study_file.read(path, profile).seeds) >= 3


def shipped_claims(profile):
    """Yield (study, claim, what is measured): claims of equal measure would be one claim twice."""
    for path in STUDIES:
        study = study_file.read(path, profile)
        for claim in study.claims:
            if claim.effect is not None:
                effect = study.factors.of_claim(claim.effect)
                yield study.name, claim, (claim.metric, study.name, effect)
                continue
            pairs = [(claim.variant, claim.against)]
            pairs += [(claim.beyond.variant, claim.beyond.against)] if claim.beyond else []
            hashes = [
                {study.variants[each].hash if isinstance(each, str) else each for each in pair}
                for pair in pairs
            ]
            yield study.name, claim, (claim.metric, tuple(map(frozenset, hashes)))


@pytest.mark.parametrize("profile", ["quick", "full"])
def test_what_a_shipped_study_claims_is_judged_nowhere_else(profile):
    judged = {}
    for study, claim, measured in shipped_claims(profile):
        assert measured not in judged, f"{study}: {claim.text}: see {judged[measured]}"
        judged[measured] = f"{study}: {claim.text}"


@pytest.mark.parametrize("profile", ["quick", "full"])
def test_a_shipped_claim_is_about_variants_that_differ_and_each_variant_is_in_a_claim(profile):
    for path in STUDIES:
        study = study_file.read(path, profile)
        hashes = [each.hash for each in study.variants.values()]
        named = {name for claim in study.claims for _, name in claim.names()}
        named |= set(study.factors.variants) if study.factors else set()
        if study.contest:  # whose winners differ once they are known; defaults are shown beside
            assert {name for name in study.variants if name.endswith("_tuned")} < named, path
            continue
        assert len(set(hashes)) == len(hashes), path
        assert named == set(study.variants), path


def test_a_shipped_claim_that_is_arithmetic_says_so_and_no_other_does():
    for study, claim, _ in shipped_claims("quick"):
        counted = claim.text.startswith("Counted - ")
        assert counted == metrics.metric(claim.metric).exact, f"{study}: {claim.text}"
        # Two measured numbers are never the same; within what margin has to be said.
        assert counted or claim.expect != "same" or claim.margin > 0, f"{study}: {claim.text}"


def test_the_schema_file_beside_the_studies_is_up_to_date():
    """After a change: regbench schema study > configs/studies/schema.json"""
    shipped = json.loads(Path("configs/studies/schema.json").read_text())
    assert shipped == json.loads(json.dumps(study_file.schema()))


def test_the_schema_refuses_what_reading_refuses():
    plain = yaml12.parse(STUDY, "study").root.plain()
    jsonschema.validate(plain, study_file.schema())
    for wrong in ({"question": 3}, {"claims": []}, {"profiles": {}}, {"variantz": {}}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(plain | wrong, study_file.schema())


def test_a_study_leaves_configs_alone():
    assert "matrix" not in config.load("configs/baseline.yaml").values()


def with_seeds(text):
    return STUDY.replace("seeds: 0-4", f"seeds: {text}")


def test_looks_double_from_the_first_to_the_most_unless_they_are_given(write):
    read = study_file.read(write(with_seeds("{first: 5, most: 40}")))
    assert read.looks.looks == (5, 10, 20, 40)
    assert read.looks.spending == "obrien_fleming"
    assert read.seeds == tuple(range(40))
    text = "{first: 3, most: 9, looks: [3, 5, 9], spending: pocock, start: 7}"
    read = study_file.read(write(with_seeds(text)))
    assert (read.looks.looks, read.looks.spending) == ((3, 5, 9), "pocock")
    assert read.seeds == tuple(range(7, 16))


def test_seeds_that_are_asked_for_are_judged_once_also_where_looks_are_declared(write):
    read = study_file.read(write(with_seeds("{first: 5, most: 40}")), seeds=[0, 1])
    assert (read.seeds, read.looks) == ((0, 1), None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "{frist: 5, most: 9}",
            '5:19: profiles.quick.seeds.frist: unknown key; did you mean "first"?',
        ),
        ("{first: 5}", "profiles.quick.seeds.most: missing; expected an integer >= 3"),
        ("{first: 1, most: 9}", "5:26: profiles.quick.seeds.first: expected an integer >= 2"),
        (
            "{first: 9, most: 9}",
            "5:18: profiles.quick.seeds: expected growing numbers of seeds in most, received [9, 9]",
        ),
        (
            "{first: 5, most: 9, looks: [5, 8]}",
            "expected looks from first (5) to most (9), received [5, 8]",
        ),
        (
            "{first: 5, most: 9, looks: [5, 5, 9]}",
            "expected growing numbers of seeds in looks, received [5, 5, 9]",
        ),
        (
            "{first: 5, most: 9, spending: all}",
            'seeds.spending: expected obrien_fleming or pocock, received "all"',
        ),
    ],
)
def test_looks_that_make_no_sense_are_said_with_their_place(write, text, expected):
    lines = messages(write(with_seeds(text)))
    assert any(expected in line for line in lines), lines


def test_looks_are_valid_by_the_schema(write):
    path = write(with_seeds("{first: 5, most: 40, spending: pocock}"))
    tree = yaml12.read(path, str(path)).root.plain()
    jsonschema.validate(tree, study_file.schema())


def test_same_needs_a_margin_unless_the_metric_is_counted(write):
    same = STUDY.replace("expect: lower", "expect: same")
    (line,) = messages(write(same))
    assert line.endswith(
        "claims[0].expect: same needs a margin above 0, the largest difference that does not matter"
    )
    assert study_file.read(write(same.replace("metric: gap", "metric: parameters")))
    assert study_file.read(write(same.rstrip() + "\n    margin: 0.02\n"))
