"""The same claims on drawn shapes and on CIFAR-10: the page that says where they disagree."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tests.evidence import shipped

PAGE = shipped.RESULTS.parent / "shapes_and_cifar10.md"
HEAD = """# Drawn shapes and CIFAR-10

Each claim of the studies, judged on 1,000 drawn shapes (profile `quick`) and on 5,000 images
of CIFAR-10 (profile `cifar10`), with another network. Written by `python -m tests.evidence page`.

"""
ROW = "| {mark} | {text} | {shapes} | {cifar10} |\n"


def page() -> str:
    """Return the page: what it comes to, then the claims of each study."""
    tables, decided, opposite, differing = "", 0, [], 0
    for name, pairs in _studies():
        tables += f"## [`{name}`](studies/{name}-cifar10/verdicts.md)\n\n"
        tables += "| | claim | shapes | CIFAR-10 |\n|---|---|---|---|\n"
        for shapes, real in pairs:
            decisions = {shapes["decision"], real["decision"]}
            mark = ""
            if len(decisions) == 1:
                decided += 1
            elif "undecided" in decisions:
                mark, differing = "±", differing + 1
            else:
                mark = "**≠**"
                opposite.append(f"- `{name}`: {shapes['claim']['text']}.\n")
            text = shapes["claim"]["text"].replace("|", "\\|")
            told = {"shapes": _told(shapes), "cifar10": _told(real)}
            tables += ROW.format(mark=mark, text=text, **told)
        tables += "\n"
    claims = decided + differing + len(opposite)
    summary = (
        f"Of {claims} claims, {decided} have the same verdict on both, {differing} are decided on\n"
        f"one alone (±); opposite verdicts (**≠**): {len(opposite)}.\n\n"
    )
    found = "".join(opposite)
    return HEAD + summary + (f"{found}\n" if found else "") + tables.rstrip("\n") + "\n"


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
