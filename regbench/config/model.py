"""The `model` section of a config: the keys of the network that it names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import (
    ConfigDict,
    GetJsonSchemaHandler,
    PlainSerializer,
    PlainValidator,
    SerializationInfo,
    ValidationError,
    ValidationInfo,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, InitErrorDetails

from regbench import plugins
from regbench.builders import BUILDERS, DEFAULT, Builder
from regbench.builders.cnn import CNN


class StoredBuilder(Builder):
    """A network known only by name and keys: that of a run whose plugin is not loaded."""

    model_config = ConfigDict(extra="allow")


def _validated(value: object, info: ValidationInfo[Mapping[str, object] | None]) -> Builder:
    """Return the builder that a mapping names, with its keys; looked up at call time."""
    if isinstance(value, Builder):
        return value
    name = value.get("name", DEFAULT) if isinstance(value, dict) else DEFAULT
    if isinstance(name, str) and name not in BUILDERS and (info.context or {}).get("stored"):
        return StoredBuilder.model_validate(value)
    if not isinstance(name, str) or name not in BUILDERS:
        error = ValueError(plugins.unknown(name, BUILDERS))
        detail = InitErrorDetails(
            type="value_error", loc=("name",), input=name, ctx={"error": error}
        )
        raise ValidationError.from_exception_data("model", [detail])
    # pydantic adds the errors of this call to those of the whole config, below `model`.
    return BUILDERS[name].model_validate(value)


def _serialized(builder: Builder, info: SerializationInfo[object]) -> dict[str, object]:
    mode = "json" if info.mode_is_json() else "python"
    values = builder.model_dump(mode=mode, exclude_defaults=info.exclude_defaults)
    # The name is its class's default, but must be kept: it identifies the class.
    named = {} if info.exclude_defaults and builder.name == DEFAULT else {"name": builder.name}
    return named | values


class _Keys:
    """Describes the section to JSON Schema: the keys of any one network."""

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        branches = []
        for builder in BUILDERS.values():
            branch = handler.resolve_ref_schema(handler(builder.__pydantic_core_schema__))
            branches.append({key: value for key, value in branch.items() if key != "required"})
        return {"anyOf": branches, "default": CNN().model_dump(mode="json")}


Network = Annotated[Builder, PlainValidator(_validated), PlainSerializer(_serialized), _Keys()]


def named(schema: JsonSchemaValue, values: object) -> JsonSchemaValue:
    """Return the schema of a config, with `model` reduced to the keys of the named network.

    Args:
        schema: the JSON Schema of any config.
        values: the `model` section of a config.
    """
    name = values.get("name", DEFAULT) if isinstance(values, dict) else DEFAULT
    if "model" not in schema.get("properties", {}):  # a study
        return schema
    if isinstance(name, str) and name in BUILDERS:  # perhaps since the schema was made
        found = BUILDERS[name].model_json_schema()
    else:
        found = {"type": "object", "properties": {"name": {"enum": list(BUILDERS)}}}
    return schema | {"properties": schema["properties"] | {"model": found}}
