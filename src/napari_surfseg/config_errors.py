"""Errors of a configuration as sentences: the key, what was found, what is allowed.

pydantic reports every branch of every union it tried, in its own words. This
turns the reports about the first wrong key into one sentence for a person.
"""

from __future__ import annotations

import difflib
import typing
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from napari_surfseg.config_fields import models_in
from napari_surfseg.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic_core import ErrorDetails

__all__ = ["explain_error", "unknown_key"]

#: A value longer than this is not repeated in the sentence.
SHOWN_CHARACTERS = 80

#: What pydantic's reports mean, with its context filled in.
ALLOWED = {
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "dict_type": "a mapping of settings",
    "finite_number": "a finite number",
    "float_parsing": "a number",
    "float_type": "a number",
    "greater_than": "above {gt:g}",
    "greater_than_equal": "at least {ge:g}",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number of ordinary size",
    "int_type": "a whole number",
    "less_than": "below {lt:g}",
    "less_than_equal": "at most {le:g}",
    "literal_error": "{expected}",
    "model_type": "a mapping of settings",
    "string_too_short": "a text that is not empty",
    "string_type": "a text",
    "too_long": "a list of at most {max_length} items",
    "too_short": "a list of at least {min_length} items",
    "tuple_type": "a list",
}

#: Of several branches that failed, the ones about the type say less than those about the value.
ABOUT_TYPE = frozenset(kind for kind in ALLOWED if kind.endswith(("_parsing", "_type")))


def explain_error(error: ValidationError, root: type[BaseModel], source: str) -> ConfigError:
    """Return the error to raise for the first wrong key.

    Parameters
    ----------
    error : ValidationError
        As pydantic raised it.
    root : type
        The model that was validated.
    source : str
        What holds the values: a file's path, or ``--set``.
    """
    reports = error.errors(include_url=False)
    first = reports[0]
    location, annotation = _find_key(first, root)
    key = ".".join(location)
    if first["type"] == "extra_forbidden":
        return unknown_key(key, _keys_beside(location, root))
    size = _fixed_size(annotation)
    if size is not None and (_is_about_length(first) or first["type"] == "missing"):
        # A list of the wrong length is reported item by item; the list is what was wrong.
        if location and location[-1].isdigit():
            location, key = location[:-1], ".".join(location[:-1])
        value = first.get("input")  # of a missing item, the list it is missing from
        axes = " (Z, Y, X)" if size == 3 else ""
        return _refuse(source, key, value, f"must be a list of {size} values{axes}")
    if first["type"] == "missing":
        return ConfigError(f"In {source}, {key} is missing.", field=key)
    same = [report for report in reports if _find_key(report, root)[0] == location]
    return _refuse(source, key, first.get("input"), _join_reasons(same))


def unknown_key(key: str, known: Iterable[str]) -> ConfigError:
    """Return the error for a key that does not exist, with the nearest that does."""
    known = list(known)
    section, _, name = key.rpartition(".")
    where = f" in {section}" if section else ""
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    allowed = f" (allowed: {', '.join(known)})" if known else ""
    return ConfigError(f"There is no setting {name!r}{where}{hint}{allowed}.", field=key)


def _refuse(source: str, key: str, found: Any, reason: str) -> ConfigError:
    shown = repr(list(found)) if isinstance(found, tuple) else repr(found)
    subject = key or "the configuration"
    if isinstance(found, BaseModel | dict) or len(shown) > SHOWN_CHARACTERS:
        text = f"{subject} is not usable: {'it ' if reason.startswith('must') else ''}{reason}"
    else:
        joint = ", but it " if reason.startswith("must") else ": "
        text = f"{subject} is {'empty' if found is None else shown}{joint}{reason}"
    return ConfigError(f"In {source}, {text}.", field=key or None)


def _join_reasons(reports: list[ErrorDetails]) -> str:
    """Say what is allowed, over all branches of a union."""
    informative = [report for report in reports if report["type"] not in ABOUT_TYPE]
    kinds = {report["type"] for report in reports}
    if "literal_error" in kinds or not informative:
        informative = reports
    allowed = []
    for report in informative:
        template = ALLOWED.get(report["type"])
        if template is None:
            reason = report["msg"].removeprefix("Value error, ")
            return reason[:1].lower() + reason[1:]
        allowed.append(template.format(**report.get("ctx", {})))
    return f"must be {' or '.join(dict.fromkeys(allowed))}"


def _find_key(report: ErrorDetails, root: type[BaseModel]) -> tuple[tuple[str, ...], Any]:
    """Return the parts of a report's location that are keys or places, and the last type.

    The other parts name branches of unions (``constrained-int``).
    """
    found: list[str] = []
    annotation: Any = root
    for part in report["loc"]:
        if isinstance(part, int):
            found.append(str(part))
            continue
        models = list(models_in(annotation))
        field = next((m.model_fields[part] for m in models if part in m.model_fields), None)
        if field is not None:
            found.append(part)
            annotation = field.annotation
        elif report["type"] == "extra_forbidden" and part == report["loc"][-1]:
            found.append(part)
    return tuple(found), annotation


def _keys_beside(location: tuple[str, ...], root: type[BaseModel]) -> list[str]:
    annotation: Any = root
    for part in location[:-1]:
        for model in models_in(annotation):
            if part in model.model_fields:
                annotation = model.model_fields[part].annotation
                break
    # Where a list of models and one model are both allowed, a place in the location decides.
    models = list(models_in(annotation))
    in_list = len(location) > 1 and location[-2].isdigit()
    chosen = [m for m in models if ("image" in m.model_fields) == in_list] or models
    return list(chosen[0].model_fields) if chosen else []


def _fixed_size(annotation: Any) -> int | None:
    """Return how many items a tuple type has, if that is fixed."""
    if typing.get_origin(annotation) is tuple:
        arguments = typing.get_args(annotation)
        return None if Ellipsis in arguments else len(arguments)
    sizes = [_fixed_size(argument) for argument in typing.get_args(annotation)]
    return next((size for size in sizes if size is not None), None)


def _is_about_length(report: ErrorDetails) -> bool:
    return report["type"] in {"too_long", "too_short", "tuple_type"}
