"""Runs that regbench did not make, judged by a study: their names say which variant they are."""

from __future__ import annotations

from pathlib import Path

from regbench import runs
from regbench.errors import RegbenchError, Warn
from regbench.runs import Results
from regbench.studies.file import Study
from regbench.text import listed, one_line


def load(study: Study, path: Path, warn: Warn | None = None) -> Results:
    """Return the runs whose names are those of variants, with the variants' config hashes.

    Args:
        study: says which names are known.
        path: a table, or what another tool kept; see `regbench.runs.elsewhere`.
        warn: called with a line for runs that are left out, and for what is not known.

    Raises:
        RegbenchError: none has such a name, or the variants are tuned, which needs their trials.
    """
    shown = one_line(str(path))
    if study.contest:
        raise RegbenchError(
            f"{shown}: expected runs of regbench, with their trials, since this study tunes its "
            "variants; judge runs made elsewhere by a study without tune"
        )
    loaded = runs.load(path, warn)
    names = loaded.frame["name"]
    known = names.isin(study.variants)
    others = sorted(set(names[~known]))
    if not known.any():
        raise RegbenchError(
            f"{shown}: expected runs with the names of the study's variants "
            f"({listed([*study.variants])}), received {listed(others)}"
        )
    frame = loaded.frame[known].copy()
    frame["config_hash"] = [study.variants[name].hash for name in frame["name"]]
    if warn:
        if others:
            warn(f"{shown}: left out, no variant has this name: {listed(others)}")
        warn(
            f"{shown}: runs belong to variants by their names alone; whether they were trained as "
            "the study says is not known"
        )
    return Results(frame, measures=loaded.measures, elsewhere=loaded.elsewhere)
