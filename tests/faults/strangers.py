"""Every place where a file is opened, with everything in it that a stranger may put there.

In forks of this process, by the functions that the commands call: a place passes if what is there
is read or refused with a line, soon, in little memory, and nothing of it is executed.
"""

from __future__ import annotations

import contextlib
import functools
import io
import itertools
import json
import logging
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.console import Console

from regbench import config, datasets, runs
from regbench.analysis import compare
from regbench.errors import RegbenchError
from regbench.report import provenance
from regbench.runs import bundle, probe_results
from regbench.studies import file as study_file
from regbench.terminal import comparison
from regbench.training import checkpoints
from tests import made_up_runs
from tests.faults import hostile, lanes
from tests.faults.report import Line, show

# A slow machine aside, everything here is read or refused in a second.
LONGEST = 10.0  # of computing
STUCK = 60.0  # of waiting
MEMORY = 3 * 2**30  # on top of what the process has


class Place(NamedTuple):
    """A file that is opened: how a folder with it is made, and what is read from there."""

    name: str
    prepare: Callable[[Path], Path]  # returns the file that a stranger replaces
    read: Callable[[Path, Path], str]  # of the folder and the file; returns what is shown


def in_every_place(folder: Path, part: str = "") -> Iterator[Line]:
    """Put other kinds of files, then hostile contents, into every place, on every core."""
    for fault, things in (("kind of file", hostile.kinds()), ("content", _writers())):
        counts = lanes.run(functools.partial(_share, things, part), _own(folder, fault))
        yield _line(f"a hostile {fault} in each of {len(PLACES)} places", counts)


def under_every_name(folder: Path) -> Iterator[Line]:
    """Give files, folders, classes and runs the names that break tables, pages and shells."""
    counts = lanes.run(_share_names, _own(folder, "names"))
    yield _line("a hostile name of a config, class, run, folder or table", counts)


def _own(folder: Path, name: str) -> Path:
    own = folder / name.replace(" ", "-")
    own.mkdir()
    return own


def _line(fault: str, counts: Counter[str]) -> Line:
    tries = counts["read"] + counts["refused"] + counts["failed"]
    result = f"{counts['failed']} tracebacks, hangs, memory or code; {counts['refused']} refused"
    passed = not counts["failed"] and not counts["crashed"] and tries > 0
    return Line(fault, tries, result, passed)


def _writers() -> dict[str, Callable[[Path], object]]:
    return {
        name: functools.partial(Path.write_bytes, data=content)
        for name, content in hostile.contents().items()
    }


def _share(
    things: dict[str, Callable[[Path], object]], part: str, lane: int, lanes_: int, folder: Path
) -> Counter[str]:
    _limit()
    counts: Counter[str] = Counter()
    every = [each for each in itertools.product(PLACES, things) if part in each[0].name]
    for number in range(lane, len(every), lanes_):
        place, thing = every[number]
        show(f"{number} of {len(every)}: {thing} as {place.name}")
        outcome = _try(place, things[thing], folder / "here")
        counts[outcome if outcome in ("read", "refused") else "failed"] += 1
        if outcome not in ("read", "refused"):
            print(f"\n{thing} as {place.name}: {outcome:.300}", file=sys.stderr)
    return counts


