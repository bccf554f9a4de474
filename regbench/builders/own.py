"""Your own networks: registers a function that returns a Keras model under a name for configs."""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import create_model

from regbench.builders.builder import Builder
from regbench.builders.kit import Kit
from regbench.builders.registry import BUILDERS
from regbench.errors import RegbenchError

if TYPE_CHECKING:
    import keras

Function = Callable[..., object]
KIT = "kit"


def register(name: str, builder: Function | type[Builder]) -> None:
    """Make a network available to configs as `model.name`.

    Args:
        name: letters, digits and `_`, as in `tiny_net`.
        builder: a function `(input_shape, classes) -> keras.Model`, from float32 images in [0, 1]
            to class probabilities; or a `Builder` whose `name` is this one. A function with a
            parameter `kit` gets the `Kit`, which asks the techniques for their layers. Further
            parameters have defaults, and are keys of the config: `width: int = 32`.

    Raises:
        RegbenchError: the name is taken or invalid, or the function's parameters are wrong.
    """
    if not re.fullmatch(r"[A-Za-z]\w{0,63}", name, re.ASCII):
        raise RegbenchError(f"model: expected a name such as tiny_net, received {name!r:.60}")
    if name in BUILDERS:
        raise RegbenchError(f"model: {name} is registered already; choose another name")
    if isinstance(builder, type) and issubclass(builder, Builder):
        BUILDERS[name] = builder
    else:
        BUILDERS[name] = _of_function(name, builder)


class OwnModel(Builder):
    """A network from a function; its keys are the function's parameters with defaults."""

    remedy: ClassVar[str] = "Correct the function that builds it."
    function: ClassVar[Function]
    takes_kit: ClassVar[bool]

    def build(self, kit: Kit, input_shape: tuple[int, ...], classes: int) -> keras.Model:
        keys = {key: getattr(self, key) for key in type(self).model_fields if key != "name"}
        if self.takes_kit:
            keys[KIT] = kit
        return type(self).function(input_shape, classes, **keys)

    def __reduce__(self) -> tuple[object, ...]:
        # The class is made at run time: another process finds it by its registered name.
        return _restored, (self.name, self.model_dump())


def _restored(name: str, values: dict[str, object]) -> Builder:
    if name not in BUILDERS:
        raise RegbenchError(f"model.name: {name} is not registered in this process")
    return BUILDERS[name].model_validate(values)


def _of_function(name: str, function: Function) -> type[Builder]:
    parameters = list(inspect.signature(function).parameters.values())
    keys = [each for each in parameters[2:] if each.name != KIT]
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    wrong = [each.name for each in keys if each.default is each.empty or each.name == "name"]
    if len(parameters) < 2 or wrong or any(each.kind in variadic for each in parameters):
        raise RegbenchError(
            f"model {name}: expected a function (input_shape, classes), perhaps with kit and keys "
            f"that have defaults, received ({', '.join(map(str, parameters))})"
        )
    types = typing.get_type_hints(function, include_extras=True)
    fields: dict[str, Any] = {
        each.name: (types.get(each.name, type(each.default)), each.default) for each in keys
    }
    fields["name"] = (Literal[name], name)
    made: type[OwnModel] = create_model(
        name, __base__=OwnModel, __doc__=inspect.getdoc(function), **fields
    )
    made.function = staticmethod(function)
    made.takes_kit = any(each.name == KIT for each in parameters)
    return made
