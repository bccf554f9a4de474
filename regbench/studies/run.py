"""Studies from Python: run one and judge its claims, as `regbench study` does.

    result = regbench.study("configs/studies/overfitting.yaml")
    for verdict in result.verdicts:
        print(verdict.claim.text, verdict.decision)

In a script, call it under `if __name__ == "__main__":`, as `regbench.sweep.run`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from regbench import files, runs
from regbench.analysis import metrics
from regbench.config.changes import changes
from regbench.runs import Results, Warn, elsewhere, judged, storage
from regbench.studies import (
    data_sets,
    factor_effects,
    looks,
    made_elsewhere,
    markdown,
    trials,
    variances,
    verdicts,
)
from regbench.studies import file as study_file
from regbench.studies.differences import Runs
from regbench.studies.file import Study
from regbench.studies.pairs import Pairs
from regbench.studies.result import StudyResult, VariantResult
from regbench.sweeps.options import Options
from regbench.sweeps.sweep import Outcome

if TYPE_CHECKING:
    import pandas

# Written beside the run folders; comparisons read only those.
TABLE = "verdicts.md"


def run(
    path: str | Path,
    profile: str | None = None,
    results: str | Path | None = None,
    *,
    seeds: Sequence[int] | None = None,
    overrides: Sequence[str] = (),
    warn: Warn | None = None,
    **options: Unpack[Options],
) -> StudyResult:
    """Train the missing runs of a study, judge its claims, and write the verdicts beside the runs.

    Args:
        path: the study's file.
        profile: the name of one of its profiles; by default the first.
        results: the folder of its runs; by default `results/studies/<study>`, or
            `results/studies/<study>-<profile>` with another profile than the file's first.
        seeds: seeds to train instead of the profile's.
        overrides: changes to every variant, such as "train.epochs=5".
        warn: called with a line for each results folder that can't be read.
        options: see `regbench.sweep.run`: backend, device, jobs, threads, observer and so on.

    Raises:
        ConfigError: the file is invalid; the message has a line for each error.
        RegbenchError: the study can't start.
    """
    study = study_file.read(path, profile, seeds, overrides)
    return run_study(study, results or default_results(study), warn=warn, **options)


def run_study(
    study: Study, results: str | Path, *, warn: Warn | None = None, **options: Unpack[Options]
) -> StudyResult:
    """Run and judge a study that has been read; the arguments are those of `run`."""
    folder = Path(results)
    study = trials.settle(study, folder, **options)
    outcome = looks.train(study, folder, lambda until: judge(until, folder).verdicts, **options)
    result = judge(study, folder, outcome, warn)
    save(result, folder)
    return result


def judge(
    study: Study,
    results: str | Path,
    outcome: Outcome | None = None,
    warn: Warn | None = None,
    *,
    shown: Sequence[str] = (),
) -> StudyResult:
    """Judge a study by the runs that exist, without training or writing anything.

    Two runs of a seed are compared if `regbench.analysis.pairing` finds that they make a pair.

    Args:
        shown: metrics to measure beside those that claims are about.
        results: the folder of its runs, with or without a bundle of its own, or a bundle; or runs
            that regbench did not make, see `regbench.studies.made_elsewhere`.
    """
    contest = None
    if study.contest and not elsewhere.is_elsewhere(Path(results)):
        contest = trials.read(study.contest, trials.folder(Path(results)))
        study = trials.settled(study, contest)
    frame = _load(study, Path(results), warn)
    claimed = (claim.metric for claim in study.claims)
    named = dict.fromkeys([*markdown.SHOWN, *claimed, *shown])
    table = metrics.table(frame, list(named), warn)
    pairs = Pairs(study, frame, warn)
    judging = looks.judge if study.looks else verdicts.judge
    judged = judging(study, table, warn, pairs=pairs)
    earlier = looks.judged_before(study, Path(results))
    if earlier and warn:
        warn(looks.added(earlier))
    return StudyResult(
        study,
        _variants(study, table),
        judged,
        outcome,
        judged_before=earlier,
        contest=contest,
        variances=variances.of_study(study, frame, warn),
        interquartile=data_sets.interquartile(study, Runs(study, table)),
        effects=factor_effects.judge(study, list(named), table, pairs),
    )


def _load(study: Study, results: Path, warn: Warn | None) -> Results:
    """Return the study's own runs: the folder may hold others. Missing ones are counted."""
    if elsewhere.is_elsewhere(results):
        return made_elsewhere.load(study, results, warn)
    found = [storage.find(results, each.run_name) for each in study.experiments]
    return runs.load([each for each in found if each], warn)


def save(result: StudyResult, results: Path) -> None:
    """Write the verdicts beside the runs they are based on."""
    results.mkdir(parents=True, exist_ok=True)
    text = json.dumps(result.as_dict(), indent=2, allow_nan=False)
    files.write(results / judged.VERDICTS, text + "\n")
    files.write(results / TABLE, markdown.markdown(result))


def default_results(study: Study) -> Path:
    """Return the default folder of a study's runs."""
    return Path("results/studies") / study.label


def _variants(study: Study, table: pandas.DataFrame) -> list[VariantResult]:
    first = next(iter(study.variants.values())).brief()
    columns = [name for name in table.columns if name not in (*metrics.IDENTITY, metrics.EPOCHS)]
    found = []
    for name, experiment in study.variants.items():
        rows = table[(table["name"] == name) & (table["config_hash"] == experiment.hash)]
        completed = rows[rows["status"] == "completed"]
        found.append(
            VariantResult(
                name=name,
                config_hash=experiment.hash,
                changes=changes(first, experiment.brief()) or {},
                runs=len(rows),
                diverged=len(rows) - len(completed),
                metrics={each: metrics.interval(completed[each].to_numpy()) for each in columns},
            )
        )
    return found
