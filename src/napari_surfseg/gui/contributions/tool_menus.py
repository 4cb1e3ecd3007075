"""Entries of napari's Layers menu for single tools: the dock "Surface tools" with its tool chosen.

The manifest names a function for each, ``open_medial_surface`` for *medial-surface*; they are
made here when they are asked for.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from napari_surfseg.gui.contributions.menus import open_dock

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["open_tool"]

PREFIX = "open_"


def open_tool(name: str) -> None:
    """Open the dock with a tool chosen, on the layer that is selected."""
    widget = open_dock("Surface tools")
    if widget is not None:
        widget.controller.choose_tool(name)


def __getattr__(name: str) -> Callable[[], None]:
    from napari_surfseg.surface_tools.registry import TOOLS

    tool = name.removeprefix(PREFIX).replace("_", "-")
    if not name.startswith(PREFIX) or tool not in TOOLS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return partial(open_tool, tool)
