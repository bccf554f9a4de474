"""A network whose weights no memory holds is refused before any is asked for."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from regbench import config
from regbench.errors import RegbenchError
from regbench.models import build, memory


def experiment(*overrides):
    return config.load("configs/baseline.yaml", overrides)


@pytest.mark.parametrize(
    ("override", "key", "size"),
    [
        ("model.dense=[1000000,1000000]", r"model\.dense\[0\]", "3.73e+03"),
        ("model.blocks=[8,1000000,1000000]", r"model\.blocks\[1\]", "1.01e+05"),
    ],
)
def test_a_network_of_terabytes_is_refused_naming_the_key(override, key, size):
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + 2**31, before[1]))
    try:
        with pytest.raises(
            RegbenchError, match=rf"^{key}: expected .* weights need \S+ GiB"
        ) as found:
            build.build(experiment(override), (32, 32, 3), 10)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
    assert size in str(found.value)


def test_a_network_is_refused_on_a_machine_that_is_too_small_alone(monkeypatch):
    wide = experiment("model.blocks=[2]", "model.dense=[3000]")
    assert build.build(wide, (32, 32, 3), 10).count_params() > 10**6
    monkeypatch.setattr(memory, "memory", lambda: 2**20)
    with pytest.raises(RegbenchError, match=r"fits the 0.000977 GiB of this machine"):
        build.build(wide, (32, 32, 3), 10)


def test_a_usual_network_is_built_once(monkeypatch):
    monkeypatch.setattr(memory, "memory", lambda: 0)
    build.build(experiment(), (32, 32, 3), 10)
