"""A process that computes as a run does, and is as before once a fault has been found."""

from __future__ import annotations

import pytest

from regbench.execution import environment


@pytest.fixture(scope="session")
def settled():
    environment.settle(environment.Runtime("tensorflow", "cpu", 1))


@pytest.fixture
def patch(settled, monkeypatch):
    return monkeypatch.setattr
