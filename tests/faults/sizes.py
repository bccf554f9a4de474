"""Sizes that no machine has: refused soon, in little memory, by a line that names the key."""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from regbench import config
from regbench.config import seeds
from regbench.errors import RegbenchError
from tests.faults.report import Line
from tests.faults.strangers import LONGEST

NUMBERS = ("1000000001", "4294967296", "10000000000000", "9" * 30, "9" * 299, "1e300", "-1", "1.5")
# Keys of whole numbers; each has a number that it does not take.
KEYS = (
    "model.blocks", "model.dense", "model.convolutions", "model.kernel_size", "train.epochs",
    "train.batch_size", "data.train_examples", "data.test_examples", "seed",
)  # fmt: skip
LISTS = ("model.blocks", "model.dense")
SEEDS = (
    "0-4294967295", "0-4000000000", "4294967296", "0-" + "9" * 400, "9" * 5000, "0-9999,20000",
    "1,1", "5-1", "-1", "0--1", "0-4,", "", ",", "\u0661", "1e3", "0x10", "0-4-5", "--", "all",
)  # fmt: skip
MATRICES = (
    # Nine lists of ten: a billion combinations.
    {key: list(range(10)) for key in "abcdefghi"},
    {"seed": list(range(257))},
    {"l2": [0.1] * 100, "l1": [0.1] * 100},
    {"zip": {"l2": [1] * 300, "l1": [1] * 300}},
)
WIDE = ("model.blocks=[{0}]", "model.dense=[{0},{0}]", "model.blocks=[8,{0},{0}]")


def beyond_every_machine(folder: Path) -> Iterator[Line]:
    """Ask for sizes, seeds and combinations beyond every machine."""
    tries = bad = 0
    for name, ask, key in _asked(folder):
        tries += 1
        began = time.process_time()
        try:
            ask()
            problem: str | None = "accepted"
        except (RegbenchError, ValueError) as error:
            text = str(error)
            long = len(text) > 2000 or time.process_time() - began > LONGEST
            problem = None if key in text and not long else f"{text:.200}"
        except BaseException as error:
            problem = f"{type(error).__name__}: {error}"
        bad += problem is not None
        if problem:
            print(f"\n{name:.80}: {problem}", file=sys.stderr)
    yield Line(
        "a size, seed or matrix beyond every machine", tries, f"{bad} accepted or unclear", not bad
    )


def _asked(folder: Path) -> Iterator[tuple[str, Callable[[], object], str]]:
    """Yield what is asked for, by name, and the key that the message must name."""
    for key, number in itertools.product(KEYS, NUMBERS):
        if key == "seed" and number == "1000000001":  # which it may be
            continue
        value = f"[{number}]" if key in LISTS else number
        override = f"{key}={value}"
        yield override, _load(override), key
    for text in SEEDS:
        yield f"--seeds {text}", lambda text=text: seeds.parse(text), "seeds"
    for number, matrix in enumerate(MATRICES):
        path = folder / f"matrix{number}.yaml"
        path.write_text(f"matrix: {matrix}\n".replace("'", ""))
        yield f"matrix {matrix}", lambda path=path: config.load_all([path]), "matrix"
    from regbench.models import build  # imports Keras

    for form, width in itertools.product(WIDE, (500_000, 1_000_000)):
        wide = config.load("configs/baseline.yaml", [form.format(width)])
        if form == WIDE[0]:  # the flattened maps of one wide layer are as wide
            wide = config.load(
                "configs/baseline.yaml", [form.format(width), f"model.dense=[{width}]"]
            )
        yield form, lambda wide=wide: build.build(wide, (32, 32, 3), 10), "model."


def _load(override: str) -> Callable[[], object]:
    return lambda: config.load("configs/baseline.yaml", [override])