def _limit() -> None:
    """Let this process ask for little more memory than it has, and treat warnings as errors."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    signal.signal(signal.SIGALRM, _stuck)
    warnings.simplefilter("error")
    logging.disable()  # of the cache, which decodes again


def _stuck(number: int, frame: object) -> None:
    raise TimeoutError(f"no end after {STUCK} s")


def _try(place: Place, put: Callable[[Path], object], folder: Path) -> str:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    os.environ["REGBENCH_DATA"] = str(folder / "cache")
    target = place.prepare(folder)
    _remove(target)
    put(target)
    return outcome(lambda: place.read(folder, target), folder)


def outcome(read: Callable[[], str], folder: Path) -> str:
    """Return "read", "refused", or what is wrong with how that went."""
    began = time.process_time()
    verdict = "read"
    here = Path.cwd()
    os.chdir(folder)
    signal.setitimer(signal.ITIMER_REAL, STUCK)
    try:
        shown = read()
    except RegbenchError as error:
        verdict, shown = "refused", "\n".join(getattr(error, "messages", [str(error)]))
        if len(shown) > 20_000:
            return f"a message of {len(shown)} characters"
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        os.chdir(here)
    if time.process_time() - began > LONGEST:
        return f"took {time.process_time() - began:.1f} s"
    if any(mark in shown for mark in (hostile.ESCAPE, hostile.BIDI, "\x9b", "Traceback")):
        return f"let through: {shown!a:.200}"
    return "executed" if any(folder.rglob("hacked")) or (here / "hacked").exists() else verdict


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _of_config(name: str) -> Place:
    def prepare(folder: Path) -> Path:
        (folder / "base.yaml").write_text("l2: 1e-3\n")
        (folder / "mine.yaml").write_text("extends: base.yaml\n")
        return folder / name

    def read(folder: Path, target: Path) -> str:
        return str(config.load(folder / "mine.yaml"))

    return Place(
        f"{name}, a config" if name == "mine.yaml" else "base.yaml, extended", prepare, read
    )


def _study(folder: Path, target: Path) -> str:
    return str(study_file.read(target).question)


def _results(folder: Path) -> Path:
    results = folder / "results"
    one, other = made_up_runs.twenty()[2:4]
    made_up_runs.write_run(results, one, 3, epochs=2, probed=True)
    made_up_runs.write_run(results, other, 3, epochs=2, probed=True)
    return results


@functools.cache
def _kept(lane: int) -> Path:
    """Return results that are made once: of each process its own."""
    return _results(Path(tempfile.mkdtemp(prefix="regbench-strangers-")))


def _of_run(name: str) -> Place:
    def prepare(folder: Path) -> Path:
        shutil.copytree(_kept(os.getpid()), folder / "results", symlinks=True)
        (run,) = (folder / "results").glob("baseline-*")
        return run / name if name else run

    return Place(f"{name or 'the folder'} of a run", prepare, _compared)


def _compared(folder: Path, target: Path, of: Path | None = None) -> str:
    """Do what `compare` does, and what `report` reads beyond that."""
    said: list[str] = []
    frame = runs.load(of or folder / "results", said.append)
    rows = compare.compare(frame, warn=said.append) if len(frame) else []
    terminal = Console(file=io.StringIO(), width=120, color_system=None)
    if rows:
        terminal.print(comparison.terminal(rows, 120))
        said += [comparison.markdown(rows), comparison.comma_separated(rows)]
    said.append(str(provenance.of(frame, said.append)))
    for run in sorted((folder / "results").glob("*-s?")):
        try:
            probe_results._read.cache_clear()
            probe_results.read(run)
        except (OSError, ValueError) as error:  # of a run that is left out
            said.append(repr(str(error)))
    return terminal.file.getvalue() + "".join(said)


def _bundle(folder: Path) -> Path:
    bundle.write(_kept(os.getpid()), folder / "runs.zip")
    return folder / "runs.zip"


def _table(folder: Path) -> Path:
    (folder / "runs.csv").write_text("name,seed,test_accuracy\na,0,0.5\n")
    return folder / "runs.csv"


def _images(folder: Path) -> Path:
    content = hostile.png(4, 4), hostile._image("RGB", "PNG")
    for number, name in enumerate(("train/a", "train/b", "test/a", "test/b")):
        (folder / "images" / name).mkdir(parents=True)
        (folder / "images" / name / f"{number}.png").write_bytes(content[1])
    return folder / "images" / "train" / "a" / "0.png"


def _dataset(name: str, path: Path) -> str:
    data = config.Experiment.model_validate(
        {"name": "x", "data": {"name": name, "path": str(path)}}
    ).data
    return str(datasets.open_dataset(data).classes)


def _of_data(name: str, file: str) -> Place:
    def read(folder: Path, target: Path) -> str:
        return _dataset(name, folder / "data" if "/" in file else target)

    def prepare(folder: Path) -> Path:
        (folder / file).parent.mkdir(exist_ok=True)
        return folder / file

    return Place(f"{file}, {name}", prepare, read)


def _checkpoint(name: str) -> Place:
    def prepare(folder: Path) -> Path:
        place = folder / "checkpoint" / "000001-000000000"
        place.mkdir(parents=True)
        np.savez(place / "arrays.npz", **{"model-0000": np.zeros(3, np.float32)})
        (place / "state.json").write_text('{"identity": {}, "position": {}}')
        (place / "SHA256SUMS").write_text(checkpoints._checksums(place))
        return place / name if name else place

    def read(folder: Path, target: Path) -> str:
        place = folder / "checkpoint" / "000001-000000000"
        if name in checkpoints.CONTENT and not target.is_symlink() and target.is_file():
            with contextlib.suppress(ValueError):  # too large to be read for its checksum
                (place / "SHA256SUMS").write_text(checkpoints._checksums(place))
        checkpoints.threads(folder / "checkpoint")
        found = checkpoints.Checkpoints(folder / "checkpoint", {}, 1).latest()
        return str(found and found.position)

    return Place(f"{name or 'the folder'} of a checkpoint", prepare, read)


def _cached(name: str) -> Place:
    def prepare(folder: Path) -> Path:
        _images(folder)
        _dataset("image_folder", folder / "images")
        (place,) = (folder / "cache" / "image_folder").glob("*-v?")
        return place / name

    def read(folder: Path, target: Path) -> str:
        return _dataset("image_folder", folder / "images")

    return Place(f"{name} in the cache", prepare, read)


def _memory_of_checksums(folder: Path) -> Path:
    _images(folder)
    (folder / "cache").mkdir()
    return folder / "cache" / "checksums.json"


PLACES = (
    _of_config("mine.yaml"),
    _of_config("base.yaml"),
    Place("a study", lambda folder: folder / "study.yaml", _study),
    *map(_of_run, ("summary.json", "history.csv", "config.yaml", "environment.json")),
    *map(_of_run, ("probes.json", "error.txt", ".lock", "")),
    Place("a bundle", _bundle, lambda folder, target: _compared(folder, target, target)),
    Place("a table", _table, lambda folder, target: _compared(folder, target, target)),
    Place("an image", _images, lambda folder, target: _dataset("image_folder", folder / "images")),
    _of_data("image_folder", "images.tar"),
    _of_data("arrays", "arrays.npz"),
    _of_data("cifar10", "cifar-10-python.tar.gz"),
    _of_data("mnist", "data/train-images-idx3-ubyte.gz"),
    *map(_checkpoint, ("state.json", "arrays.npz", "SHA256SUMS", "")),
    *map(_cached, ("description.json", "train_images.npy", "test_labels.npy")),
    Place(
        "the memory of checksums",
        _memory_of_checksums,
        lambda folder, target: _dataset("image_folder", folder / "images"),
    ),
)


def _share_names(lane: int, lanes_: int, folder: Path) -> Counter[str]:
    _limit()
    counts: Counter[str] = Counter()
    every = list(itertools.product(NAMED, hostile.names()))
    for number in range(lane, len(every), lanes_):
        what, name = every[number]
        show(f"{number} of {len(every)} names")
        here = folder / "here"
        shutil.rmtree(here, ignore_errors=True)
        here.mkdir()
        os.environ["REGBENCH_DATA"] = str(here / "cache")
        found = outcome(functools.partial(NAMED[what], here, name), here)
        counts[found if found in ("read", "refused") else "failed"] += 1
        if found not in ("read", "refused"):
            print(f"\n{what} {name!a}: {found!a:.300}", file=sys.stderr)
    return counts


def _named_config(folder: Path, name: str) -> str:
    (folder / f"{name}.yaml").write_text("l2: 1e-3\n")
    return str(config.load(folder / f"{name}.yaml").name)


def _config_that_says_its_name(folder: Path, name: str) -> str:
    text = json.dumps(name)
    (folder / "mine.yaml").write_text(f"name: {text}\n")
    return str(config.load(folder / "mine.yaml").name)


def _named_class(folder: Path, name: str) -> str:
    _images(folder)
    for split in ("train", "test"):
        (folder / "images" / split / "a").rename(folder / "images" / split / name)
    return "" if _dataset("image_folder", folder / "images") else "nothing"


def _named_run(folder: Path, name: str) -> str:
    shutil.copytree(_kept(os.getpid()), folder / "results")
    (run,) = (folder / "results").glob("baseline-*")
    run.rename(run.with_name(name))
    return _compared(folder, run)


def _named_results(folder: Path, name: str) -> str:
    shutil.copytree(_kept(os.getpid()), folder / name)
    (run,) = (folder / name).glob("baseline-*")
    (run / "summary.json").write_text("{")  # so that there is a warning, which names it
    return _compared(folder, run, folder / name)


def _named_in_summary(folder: Path, name: str) -> str:
    shutil.copytree(_kept(os.getpid()), folder / "results")
    (run,) = (folder / "results").glob("baseline-*")
    text = (run / "summary.json").read_text()
    (run / "summary.json").write_text(text.replace('"baseline"', json.dumps(name)))
    return _compared(folder, run)


def _named_in_table(folder: Path, name: str) -> str:
    quoted = name.replace('"', '""')
    content = f'name,seed,test_accuracy\n"{quoted}",0,0.5\nb,0,0.6\n'
    (folder / "runs.csv").write_text(content, errors="surrogateescape")
    return _compared(folder, folder / "runs.csv", folder / "runs.csv")


NAMED: dict[str, Callable[[Path, str], str]] = {
    "a config file": _named_config,
    "a config that says its name": _config_that_says_its_name,
    "a class": _named_class,
    "a run folder": _named_run,
    "a results folder": _named_results,
    "a run that says its name": _named_in_summary,
    "a run in a table": _named_in_table,
}
