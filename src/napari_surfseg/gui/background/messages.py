"""A worker's sentences in the window's words: names of layers for paths, buttons for switches."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["name_copies", "name_layers", "name_switches"]

#: What the window calls the switches of the command line.
SWITCHES = {
    "--resume": "Resume",
    "--run-dir": "run name",
    "--device": "device",
    "--set": "setting",
}
COPY = re.compile(r"(image|labels)_\d+\.zarr")


def name_layers(message: str, names: Mapping[str, str]) -> str:
    """Replace the path of a volume or labels by the name of the layer that shows it.

    Parameters
    ----------
    message : str
        A sentence.
    names : mapping
        Path to the name of the layer.
    """
    # The longest first: a path may begin with another one.
    for path in sorted(names, key=len, reverse=True):
        message = _replace(message, path, f"the layer {names[path]!r}")
    return message


def name_copies(message: str, folder: Path) -> str:
    """Replace the path of a copy in the run's folder by what it is a copy of."""
    for sep in {"/", "\\"}:
        prefix = f"{folder}{sep}"
        for found in re.findall(re.escape(prefix) + COPY.pattern, message):
            what = {"image": "volume", "labels": "labels"}[found]
            path = re.search(re.escape(prefix) + rf"{found}_\d+\.zarr", message)
            if path is not None:
                message = _replace(message, path[0], f"the run's copy of the {what}")
    return message


def name_switches(message: str) -> str:
    """Replace a switch of the command line by what the window calls it."""
    for switch, word in SWITCHES.items():
        message = re.sub(rf"(?<![\w-]){switch}(?![\w-])", word, message)
    return message


def _replace(message: str, path: str, words: str) -> str:
    if message.startswith(path):
        return f"{words[:1].upper()}{words[1:]}" + message[len(path) :].replace(path, words)
    return message.replace(path, words)
