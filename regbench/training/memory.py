"""What a run would leave in the memory of its process, which may have thousands more to train."""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def cleared() -> Iterator[None]:
    """Let go, at the end, of every model that was made meanwhile and is no longer used.

    TensorFlow registers the gradient of each `tf.custom_gradient` that it traces, such as the sum
    over devices in a Keras optimizer's step, for as long as the process lives, and the whole graph
    of the step with it: 4 MB for each graph of a small model, which neither a garbage collection
    nor `keras.utils.clear_session` frees. JAX and torch keep nothing of the kind.
    """
    known = set(_traced_gradients())
    try:
        yield
    finally:
        gradients = _traced_gradients()
        for name in set(gradients) - known:
            # Others are those of operations, registered once when TensorFlow is imported.
            if name.startswith("CustomGradient-"):
                del gradients[name]
        gc.collect()  # models and graphs are full of cycles


def _traced_gradients() -> dict[str, Any]:
    """Return TensorFlow's own dict, for which it has no public name; an empty one without it."""
    ops = sys.modules.get("tensorflow.python.framework.ops")
    return getattr(getattr(ops, "gradient_registry", None), "_registry", {})
