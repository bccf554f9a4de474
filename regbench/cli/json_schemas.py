"""The JSON Schemas of what `--json` prints, made from the classes that it prints.

An object says the version of its schema under `version`. It rises when a key goes or changes its
meaning; a key may be added at any time. Lists have no place for it: their schemas say it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic.json_schema import JsonSchemaValue

VERSION = 1
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def versioned(content: Mapping[str, object]) -> dict[str, object]:
    """Return an object of `--json` with its version first."""
    return {"version": VERSION, **content}


def schema(kind: str) -> JsonSchemaValue:
    """Return the JSON Schema of what a command prints with `--json`; `kind` is one of `KINDS`."""
    from pydantic import TypeAdapter

    made = TypeAdapter(KINDS[kind]()).json_schema()
    versions = {"version": VERSION} if made.get("type") == "array" else {}
    return {"$schema": DIALECT, "title": f"regbench {kind}", **versions} | {
        key: value for key, value in made.items() if key != "title"
    }


def _object(title: str, /, **fields: object) -> type[BaseModel]:
    """Return a class for an object with a version; every key is there unless it has a default."""
    from pydantic import create_model

    shapes: dict[str, Any] = {
        key: each if isinstance(each, tuple) else (each, ...) for key, each in fields.items()
    }
    made: type[BaseModel] = create_model(title, version=(int, ...), **shapes)
    return made


def _as_is(kind: type) -> type[BaseModel]:
    """Return a class for the object that a dataclass becomes."""
    return _object(kind.__name__, **_types(kind))


def _types(kind: type) -> dict[str, object]:
    """Return the type of each field of a dataclass."""
    from dataclasses import fields
    from typing import get_type_hints

    hints = get_type_hints(kind)
    return {each.name: hints[each.name] for each in fields(kind)}


def _contest(**more: Any) -> type[BaseModel]:
    """Return the class of a decided contest."""
    from pydantic import create_model

    from regbench.studies.contest import Tuning
    from regbench.studies.trials import Search

    own: dict[str, Any] = {name: (each, ...) for name, each in _types(Search).items()}
    search = create_model("Search", **own, seconds=(float, ...))
    found: dict[str, Any] = {
        "searches": (list[search], ...),
        "warnings": (list[str], ...),
        "seconds": (float, ...),
    }
    made: type[BaseModel] = create_model("Contest", __base__=Tuning, **more, **found)
    return made


def _tune() -> object:
    return _contest(version=(int, ...))


def _compare() -> object:
    from regbench.analysis.origins import OriginRow
    from regbench.analysis.rows import ConfigRow

    return list[ConfigRow | OriginRow]


def study_result() -> type[BaseModel]:
    """Return the class of a study's result."""
    from pydantic import create_model

    from regbench.analysis.sequential import Spending
    from regbench.analysis.variance import Decomposition
    from regbench.studies.data_sets import Interquartile
    from regbench.studies.factor_effects import EffectResult
    from regbench.studies.next_step import NextStep
    from regbench.studies.result import VariantResult
    from regbench.studies.verdicts import Verdict

    looks = create_model(
        "Looks", looks=(list[int], ...), spending=(Spending, ...), judged=(int, ...)
    )
    return _object(
        "StudyResult",
        study=str,
        question=str,
        profile=str,
        seeds=list[int],
        looks=looks | None,
        judged_before=list[int],
        variants=list[VariantResult],
        counts=dict[str, int],
        verdicts=list[Verdict],
        contest=(_contest() | None, None),
        variances=(list[Decomposition], []),
        interquartile=(list[Interquartile], []),
        factors=(dict[str, list[object]] | None, None),
        design=(str | None, None),
        effects=(list[EffectResult], []),
        exit_code=int,
        next=NextStep,
    )


def _class_result() -> object:
    from regbench.studies.submissions import Submission

    return _object("ClassResult", study=str, question=str, submissions=list[Submission])


def _paper_result() -> object:
    from regbench.papers.result import DifferenceResult, RowResult
    from regbench.papers.sections import Column, Setting, Source, Status

    deviation = _plain("Deviation", row=str | None, text=str, status=Status)
    return _object(
        "PaperResult",
        paper=str,
        title=str,
        source=Source,
        profile=str,
        cost=str,
        seeds=list[int],
        overrides=list[str],
        columns=dict[str, Column],
        rows=list[RowResult],
        differences=list[DifferenceResult],
        counts=dict[str, dict[str, int]],
        settings=dict[str, dict[str, Setting]],
        deviations=list[deviation],  # type: ignore[valid-type]
        exit_code=int,
    )


def _plain(title: str, /, **fields: object) -> type[BaseModel]:
    """Return a class for an object inside of another one, without a version of its own."""
    from pydantic import create_model

    required: dict[str, Any] = {key: (each, ...) for key, each in fields.items()}
    made: type[BaseModel] = create_model(title, **required)
    return made


def _papers() -> object:
    from regbench.papers.reproduce import Listed

    return list[Listed]


def _plan() -> object:
    from regbench.sweeps.plan import Plan

    return _as_is(Plan)


def _inspect() -> object:
    from regbench.inspection.inspect import Inspection

    return _as_is(Inspection)


def _doctor() -> object:
    from regbench.doctor.check import Check

    return list[Check]


def _data() -> object:
    from regbench.datasets.inventory import Item

    return list[Item]


def _plugins() -> object:
    from pydantic import create_model

    plugin = create_model(
        "Plugin",
        name=(str, ...),
        place=(str, ...),
        sha256=(str, ...),
        registered=(dict[str, list[str]], ...),
    )
    return list[plugin]


# What `--json` prints, by the name that `regbench schema` knows it by.
KINDS: dict[str, Callable[[], Any]] = {
    "compare": _compare,
    "study-result": study_result,
    "class-result": _class_result,
    "paper-result": _paper_result,
    "papers": _papers,
    "tune": _tune,
    "plan": _plan,
    "inspect": _inspect,
    "doctor": _doctor,
    "data": _data,
    "plugins": _plugins,
}
