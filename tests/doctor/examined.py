"""What the doctor finds of a technique in this process, and a fault that several tests inject."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from regbench.doctor import techniques
from regbench.doctor.check import Rule


def failing(name: str, rules: Iterable[Rule]) -> Iterator[str]:
    """Yield the lines that fail; a check is made once it is asked for."""
    return (check.rule for check in techniques.run(name, rules) if not check.passed)


def dropout_at_inference(patch):
    """Let dropout draw at inference too."""
    import keras

    call = keras.layers.Dropout.call

    def always(self, inputs, training=False):
        return call(self, inputs, training=True)

    patch(keras.layers.Dropout, "call", always)
