"""Rebuilds papers from Python, as `regbench reproduce` does.

    result = reproduce.run("srivastava2014-table9", "quick")
    for difference in result.differences:
        print(difference.text, difference.verdict)

In a script, call it under `if __name__ == "__main__":`, as `regbench.sweep.run`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

from regbench import files
from regbench.config import shipped
from regbench.errors import Warn
from regbench.papers import file as papers
from regbench.papers import markdown, result
from regbench.papers.file import Paper
from regbench.papers.result import PaperResult
from regbench.runs import bundle
from regbench.runs.judged import VERDICTS
from regbench.runs.storage import BUNDLE
from regbench.studies import run as studies
from regbench.sweeps import sweep
from regbench.sweeps.options import Options
from regbench.sweeps.sweep import Outcome

TABLE = "table.md"


@dataclass(frozen=True)
class Listed:
    """A shipped paper in the list: its profiles, each with its number of runs and its cost."""

    name: str
    title: str
    source: str
    profiles: dict[str, str]


def run(
    name: str | Path,
    profile: str | None = None,
    results: str | Path | None = None,
    *,
    seeds: Sequence[int] | None = None,
    overrides: Sequence[str] = (),
    warn: Warn | None = None,
    **options: Unpack[Options],
) -> PaperResult:
    """Train the missing runs of a paper and judge it.

    Args:
        name: that of a shipped paper, or a file's path.
        profile: the name of one of its profiles; by default the first.
        results: the folder of its runs; by default `results/papers/<name>`.
        seeds: seeds to train instead of the profile's.
        overrides: changes to every row, such as "train.epochs=5".
        warn: called with a line for each results folder that can't be read.
        options: see `regbench.sweep.run`: backend, device, jobs, threads, observer and so on.

    Raises:
        ConfigError: the file is invalid; the message has a line for each error.
        RegbenchError: the runs can't start.
    """
    paper = papers.read(name, profile, seeds, overrides)
    return run_paper(paper, results or default_results(paper), warn=warn, **options)


def run_paper(
    paper: Paper, results: str | Path, *, warn: Warn | None = None, **options: Unpack[Options]
) -> PaperResult:
    """Train the missing runs of a paper that has been read, and judge it; see `run`."""
    outcome = sweep.run(paper.study.experiments, results, **options)
    found = judge(paper, results, outcome, warn)
    save(found, Path(results))
    return found


def judge(
    paper: Paper,
    results: str | Path,
    outcome: Outcome | None = None,
    warn: Warn | None = None,
) -> PaperResult:
    """Judge a paper by the runs that exist, without training or writing anything.

    Args:
        results: the folder of its runs, with or without a bundle of its own, or a bundle.
    """
    shown = [each.metric for each in paper.file.columns.values()]
    found = studies.judge(paper.study, results, outcome, warn, shown=shown)
    return result.of_study(paper, found)


def save(found: PaperResult, folder: Path) -> None:
    """Write the table and the verdicts into a folder."""
    files.make_folder(folder)
    text = json.dumps(found.as_dict(), indent=2, allow_nan=False)
    files.write(folder / VERDICTS, text + "\n")
    files.write(folder / TABLE, markdown.markdown(found))


def publish(found: PaperResult, results: str | Path, folder: Path) -> None:
    """Write a paper's runs as a bundle, without models, and its table and verdicts.

    From that folder, `regbench reproduce NAME --no-run --results FOLDER` prints the same again.
    """
    from regbench.runs import storage

    places = [storage.find(Path(results), each.run_name) for each in found.paper.study.experiments]
    files.make_folder(folder)
    bundle.write([each for each in places if each], folder / BUNDLE, models=False)
    save(found, folder)


def default_results(paper: Paper) -> Path:
    """Return the default folder of a paper's runs."""
    return Path("results/papers") / paper.name


def listed() -> list[Listed]:
    """Return the shipped papers with what each of their profiles costs."""
    found = []
    for name in shipped.names("paper"):
        paper = papers.read(name)
        source = paper.file.source
        costs = {
            each: f"{len(papers.read(name, each).study.experiments)} runs, {profile.cost}"
            for each, profile in paper.file.profiles.items()
        }
        cited = f"{source.authors} {source.year}, {source.table}"
        found.append(Listed(name, paper.file.title, cited, costs))
    return found
