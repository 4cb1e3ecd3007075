"""What the fields of the configuration say about themselves: meaning, unit, limits, default.

A settings page takes its limits and tooltips from here, and the page of all settings in the
documentation its text, so that neither repeats the schema.
"""

from __future__ import annotations

import typing
from dataclasses import dataclass
from typing import Any, Literal

import annotated_types
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from napari_surfseg.config import Experiment

if typing.TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["FieldDescription", "describe_field", "field_keys", "models_in"]


@dataclass(frozen=True)
class FieldDescription:
    """One setting of the configuration.

    Attributes
    ----------
    key : str
        Dotted key, as in ``training.max_epochs``.
    meaning : str
        What it does, in one or a few sentences.
    unit : str
        Unit of its numbers; empty where they have none or it is no number.
    default : object
        Its value where nothing is given.
    low, high : float or None
        Limits of its number, or of each of its numbers; None where there is none.
    low_allowed, high_allowed : bool
        Whether the limit itself is allowed.
    offered : (float or None, float or None)
        The range that a control offers: the limits, or a narrower range where a limit is
        missing or too far away to be useful.
    choices : tuple
        The values that are allowed, where they can be listed: ``True`` and ``False``,
        words, and ``None`` where it may be left out.
    types : frozenset of type
        Of its other values: ``int``, ``float``, ``str``, and ``tuple`` for several of them.
    """

    key: str
    meaning: str
    unit: str
    default: Any
    low: float | None
    high: float | None
    low_allowed: bool
    high_allowed: bool
    offered: tuple[float | None, float | None]
    choices: tuple[Any, ...]
    types: frozenset[type]

    @property
    def limits(self) -> str:
        """The limits in words, as in ``0 to below 1``; empty where there are none."""
        low = "" if self.low is None else f"{self.low:g}"
        high = "" if self.high is None else f"{self.high:g}"
        if low and not self.low_allowed:
            low = f"above {low}"
        if high and not self.high_allowed:
            high = f"below {high}"
        if low and high:
            return f"{low} to {high}" if self.low_allowed else f"{low}, {_at_most(high)}"
        return (low if low.startswith("above") else f"at least {low}") if low else _at_most(high)


def _at_most(high: str) -> str:
    return high if not high or high.startswith("below") else f"at most {high}"


def describe_field(key: str, root: type[BaseModel] = Experiment) -> FieldDescription:
    """Return what the configuration says about one setting.

    Parameters
    ----------
    key : str
        Dotted key. The key of a pair leaves out its place in the list: ``data.train.roi``.
    root : type
        The model that the key is in.

    Raises
    ------
    KeyError
        There is no such setting.
    """
    field = _find_field(key, root)
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    low = high = None
    low_allowed = high_allowed = True
    for limit in (*field.metadata, *_metadata_in(field.annotation)):
        if isinstance(limit, annotated_types.Ge | annotated_types.Gt):
            low_allowed = isinstance(limit, annotated_types.Ge)
            low = _number(limit.ge if isinstance(limit, annotated_types.Ge) else limit.gt)
        elif isinstance(limit, annotated_types.Le | annotated_types.Lt):
            high_allowed = isinstance(limit, annotated_types.Le)
            high = _number(limit.le if isinstance(limit, annotated_types.Le) else limit.lt)
    offered = typing.cast("list[float] | None", extra.get("offered"))
    return FieldDescription(
        key=key,
        meaning=field.description or "",
        unit=str(extra.get("unit", "")),
        default=field.get_default(call_default_factory=True),
        low=low,
        high=high,
        low_allowed=low_allowed,
        high_allowed=high_allowed,
        offered=(low, high) if offered is None else (offered[0], offered[1]),
        choices=tuple(_choices_in(field.annotation)),
        types=frozenset(_types_in(field.annotation)),
    )


def field_keys(root: type[BaseModel] = Experiment) -> Iterator[str]:
    """Iterate over the dotted keys of all settings, those of every alternative too."""
    for name, field in root.model_fields.items():
        sections = list(models_in(field.annotation))
        if not sections:
            yield name
        for section in sections:
            yield from (f"{name}.{key}" for key in field_keys(section))


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """Iterate over the models named in a type: those of a list, and every alternative."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in typing.get_args(annotation):
        yield from models_in(argument)


def _find_field(key: str, root: type[BaseModel]) -> FieldInfo:
    name, _, rest = key.partition(".")
    field = root.model_fields[name]
    if not rest:
        return field
    for section in models_in(field.annotation):
        if rest.partition(".")[0] in section.model_fields:
            return _find_field(rest, section)
    raise KeyError(key)


def _metadata_in(annotation: Any) -> Iterator[Any]:
    """Iterate over what ``Annotated`` says of a type and of its parts."""
    for item in getattr(annotation, "__metadata__", ()):
        yield from item.metadata if isinstance(item, FieldInfo) else (item,)
    for argument in typing.get_args(annotation):
        yield from _metadata_in(argument)


def _choices_in(annotation: Any) -> list[Any]:
    if annotation is bool:
        return [True, False]
    if annotation is type(None):
        return [None]
    if typing.get_origin(annotation) is Literal:
        return list(typing.get_args(annotation))
    return [found for part in typing.get_args(annotation) for found in _choices_in(part)]


def _types_in(annotation: Any) -> Iterator[type]:
    if annotation in {int, float, str}:
        yield annotation
    elif typing.get_origin(annotation) is tuple:
        yield tuple
    if typing.get_origin(annotation) is not Literal:
        for argument in typing.get_args(annotation):
            yield from _types_in(argument)


def _number(limit: Any) -> float:
    return float(limit)
