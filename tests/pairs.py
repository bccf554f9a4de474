"""Every technique in every network: toy experiments, made from the registries and the configs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from regbench import config
from regbench.builders import BUILDERS
from regbench.config import Experiment
from regbench.regularizers import REGULARIZERS, Regularizer

PAGE = Path("docs/models.md")
ROW = re.compile(r"^\| `(\w+)` \| (`[\w`, ]+`) \| (.+?) \|$", re.MULTILINE)
DATA = {"name": "shapes", "train_examples": 60, "test_examples": 30}
TRAIN = {"epochs": 2, "batch_size": 25}
CNN = {"blocks": (8, 8), "dense": (16,)}


def _techniques() -> dict[str, dict[str, Regularizer]]:
    """Return the values of one toggle by the shipped config that sets only that, each once."""
    found: dict[str, dict[str, Regularizer]] = {}
    for path in sorted(Path("configs").glob("*.yaml")):
        for experiment in config.load_all([path]):
            name = experiment.model.name
            base = config.load(f"configs/{'baseline' if name == 'cnn' else name}.yaml")
            changed = [
                each for each in REGULARIZERS if getattr(experiment, each) != getattr(base, each)
            ]
            value = {each: getattr(experiment, each) for each in changed}
            if len(changed) == 1 and value not in found.values():
                found[path.stem] = value
    return found


TECHNIQUES = _techniques()


def experiment(technique: str, name: str, **keys: Any) -> Experiment:
    """Return the experiment of a pair, as small as it can be."""
    made = {"name": technique, **_network(name), **TECHNIQUES[technique], **keys}
    if any(REGULARIZERS[each].needs_validation for each in TECHNIQUES[technique]):
        made["data"] = DATA | {"validation_examples": 20}
    return Experiment(**made)


def plain(name: str, **keys: Any) -> Experiment:
    """Return the experiment of a network without techniques."""
    return Experiment(**{"name": name, **_network(name), **keys})


def _network(name: str) -> Mapping[str, Any]:
    small = BUILDERS[name]().shrunk().model_dump() | (CNN if name == "cnn" else {})
    return {"data": DATA, "model": small | {"name": name}, "train": TRAIN}


def documented() -> dict[tuple[str, str], str]:
    """Return what the guide says a network lacks, by technique and network."""
    rows = ROW.findall(PAGE.read_text(encoding="utf-8"))
    return {
        (config, name): why for config, names, why in rows for name in re.findall(r"\w+", names)
    }
