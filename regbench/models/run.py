"""One run by its folder: `regbench.Run(path)`, with its trained model."""

from __future__ import annotations

from pathlib import Path

from regbench.errors import RegbenchError
from regbench.models.saving import LoadedModel, load_model
from regbench.runs import results
from regbench.runs import summary as summaries
from regbench.text import one_line


class Run(results.Run):
    """A finished run, named by its folder: identity, `summary`, and the trained `model()`."""

    def __init__(self, folder: str | Path) -> None:
        """Read who the run is.

        Raises:
            RegbenchError: the folder is not that of a finished run.
        """
        path = Path(folder)
        try:
            found = summaries.read(path)
        except (OSError, ValueError) as error:
            raise RegbenchError(
                f"{one_line(str(path))}: expected the folder of a finished run; its summary: "
                f"{one_line(str(error))}"
            ) from error
        super().__init__(
            path, found.name, found.config_hash, found.seed, found.status, found.parameters
        )

    def model(self) -> LoadedModel:
        """Return the trained model, loaded in Keras' safe mode, which predicts from pixels.

        Raises:
            RegbenchError: the run kept no model, or it can't be read.
        """
        return load_model(self.folder)
