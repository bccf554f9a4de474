"""Published data sets: files of known SHA-256.

They are looked up in this order: at `data.path`; decoded in the cache; as files in the cache
folder; in another program's cache; on the web. Only bytes with the expected SHA-256 are ever
decoded.
"""

from __future__ import annotations

import abc
import contextlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from regbench.datasets import cache
from regbench.datasets.download import DownloadFailed, Remote, download
from regbench.datasets.errors import DataError
from regbench.datasets.splits import Splits

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Place:
    """A possible place of a data set on this machine: one archive, or a folder with files."""

    path: Path
    files: tuple[Path, ...]

    @property
    def is_complete(self) -> bool:
        return all(file.is_file() for file in self.files)

    def present(self) -> list[Path]:
        """Return the files that exist, complete or as the first part of a download."""
        partial = [file.with_name(file.name + ".part") for file in self.files]
        return [file for file in (*self.files, *partial) if file.is_file()]


@dataclass(frozen=True)
class Published(abc.ABC):
    """A published data set: finds, verifies and downloads it.

    Attributes:
        name: its name in a config and as a folder in the cache.
        title: its name for people.
        releases: the SHA-256 that identifies a release to the files that it consists of.
    """

    name: str
    title: str
    releases: Mapping[str, Mapping[str, Remote]]

    def load(
        self, path: Path | None, sha256: str | None, progress: Progress | None = None
    ) -> Splits:
        """Return the whole set, in the official order.

        Args:
            path: where the files are; by default the caches or the web.
            sha256: the required checksum of the files; by default that of a release.
            progress: called with bytes done and total bytes while files are downloaded.

        Raises:
            DataError: no files are available, or they are damaged or not the expected ones.
        """
        accepted = (sha256,) if sha256 else tuple(self.releases)
        if path:
            place = self.given(path)
            return self._decoded(place, self.verified(place, accepted))
        for key in accepted:
            ready = cache.read(cache.entry(self.name, key))
            if ready:
                return ready
        return self._decoded(*(self._local(accepted) or self._downloaded(accepted, progress)))

    @abc.abstractmethod
    def home(self) -> Path:
        """Return the folder that files are downloaded to."""

    @abc.abstractmethod
    def places(self) -> list[Place]:
        """Return the places on this machine to look for the files, best first."""

    @abc.abstractmethod
    def given(self, path: Path) -> Place:
        """Return the files at `data.path`. Raises DataError if they are missing."""

    @abc.abstractmethod
    def verified(self, place: Place, accepted: tuple[str, ...]) -> str:
        """Return the SHA-256 of the files at a place. Raises DataError if it is not accepted."""

    @abc.abstractmethod
    def decode(self, place: Place) -> Splits:
        """Return all images, once the files are verified. Raises DataError."""

    @abc.abstractmethod
    def downloaded_to(self, files: Mapping[str, Remote]) -> Place:
        """Return the place of a release in the folder for downloads."""

    def _decoded(self, place: Place, key: str) -> Splits:
        return cache.splits(self.name, key, lambda: self.decode(place), str(place.path))

    def _local(self, accepted: tuple[str, ...]) -> tuple[Place, str] | None:
        """Return a place on this machine with its checksum; None if there is none.

        Raises:
            DataError: the only one, in the folder for downloads, has another checksum.
        """
        refused: DataError | None = None
        for place in self.places():
            if not place.is_complete:
                continue
            try:
                return place, self.verified(place, accepted)
            except DataError as error:
                # A file of another program may be half a download; one in our folder was put there
                # on purpose.
                if place.files[0].parent == self.home():
                    refused = error
        if refused:
            raise refused
        return None

    def _downloaded(
        self, accepted: tuple[str, ...], progress: Progress | None
    ) -> tuple[Place, str]:
        for key, files in self.releases.items():
            if key in accepted:
                try:
                    self._download(files, progress)
                except DownloadFailed as error:
                    raise DataError(self._unavailable(files, error)) from error
                return self.downloaded_to(files), key
        raise DataError(
            f"data.sha256: no archive of SHA-256 {accepted[0]} is on this machine, and none can be "
            "downloaded; set data.path to it, or leave data.sha256 out for the official archive"
        )

    def _download(self, files: Mapping[str, Remote], progress: Progress | None) -> None:
        total = sum(remote.size for remote in files.values())
        before = 0
        for name, remote in files.items():
            download(remote, self.home() / name, _shifted(progress, before, total))
            before += remote.size

    def _unavailable(self, files: Mapping[str, Remote], error: DownloadFailed) -> str:
        return (
            f"{self.title} is not on this machine and cannot be downloaded ({error}): "
            f"set data.path to its {'archive' if len(files) == 1 else 'folder'}; "
            f"or run `regbench data {self.name}` where there is a network, and copy "
            f"{', '.join(files)} to {self.home()}; or use the embedded data set, "
            "--set data.name=shapes"
        )


def _shifted(progress: Progress | None, before: int, total: int) -> Progress | None:
    """Return a callback that reports one of several files as a part of the total."""
    return progress and (lambda done, _: progress(before + done, total))


def keras_folder() -> Path:
    """Return the folder where Keras keeps downloaded data sets."""
    home = Path(os.environ.get("KERAS_HOME", "~/.keras"))
    with contextlib.suppress(RuntimeError):  # no home is known
        home = home.expanduser()
    return home / "datasets"
