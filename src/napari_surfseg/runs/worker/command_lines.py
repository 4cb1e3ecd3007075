"""Lines of ``commands.jsonl`` as commands, or as the sentence that says what is wrong with them.

Any program may append commands, by hand or by a script, and a run of days must not end because
one of them holds a text where a number belongs.
"""

from __future__ import annotations

import json
import math
from dataclasses import MISSING, dataclass, fields
from typing import TYPE_CHECKING, Any, cast

from napari_surfseg.events import Command

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MalformedCommand", "parse_command"]

#: Above what any setting means, and within what every library takes.
MAX_INTEGER = 2**31 - 1
MAX_CHARACTERS = 4096
#: A value longer than this is not repeated in the sentence.
SHOWN_CHARACTERS = 60


@dataclass(frozen=True)
class MalformedCommand:
    """A line that is no command: its id and kind where they can be read, and what is wrong."""

    id: str
    kind: str
    message: str


def parse_command(line: bytes) -> Command | MalformedCommand:
    """Read one line, with every value of the kind that its command asks for."""
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        shown = _shorten(line.decode("utf-8", errors="replace"))
        return MalformedCommand("", "", f"The line {shown} is no command; each is one JSON object.")
    kind, identity = str(values.pop("kind", "")), values.get("id")
    identity = identity if isinstance(identity, str) else ""
    cls = Command.kinds.get(kind)
    if cls is None:
        message = f"There is no command {_shorten(kind)!r}; there are {', '.join(Command.kinds)}."
        return MalformedCommand(identity, kind, message)
    given: dict[str, Any] = {}
    for item in fields(cls):
        if item.name not in values:
            if item.default is MISSING and item.default_factory is MISSING:
                return MalformedCommand(identity, kind, f"The command {kind} lacks {item.name}.")
            continue
        value, what = values[item.name], str(item.type)
        optional = what.endswith(" | None")
        allowed, fits = KINDS_OF_VALUE[what.removesuffix(" | None")]
        if not (fits(value) or (optional and value is None)):
            message = (
                f"The command {kind} has the {item.name} {_shorten(json.dumps(value))}, but it "
                f"must be {allowed}."
            )
            return MalformedCommand(identity, kind, message)
        given[item.name] = tuple(value) if isinstance(value, list) else value
    return cast("type[Any]", cls)(**given)  # type: ignore[no-any-return]


def _shorten(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"


def _is_text(value: object) -> bool:
    return isinstance(value, str) and len(value) <= MAX_CHARACTERS and "\0" not in value


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= MAX_INTEGER


def _is_number(value: object) -> bool:
    return _is_integer(value) or (isinstance(value, float) and math.isfinite(value))


def _is_triple(value: object) -> bool:
    return isinstance(value, list) and len(value) == 3 and all(map(_is_integer, value))


def _is_mapping(value: object) -> bool:
    return isinstance(value, dict) and all(map(_is_number, value.values()))


#: By the annotation of a command's field: what is allowed in words, and the check.
KINDS_OF_VALUE: dict[str, tuple[str, Callable[[object], bool]]] = {
    "str": ("a text", _is_text),
    "int": ("a whole number of ordinary size", _is_integer),
    "float": ("a finite number", _is_number),
    "Index3": ("three whole numbers (Z, Y, X)", _is_triple),
    "Size3": ("three whole numbers (Z, Y, X)", _is_triple),
    "dict[str, float]": ("a mapping of names to finite numbers", _is_mapping),
}
