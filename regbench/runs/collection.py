"""The garbage collector, paused while thousands of runs are read and compared.

Each object of a run is reachable until the end, and there are hundreds of thousands: the collector
would search them again and again, and find nothing.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def paused() -> Iterator[None]:
    """Pause the collector in a `with` block or a decorated function, unless it is off anyway."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
