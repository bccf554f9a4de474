"""What a run recorded of its machine: read where it is sound, unknown where it is not."""

import json

import pytest

from regbench.runs import environments
from regbench.runs.environments import Environment

RECORDED = {
    "backend": "jax", "device": "auto", "devices": ["cpu:0"], "cpu": "A processor",
    "packages": {"keras": "3.15.1", "jax": "0.9", "tensorflow": "2.21", "pandas": "3.1"},
    "git_commit": "0123456789abcdef+",
}  # fmt: skip


def read(folder, content):
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / "environment.json").write_text(text)
    return environments.read(folder)


def test_only_packages_that_computed_count(tmp_path):
    found = read(tmp_path, RECORDED)
    assert found.packages == {"keras": "3.15.1", "jax": "0.9"}
    assert (found.backend, found.processor) == ("jax", "A processor")
    assert found.commit == "0123456789abcdef+"


def test_where_a_gpu_computed_the_processor_does_not_count(tmp_path):
    assert read(tmp_path, RECORDED | {"devices": ["cuda:0"]}).processor == "a GPU"
    hidden = RECORDED | {"devices": ["cuda:0"], "device": "cpu"}
    assert read(tmp_path, hidden).processor == "A processor"


def test_processors_of_one_name_are_told_apart_by_their_kind(tmp_path):
    own = {"family": "6.85.7", "instruction_sets": ["avx", "avx2"], "onednn": {"OPTS": "1"}}
    found = read(tmp_path, RECORDED | {"processor": own})
    assert found.kind == "6.85.7, 2 instruction sets, OPTS=1"
    assert read(tmp_path, RECORDED).kind is None


@pytest.mark.parametrize("content", ["", "[]", "{}", "[" * 100_000, '{"packages": 3}'])
def test_what_cannot_be_read_is_unknown(tmp_path, content):
    assert environments.read(tmp_path) == Environment()
    assert read(tmp_path, content) == Environment()


def test_hostile_values_are_short_and_printable_or_unknown(tmp_path):
    evil = "\x1b]0;owned\x07" + "x" * 1000
    found = read(
        tmp_path,
        {"backend": evil, "cpu": [evil], "git_commit": {}, "devices": [evil, 7]}
        | {"processor": {"family": evil, "instruction_sets": 3, "onednn": {evil: [evil]}}}
        | {"packages": {evil: evil, "keras": 3, "numpy": ""}},
    )
    ((package, version),) = found.packages.items()
    for text in (found.backend, package, version, found.kind):
        assert text.isprintable()
        assert len(text) < 250
    assert found.processor is found.commit is None
