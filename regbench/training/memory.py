"""Frees the memory that a run would leave behind in a process that may train thousands more."""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def cleared() -> Iterator[None]:
    """Free, at the end of the block, every model that was created inside and is no longer used.

    TensorFlow registers the gradient of each `tf.custom_gradient` that it traces, such as the sum
    over devices in a Keras optimizer's step, for the lifetime of the process, and with it the whole
    graph of the step: 4 MB for each graph of a small model, which neither garbage collection nor
    `keras.utils.clear_session` frees. JAX and torch keep nothing of the kind.
    """
    known = set(_traced_gradients())
    try:
        yield
    finally:
        gradients = _traced_gradients()
        for name in set(gradients) - known:
            # The others belong to operations, registered once when TensorFlow is imported.
            if name.startswith("CustomGradient-"):
                del gradients[name]
        gc.collect()  # models and graphs are full of cycles


def _traced_gradients() -> dict[str, object]:
    """Return TensorFlow's registry, which has no public name; an empty dict without TensorFlow."""
    ops = sys.modules.get("tensorflow.python.framework.ops")
    return getattr(getattr(ops, "gradient_registry", None), "_registry", {})
