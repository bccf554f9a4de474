"""A campaign on every core: forks of this process, each of which takes its share of the tries."""

from __future__ import annotations

import json
import os
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from regbench.execution import environment

# Called with the number of the lane, how many there are, and a folder of its own.
Work = Callable[[int, int, Path], Counter[str]]


def run(work: Work, folder: Path) -> Counter[str]:
    """Let every lane count what came of its share; return the sums.

    A lane that crashes counts as "crashed", which is in no campaign as it should be. As a fork, it
    may compute with TensorFlow; this process must not, or it could fork no more.
    """
    lanes = environment.cores()
    begun = []
    for lane in range(lanes):
        own = folder / f"lane{lane}"
        own.mkdir()
        answer, told = os.pipe()
        pid = os.fork()
        if not pid:
            _count(work, lane, lanes, own, told)
        os.close(told)
        begun.append((pid, answer))
    return sum((_counted(*each) for each in begun), Counter())


def _count(work: Work, lane: int, lanes: int, folder: Path, told: int) -> None:
    try:
        os.write(told, json.dumps(work(lane, lanes, folder)).encode())
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(0)


def _counted(pid: int, answer: int) -> Counter[str]:
    with os.fdopen(answer) as pipe:
        content = pipe.read()
    os.waitpid(pid, 0)
    return Counter(json.loads(content)) if content else Counter(crashed=1)
