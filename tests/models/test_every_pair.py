"""Every technique in every network: trained by sweeps whose workers are killed, then read.

`make test-pairs` runs this in a process of its own. Workers are forked from it, not spawned: it
has imported TensorFlow and computed nothing with it; that saves the import for every worker.
"""

from __future__ import annotations

import contextlib
import io
import json
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from regbench import cli, config
from regbench.builders import BUILDERS
from regbench.config import Experiment
from regbench.execution import local
from regbench.regularizers import REGULARIZERS
from regbench.regularizers.hooks import has_hook
from regbench.training import checkpoints
from regbench.training.checkpoints import Checkpoints
from tests.faults import victims
from tests.pairs import TECHNIQUES, documented, experiment, plain

pytestmark = pytest.mark.pairs

# In the last epoch, of three steps: what techniques remember from step to step and from epoch to
# epoch has a value by then. The last checkpoint is that of the step before.
KILLED_AT_STEP = 2
EPOCHS = 2
EPOCHS_OF_AVERAGES = 5  # which start late: the fourth is the first in that of SWA
REFUSED = documented()


@dataclass(frozen=True, repr=False)
class Swept:
    """What the commands left behind and printed; `refused` is what they printed on stderr."""

    network: str
    whole: Path
    killed: Path
    kills: Path
    resumed: str
    refused: str
    inspected: dict[str, Any]
    compared: dict[str, Any]
    report: str


def training(technique: str | None = None) -> dict[str, Any]:
    """Return how a technique is trained, with a checkpoint at every step."""
    (toggle,) = TECHNIQUES[technique] if technique else [None]
    late = toggle is not None and has_hook(REGULARIZERS[toggle], "averaging")
    epochs = EPOCHS_OF_AVERAGES if late else EPOCHS
    return {"epochs": epochs, "batch_size": 20, "checkpoint_minutes": 1e-9}


def named(technique: str, name: str) -> Experiment:
    """Return the experiment of a pair, by whose name it is found again."""
    made = experiment(technique, name, train=training(technique))
    return made.model_copy(update={"name": f"{technique}-{name}"})


@pytest.fixture(scope="module", params=BUILDERS)
def swept(request, tmp_path_factory) -> Iterator[Swept]:
    """Train all asked-for techniques in a network, undisturbed and killed once; read the runs."""
    own = [each.callspec.params for each in request.session.items if each.path == request.path]
    asked = [each["technique"] for each in own if each["swept"] == request.param]
    with pytest.MonkeyPatch.context() as patch:
        victims.prepare()
        context = multiprocessing.get_context("fork")
        patch.setattr(local.multiprocessing, "get_context", lambda _: context)
        # A forked worker holds both ends of its pipe, and so does not see that one was closed.
        patch.setattr(local, "SECONDS_TO_STOP", 0)
        patch.setattr(checkpoints, "COSTLY_SECONDS", float("inf"))  # on a slow disk, too
        folder = tmp_path_factory.mktemp(request.param)
        yield everything(patch, folder, request.param, asked)


def everything(patch: pytest.MonkeyPatch, folder: Path, name: str, techniques: list[str]) -> Swept:
    whole, killed, kills = folder / "whole", folder / "killed", folder / "kills"
    kills.mkdir()
    trained = [named(each, name) for each in techniques if (each, name) not in REFUSED]
    base = written(folder, plain(name, train=training()))
    files = [written(folder, each) for each in trained]
    regbench("run", base, *files, "--results", whole)
    unfit = [written(folder, named(each, name)) for each in techniques if (each, name) in REFUSED]
    refused = regbench("run", *unfit, "--results", whole, code=1)[1] if unfit else ""
    with patch.context() as during:
        ends = {each.run_name: (each.train.epochs, KILLED_AT_STEP) for each in trained}
        during.setattr(Checkpoints, "save", killed_once(Checkpoints.save, ends, kills))
        _, resumed = regbench("run", *files, "--results", killed, "--no-probes")
    return Swept(
        network=name,
        whole=whole,
        killed=killed,
        kills=kills,
        resumed=resumed,
        refused=refused,
        inspected={each.name: inspected(folder, base, each) for each in trained},
        compared=compared(whole, name),
        report=reported(whole, name),
    )


def killed_once(
    save: Callable[..., None], ends: dict[str, tuple[int, int]], kills: Path
) -> Callable[..., None]:
    """Return `Checkpoints.save`, but for a kill before one checkpoint of each run."""

    def save_or_die(keeper: Any, model: Any, position: Any, further: Any = ()) -> None:
        run_name = keeper.folder.parent.name
        if (position.epoch, position.step) == ends[run_name]:
            with contextlib.suppress(FileExistsError):
                (kills / run_name).touch(exist_ok=False)
                os.kill(os.getpid(), signal.SIGKILL)
        save(keeper, model, position, further)

    return save_or_die


def regbench(*arguments: str | Path, code: int = 0) -> tuple[str, str]:
    """Run a command in this process; return what it printed to stdout and to stderr."""
    training = ("--threads", "1", "--device", "cpu") if arguments[0] in ("run", "inspect") else ()
    out, err = io.StringIO(), io.StringIO()
    streams = contextlib.redirect_stdout(out), contextlib.redirect_stderr(err)
    with streams[0], streams[1], pytest.raises(SystemExit) as ended:
        cli.main([*map(str, arguments), *training])
    assert ended.value.code in ((0, None) if code == 0 else (code,)), err.getvalue()
    return out.getvalue(), err.getvalue()


def written(folder: Path, made: Experiment) -> Path:
    path = folder / f"{made.name}.yaml"
    path.write_text(config.dump(made), encoding="utf-8")
    return path


def inspected(folder: Path, base: Path, made: Experiment) -> Any:
    path = folder / f"{made.name}.yaml"
    return json.loads(regbench("inspect", path, "--baseline", base, "--no-time", "--json")[0])


def compared(results: Path, baseline: str) -> dict[str, Any]:
    rows = json.loads(regbench("compare", results, "--baseline", baseline, "--json")[0])
    return {each["name"]: each for each in rows}


def reported(results: Path, baseline: str) -> str:
    page = results / "report.html"
    regbench("report", results, "--baseline", baseline, "-o", page)
    return page.read_text(encoding="utf-8")


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_every_pair_resumes_exactly_after_a_kill_and_is_shown(swept, technique):
    name = swept.network
    made = named(technique, name)
    if (technique, name) in REFUSED:
        lacks = f"the model {name} has no {REFUSED[technique, name]}, where this adds "
        lines = [each for each in swept.refused.splitlines() if f"{made.name} s0: " in each]
        assert any(lacks in each for each in lines), swept.refused
        return
    assert (swept.kills / made.run_name).exists()
    resumed = f"resuming from step {KILLED_AT_STEP - 1} of epoch {made.train.epochs}"
    assert any(made.name in each and resumed in each for each in swept.resumed.splitlines())
    assert victims.outcome(made, swept.killed) == victims.outcome(made, swept.whole)
    summary = json.loads((swept.whole / made.run_name / "summary.json").read_text())
    assert "probes" in summary
    assert "probes_failed" not in summary
    (toggle,) = TECHNIQUES[technique]
    for shown in (swept.inspected, swept.compared):
        assert {each.partition(".")[0] for each in shown[made.name]["changes"]} >= {toggle}
    assert made.name in swept.report.replace("<wbr>", "")
