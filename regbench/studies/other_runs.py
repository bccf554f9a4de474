"""Says why a results folder has no run of a study: those that it has are of other configs."""

from __future__ import annotations

from pathlib import Path

from regbench import runs
from regbench.config.changes import changes
from regbench.runs import elsewhere, storage
from regbench.studies.file import Study
from regbench.text import changes as written
from regbench.text import one_line


def note(study: Study, results: Path) -> str | None:
    """Return a line about a folder or bundle that has none of a study's runs; None if it has one.

    It names the settings in which a run of the same variant differs, such as another archive of
    the same images.
    """
    if study.contest or elsewhere.is_elsewhere(results):
        return None
    if any(storage.find(results, each.run_name) for each in study.experiments):
        return None
    line = f"{one_line(str(results))}: none of the {len(study.experiments)} runs of profile "
    line += f"{study.profile} is there"
    different = _differences(study, results) if results.exists() else {}
    if not different:
        return line
    settings = " ".join(f"--set {written({key: value})}" for key, value in different.items())
    return f"{line}; runs of the same variants are there with other settings, try: {settings}"


def _differences(study: Study, results: Path) -> dict[str, object]:
    """Return how a run of one of the study's variants differs; of several, the least different."""
    loaded = runs.load(results, lambda _: None, ends=True)
    found = [
        changes(study.variants[run.name].brief(), loaded.configs.get(run.config_hash))
        for run in loaded.runs
        if run.name in study.variants
    ]
    return min((each for each in found if each), key=len, default={})
