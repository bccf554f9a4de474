"""The same claims on drawn shapes and on CIFAR-10: the page that says where they disagree."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tests.evidence import shipped

PAGE = shipped.RESULTS.parent / "shapes_and_cifar10.md"
HEAD = """# Drawn shapes and CIFAR-10

Each claim of the studies, judged on 1,000 drawn shapes (profile `quick`) and on 5,000 images
of CIFAR-10 (profile `cifar10`), with another network; of `pooling_cost` on 250 and on 1,000.
Written by `python -m tests.evidence page`.

"""
# Verdicts that agree, that are decided on one data set alone, and that are opposite.
ALIKE, ONE, OPPOSITE = "", "±", "**≠**"


def page() -> str:
    """Return the page: what it comes to, then the claims of each study."""
    tables, opposite, marks = "", "", Counter[str]()
    for name, pairs in _studies():
        tables += f"\n## [`{name}`](studies/{name}-cifar10/verdicts.md)\n\n"
        tables += "| | claim | shapes | CIFAR-10 |\n|---|---|---|---|\n"
        for shapes, real in pairs:
            mark, text = _mark(shapes["decision"], real["decision"]), shapes["claim"]["text"]
            marks[mark] += 1
            if mark == OPPOSITE:
                opposite += f"- `{name}`: {text}.\n"
            cells = mark, text.replace("|", "\\|"), _told(shapes), _told(real)
            tables += f"| {' | '.join(cells)} |\n"
    summary = (
        f"Of {marks.total()} claims, {marks[ALIKE]} have the same verdict on both, {marks[ONE]} "
        f"are decided on\none alone ({ONE}); opposite verdicts ({OPPOSITE}): {marks[OPPOSITE]}.\n"
    )
    return HEAD + summary + (f"\n{opposite}" if opposite else "") + tables


def _mark(shapes: str, real: str) -> str:
    if shapes == real:
        return ALIKE
    return ONE if "undecided" in (shapes, real) else OPPOSITE


def _studies() -> Iterator[tuple[str, list[tuple[dict[str, Any], dict[str, Any]]]]]:
    for folder in sorted(shipped.RESULTS.glob("*-cifar10")):
        name = folder.name.removesuffix("-cifar10")
        both = (_verdicts(shipped.RESULTS / name), _verdicts(folder))
        yield name, list(zip(*both, strict=True))


def _verdicts(folder: Path) -> Iterable[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((folder / "verdicts.json").read_text("utf-8"))[
        "verdicts"
    ]
    return found


def _told(verdict: dict[str, Any]) -> str:
    """Return the decision and the difference with its interval, where there is one."""
    mean, low, high = (verdict[key] for key in ("mean", "low", "high"))
    if mean is None:
        return str(verdict["decision"])
    if low is None or high is None:
        return f"{verdict['decision']}: {mean:+.3g}"
    return f"{verdict['decision']}: {mean:+.3g} ({low:+.3g} to {high:+.3g})"
