"""A plugin's data set: a function of `data.path` that returns the examples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from regbench import plugins
from regbench.datasets import checksums
from regbench.datasets.errors import DataError
from regbench.datasets.splits import Splits


@dataclass(frozen=True)
class OwnDataset:
    """A plugin's function as a data set. Nothing is cached: each run calls the function."""

    name: str
    function: Callable[[Path | None], Splits]

    def load(
        self,
        path: Path | None,
        sha256: str | None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Splits:
        """Call the function and check its result.

        Raises:
            DataError: it fails or returns the wrong type, or the file at `path` has another
                checksum.
        """
        if sha256 and not (path and path.is_file()):
            raise DataError(f"data.sha256: {self.name} reads no file at data.path; leave it out")
        if path and sha256:
            checksums.verified(path, (sha256,))
        try:
            found = self.function(path)
        except Exception as error:  # a plugin can raise anything
            raise DataError(f"data.name: {self.name}: {plugins.blame(error)}") from error
        if not isinstance(found, Splits):
            raise DataError(
                f"data.name: {self.name}: expected regbench.datasets.Splits, "
                f"received {type(found).__name__}"
            )
        return found
