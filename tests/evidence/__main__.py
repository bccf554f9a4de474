"""Make the shipped results, or check that the code still gives them.

python -m tests.evidence make [STUDY...]    train every run of the studies; an hour on two cores
python -m tests.evidence check [STUDY...]   train one seed of each study again, and compare
python -m tests.evidence page               write results/shapes_and_cifar10.md

Unless named, studies of CIFAR-10 are left out: they need an archive with the checksum in `shipped`
in the folder REGBENCH_DATA, and more time.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.evidence import data_sets, shipped
from tests.evidence.shipped import Study

# Runs are made here and shipped as bundles. Git ignores it, and a second `make` resumes.
WORK = Path("build/evidence")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.evidence", description=__doc__)
    parser.add_argument("action", choices=["make", "check", "page"])
    parser.add_argument(
        "studies", nargs="*", metavar="STUDY", help="their names; all of drawn images unless given"
    )
    arguments = parser.parse_args()
    if arguments.action == "page":
        data_sets.PAGE.write_text(data_sets.page(), encoding="utf-8")
        return
    known = {study.name: study for study in shipped.STUDIES}
    unknown = [name for name in arguments.studies if name not in known]
    if unknown:
        parser.error(f"expected some of {', '.join(known)}, received {', '.join(unknown)}")
    drawn = [name for name, study in known.items() if study.is_drawn]
    chosen = [known[name] for name in arguments.studies or drawn]
    if arguments.action == "make":
        for study in chosen:
            make(study)
    else:
        held = [check(study) for study in chosen]
        sys.exit(0 if all(held) else 1)


def make(study: Study) -> None:
    """Train a study's runs, and put its bundle, verdicts and curves where they are shipped."""
    runs = WORK / study.name
    _share(study, runs)
    _regbench("study", study.file, *study.options, "--results", runs, "--quiet", accept=(0, 1))
    study.folder.mkdir(parents=True, exist_ok=True)
    _regbench("bundle", runs, "--no-models", "-o", study.bundle)
    if study.read().contest:
        study.trials.parent.mkdir(exist_ok=True)
        _regbench("bundle", runs / study.trials.parent.name, "--no-models", "-o", study.trials)
        _regbench("report", runs, "-o", study.folder / "report.html")
    for name in ("verdicts.json", "verdicts.md"):
        shutil.copyfile(runs / name, study.folder / name)
    _regbench("compare", runs, "--plot", study.folder / "curves.svg")


def _share(study: Study, runs: Path) -> None:
    """Copy the study's runs that others have made: a run is the same whoever asks for it."""
    wanted = {each.run_name for each in study.read().experiments}
    for done in WORK.glob("*/*/summary.json"):
        copy = runs / done.parent.name
        if copy.name in wanted and not copy.exists():
            shutil.copytree(done.parent, copy, ignore=shutil.ignore_patterns(".lock"))


def check(study: Study) -> bool:
    """Train the first seed of a study again; print and return whether the shipped runs hold.

    Of a contest's trials, the first of each variant is trained again, and the others are taken as
    they are shipped.
    """
    with tempfile.TemporaryDirectory() as folder:
        runs = Path(folder)
        trials = _extract_trials(study, runs)
        options = [*study.options, "--seeds", study.first_seed(), "--results", runs, "--quiet"]
        # What one seed says of the claims is of no interest here.
        _regbench("study", study.file, *options, accept=(0, 1))
        findings = shipped.compare(study.bundle, runs)
        if trials:
            findings += shipped.compare(study.trials, runs / study.trials.parent.name, trials)
    for finding in findings:
        print(f"{study.name}: {finding.run}: {finding.text}")
    holds = bool(findings) and all(finding.holds for finding in findings)
    print(f"{study.name}: {len(findings)} runs made again: {'held' if holds else 'NOT HELD'}")
    return holds


def _extract_trials(study: Study, runs: Path) -> list[str]:
    """Extract a contest's shipped trials, but for those to train again, whose names it returns."""
    contest = study.read().contest
    if not contest:
        return []
    again = [run.run_name for run in contest.runs[: len(contest.spaces)]]
    folder = runs / study.trials.parent.name
    shipped.extract(study.trials, folder)
    for name in again:
        shutil.rmtree(folder / name)
    return again


def _regbench(*arguments: object, accept: tuple[int, ...] = (0,)) -> None:
    command = [sys.executable, "-m", "regbench", *map(str, arguments)]
    print("+ regbench", *arguments, flush=True)
    code = subprocess.run(command, check=False).returncode
    if code not in accept:
        sys.exit(f"regbench {arguments[0]} ended with {code}")


if __name__ == "__main__":
    main()
