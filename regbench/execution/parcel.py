"""Parcels: a job on its way to another machine, with what must be the same there.

A parcel carries the job, the sources of the plugins that are loaded, the current folder and the
versions of what computes. The machine that opens it refuses other versions: an error, instead of a
number that no single command can repeat.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import pickle
import platform
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, is_dataclass, replace
from pathlib import Path

from regbench import files, plugins
from regbench.errors import RegbenchError, RunFailed
from regbench.execution import environment
from regbench.execution.local import Emit, Function

# The packages that compute, besides the backend.
COMPUTING = ("regbench", "keras", "numpy")


class OtherVersions(RunFailed):
    """This machine has other versions than the one that sent the job."""


@dataclass(frozen=True)
class Parcel:
    """A job for another machine.

    `payload` is the pickled (function, job); `sources` the plugins' by SHA-256; `folder` the
    current folder, which relative paths of data start from; `mark` a file by which a machine sees
    that it shares the results folder, empty for a job without one.
    """

    payload: bytes
    sources: Mapping[str, bytes]
    folder: str
    versions: Mapping[str, str]
    mark: str


def pack(
    function: Function, jobs: Sequence[object], variables: Mapping[str, str], mark: str
) -> list[Parcel]:
    """Return a parcel for each job, with the path of its results made absolute."""
    own, folder = versions(variables.get("KERAS_BACKEND", "")), str(Path.cwd())
    sources = plugins.sources()
    return [
        Parcel(pickle.dumps((function, _absolute(job))), sources, folder, own, mark) for job in jobs
    ]


def run(parcel: Parcel, emit: Emit) -> object:
    """Run a parcel's job in this process, with the sender's plugins and current folder.

    Where the results folder is not shared, returns a `returned.Bundled`.

    Raises:
        OtherVersions: this machine computes with other software than the sender.
    """
    check(parcel)
    with contextlib.suppress(OSError):  # data by a relative path is then missing, which is said
        os.chdir(parcel.folder)
    plugins.receive(parcel.sources)
    function, job = pickle.loads(parcel.payload)
    if not parcel.mark or Path(parcel.mark).exists():
        return function(job, emit)
    # Imported here alone: it takes as long as all else that a job on a cluster starts with.
    from regbench.execution import returned

    return returned.train(function, job, emit)


def check(parcel: Parcel) -> None:
    """Raise OtherVersions unless this machine has the versions of the sender."""
    own = versions(parcel.versions.get("backend", ""))
    for name, expected in parcel.versions.items():
        if own.get(name) != expected:
            raise OtherVersions(
                f"node {platform.node()}: expected {name} {expected}, received "
                f"{own.get(name, 'none')}; install the same version there, or leave the node out"
            )


def versions(backend: str) -> dict[str, str]:
    """Return what must be the same on every machine, by name."""
    python = ".".join(platform.python_version_tuple()[:2])
    found = {"backend": backend, "Python": python}
    packages = environment.versions()
    found |= {name: packages[name] for name in (*COMPUTING, backend) if name in packages}
    return found | {"regbench's source": source()[:12]}


@functools.cache
def source() -> str:
    """Return the SHA-256 over regbench's own modules: a clone has one version for many commits."""
    root, digest = Path(__file__).resolve().parents[1], hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(root).as_posix()}\n{len(content)}\n".encode() + content)
    return digest.hexdigest()


@contextlib.contextmanager
def marked(jobs: Sequence[object]) -> Iterator[str]:
    """Put a file into the results folder, for machines to see whether they share it."""
    results = getattr(jobs[0], "results", None) if jobs else None
    if results is None:
        yield ""
        return
    folder = Path(results).resolve()
    files.make_folder(folder)
    mark = folder / f".shared-{secrets.token_hex(8)}"
    try:
        mark.touch()
        yield str(mark)
    except OSError as error:
        if error.filename != str(mark):
            raise
        raise RegbenchError(
            f"{folder}: {error.strerror}; choose a folder that can be written with --results"
        ) from error
    finally:
        mark.unlink(missing_ok=True)


def _absolute(job: object) -> object:
    results = getattr(job, "results", None)
    if results is None or not is_dataclass(job) or isinstance(job, type):
        return job
    return replace(job, results=Path(results).resolve())
