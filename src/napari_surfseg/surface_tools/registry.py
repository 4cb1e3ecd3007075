"""The table of the tools: what each is called, takes and gives."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from napari_surfseg.errors import ConfigError
from napari_surfseg.surface_tools import functions
from napari_surfseg.surface_tools.setting import Parameter, list_parameters

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["TOOLS", "InputKind", "ResultKind", "Tool", "find_tool"]

#: ``mask``: probabilities are cut at a threshold first; ``grey``: taken as it is;
#: ``labels``: values stay.
InputKind = Literal["mask", "grey", "labels"]
ResultKind = Literal["labels", "mesh", "table"]


@dataclass(frozen=True)
class Tool:
    """One tool.

    Attributes
    ----------
    title : str
        In menus and forms.
    function : callable
        Takes the inputs by name, its settings, and ``spacing`` where it has such a parameter.
    inputs : dict
        Name of each array and what it is.
    result : str
        What comes out.
    suffix : str
        Appended to the name of the first input: ``medial surface``.
    bytes_per_voxel : int
        Memory it takes at its peak, about.
    """

    title: str
    function: Callable[..., Any]
    inputs: dict[str, InputKind]
    result: ResultKind
    suffix: str
    bytes_per_voxel: int

    @property
    def name(self) -> str:
        """On the command line: ``remove-small-pieces``."""
        return self.function.__name__.replace("_", "-")

    @property
    def summary(self) -> str:
        """What it does, in one sentence."""
        return (self.function.__doc__ or "").partition("\n")[0]

    @property
    def takes_spacing(self) -> bool:
        """Whether the voxel size counts."""
        return "spacing" in inspect.signature(self.function).parameters

    @property
    def parameters(self) -> list[Parameter]:
        """Its settings."""
        return list_parameters(self.function)


TOOLS = {
    tool.name: tool
    for tool in (
        Tool(
            "Medial surface",
            functions.medial_surface,
            {"surface": "mask"},
            "labels",
            "middle",
            24,
        ),
        Tool(
            "Remove small pieces",
            functions.remove_small_pieces,
            {"surface": "labels"},
            "labels",
            "without small pieces",
            12,
        ),
        Tool("Fill holes", functions.fill_holes, {"surface": "mask"}, "labels", "filled", 24),
        Tool("Number pieces", functions.label_pieces, {"surface": "mask"}, "labels", "pieces", 12),
        Tool(
            "Cells from membranes",
            functions.cells_from_membranes,
            {"membranes": "grey"},
            "labels",
            "cells",
            60,
        ),
        Tool("Mesh", functions.surface_mesh, {"surface": "grey"}, "mesh", "mesh", 24),
        Tool(
            "Measure sheets",
            functions.measure_sheets,
            {"surface": "labels"},
            "table",
            "measures",
            40,
        ),
        Tool(
            "Score against labels",
            functions.score_against_labels,
            {"surface": "mask", "labels": "labels"},
            "table",
            "scores",
            40,
        ),
        Tool(
            "Score cells",
            functions.score_cells,
            {"cells": "labels", "truth": "labels"},
            "table",
            "scores",
            40,
        ),
    )
}


def find_tool(name: str) -> Tool:
    """Return a tool by its name.

    Raises
    ------
    ConfigError
        If there is none of that name.
    """
    tool = TOOLS.get(name)
    if tool is None:
        raise ConfigError(f"There is no tool {name!r}; there are {', '.join(TOOLS)}.")
    return tool
