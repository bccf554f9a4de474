"""A coverage-guided fuzz of configs, for `make fuzz`; it ends with the first that is a problem."""

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["regbench", "yaml"], enable_loader_override=False):
    import yaml  # noqa: F401

    from regbench import config  # noqa: F401
    from tests.faults.configs import SHIPPED, attempt

FOLDER = Path(tempfile.mkdtemp(prefix="regbench-fuzz-"))


def load(data: bytes) -> None:
    (FOLDER / "fuzzed.yaml").write_bytes(data)
    _, problem = attempt(FOLDER / "fuzzed.yaml")
    if problem:
        raise AssertionError(problem)


if __name__ == "__main__":
    corpus = FOLDER / "corpus"
    corpus.mkdir()
    for path in SHIPPED:
        (corpus / path.name).write_bytes(path.read_bytes())
    atheris.Setup([*sys.argv, str(corpus)], load)
    atheris.Fuzz()
