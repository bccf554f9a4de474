"""Combinations of techniques: hooks that only one may use, and required validation examples."""

from __future__ import annotations

from collections.abc import Mapping

from regbench.regularizers.hooks import Regularizer, has_hook

# Hooks that only one technique may use.
EXCLUSIVE = {"averaging": "averages weights", "kept_epoch": "chooses the epoch that is kept"}


def check(techniques: Mapping[str, Regularizer], validated: bool) -> None:
    """Refuse techniques that exclude each other, or that lack validation examples.

    Raises:
        ValueError: the line says which, and what to do.
    """
    optimizer_arguments(techniques)
    for hook, does in EXCLUSIVE.items():
        names = [name for name, each in techniques.items() if has_hook(each, hook)]
        if len(names) > 1:
            raise ValueError(
                f"{' and '.join(names)}: expected one technique that {does}, received "
                f"{len(names)}; switch off all but one"
            )
    for name, each in techniques.items():
        if each.needs_validation and not validated:
            raise ValueError(
                f"{name}: expected validation examples, since the test set never chooses, received "
                "none; set data.validation_examples, such as 0.2"
            )


def optimizer_arguments(techniques: Mapping[str, Regularizer]) -> dict[str, object]:
    """Return the arguments that techniques give the Keras optimizer.

    Raises:
        ValueError: two of them give the same one.
    """
    arguments: dict[str, object] = {}
    givers: dict[str, str] = {}
    for name, technique in techniques.items():
        for key, value in technique.optimizer().items():
            if key in givers:
                raise ValueError(
                    f"{givers[key]} and {name}: expected one technique that sets the optimizer's "
                    f"{key}, received two; switch one off"
                )
            givers[key], arguments[key] = name, value
    return arguments
