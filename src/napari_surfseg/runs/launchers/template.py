"""Places in a launcher's commands that are filled in: ``{run}`` as it is, ``{run:sh}`` quoted.

A command is a list of arguments, handed over as they are: no shell of this machine reads them.
Where one argument is a line for a shell (what ``ssh`` runs, a job's script), each place in it must
be quoted, and a file that forgets it is refused before anything runs.
"""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["PLACES", "check_places", "fill_arguments", "fill_line"]

#: What can be filled in. Paths are those of the machine that trains, unless they end in ``_here``.
PLACES = {
    "command": "the command that trains, with its arguments",
    "run": "the run folder",
    "folder": "the working folder",
    "log": "the run's log",
    "job_log": "where the job's own output goes",
    "script": "the script that is written into the run folder",
    "run_here": "the run folder as this machine calls it",
    "script_here": "the script as this machine calls it",
    "name": "the run's name, in letters, digits, - and _",
    "job": "the job's number",
}
#: These hold nothing that a shell could misread.
PLAIN = frozenset({"name", "job"})

#: Neither a variable of a shell, ``${run}``, nor a list such as ``{a,b}``.
PLACE = re.compile(r"(?<!\$)\{([a-z_]+)(:sh)?\}")


def check_places(text: str, known: Sequence[str], *, is_script: bool = False) -> str:
    """Return what is wrong with the places of an argument or a script; empty if nothing is."""
    for name, quoted in PLACE.findall(text):
        if name not in known:
            return f"{{{name}}} is none of what can be filled in: {', '.join(known)}"
        is_line = is_script or re.search(r"\s", text) is not None
        if is_line and not quoted and name not in PLAIN:
            return f"{{{name}}} stands in a line for a shell, where it is written {{{name}:sh}}"
        if name == "command" and not quoted and text != "{command}":
            return "{command} is an argument of its own, or {command:sh} in a line for a shell"
    return ""


def fill_arguments(
    arguments: Sequence[str], values: Mapping[str, str], command: Sequence[str]
) -> list[str]:
    """Fill in the places of a command; ``{command}`` becomes as many arguments as it has."""
    found: list[str] = []
    for argument in arguments:
        found += command if argument == "{command}" else [fill_line(argument, values, command)]
    return found


def fill_line(text: str, values: Mapping[str, str], command: Sequence[str]) -> str:
    """Fill in the places of an argument or a script."""

    def fill(match: re.Match[str]) -> str:
        name, quoted = match.groups()
        if name == "command":
            return shlex.join(command)
        return shlex.quote(values[name]) if quoted else values[name]

    return PLACE.sub(fill, text)
