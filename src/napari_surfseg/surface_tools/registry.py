"""The table of the tools: what each is called, takes and gives, and how it does large volumes.

A tool is one entry: its function gets its inputs by name, its settings, and of the following
what it has a parameter for:

==========  ====================================================================
parameter   what it gets
==========  ====================================================================
spacing     voxel size of the first volume along Z, Y, X
origin      place of the centre of its voxel (0, 0, 0), in the same unit
units       unit of it, or None
report      a callable for the stage and its share, 0 to 1
folder      an empty folder to write into, where the result is a folder of files
==========  ====================================================================

What it does with a volume that does not fit into memory is :attr:`Tool.large`.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from napari_surfseg.errors import ConfigError
from napari_surfseg.surface_tools import (
    block_functions,
    functions,
    measure_functions,
    mesh_functions,
    phantom_functions,
    sheet_functions,
)
from napari_surfseg.surface_tools.block_work import by_margin
from napari_surfseg.surface_tools.setting import Parameter, list_parameters

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from napari_surfseg.surface_tools.block_work import BlockFunction

__all__ = ["TOOLS", "InputKind", "ResultKind", "Tool", "find_tool"]

#: ``mask``: probabilities are cut at a threshold first; ``grey``: taken as it is;
#: ``labels``: values stay.
InputKind = Literal["mask", "grey", "labels"]
#: ``folder``: of files, some of which are opened as layers (``FolderContents``).
ResultKind = Literal["labels", "mesh", "table", "folder"]


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
        Name of each array and what it is; of one that makes something of nothing, empty.
    result : str
        What comes out.
    suffix : str
        Appended to the name of the first input: ``medial surface``.
    bytes_per_voxel : int
        Memory it takes at its peak, about.
    large : "whole", "lazy" or callable
        How it does a volume that does not fit: ``"whole"``, not at all, which is said in a
        sentence; ``"lazy"``, by the same function, which reads its inputs by slices; or by
        this function, block by block.
    powers : mapping
        Of columns of a table, the power of the unit of length that they are in: 2 for an area.
    """

    title: str
    function: Callable[..., Any]
    inputs: dict[str, InputKind]
    result: ResultKind
    suffix: str
    bytes_per_voxel: int = 24
    large: Literal["whole", "lazy"] | BlockFunction = "whole"
    powers: Mapping[str, int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """On the command line: ``remove-small-pieces``."""
        return self.function.__name__.replace("_", "-")

    @property
    def summary(self) -> str:
        """What it does, in one sentence."""
        return (self.function.__doc__ or "").partition("\n")[0]

    def choose(self, offered: Mapping[str, Any]) -> dict[str, Any]:
        """Choose of what is offered what the function has a parameter for."""
        wanted = inspect.signature(self.function).parameters
        return {name: value for name, value in offered.items() if name in wanted}

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
            block_functions.medial_surface,
        ),
        Tool(
            "Remove small pieces",
            functions.remove_small_pieces,
            {"surface": "labels"},
            "labels",
            "without small pieces",
            12,
            block_functions.remove_small_pieces,
        ),
        Tool(
            "Fill holes",
            functions.fill_holes,
            {"surface": "mask"},
            "labels",
            "filled",
            24,
            block_functions.fill_holes,
        ),
        Tool(
            "Number pieces",
            functions.label_pieces,
            {"surface": "mask"},
            "labels",
            "pieces",
            12,
            block_functions.label_pieces,
        ),
        Tool(
            "Split touching sheets",
            sheet_functions.split_touching_sheets,
            {"surface": "grey"},
            "labels",
            "sheets",
            80,
        ),
        Tool(
            "Order sheets",
            sheet_functions.order_sheets,
            {"sheets": "labels"},
            "labels",
            "in order",
            60,
        ),
        Tool(
            "Threshold",
            functions.threshold_surface,
            {"surface": "mask"},
            "labels",
            "surface",
            3,
            by_margin(functions.threshold_surface),
        ),
        Tool(
            "Cells from membranes",
            functions.cells_from_membranes,
            {"membranes": "grey"},
            "labels",
            "cells",
            60,
            block_functions.cells_from_membranes,
        ),
        Tool("Mesh", mesh_functions.surface_mesh, {"surface": "grey"}, "mesh", "mesh", 160, "lazy"),
        Tool(
            "Grid of points of each sheet",
            mesh_functions.sheet_grids,
            {"surface": "labels"},
            "folder",
            "grids",
            48,
            "lazy",
            powers={"area": 2},
        ),
        Tool("Make a phantom", phantom_functions.make_phantom, {}, "folder", "scroll"),
        Tool(
            "Mesh of each sheet",
            mesh_functions.sheet_meshes,
            {"surface": "labels"},
            "folder",
            "meshes",
            48,
            "lazy",
            powers={"area": 2},
        ),
        Tool(
            "Histogram of sheets",
            measure_functions.sheet_histogram,
            {"surface": "labels"},
            "table",
            "histogram",
            48,
            "lazy",
            powers={
                "area": 2,
                "thickness_from": 1,
                "thickness_to": 1,
                "gap_from": 1,
                "gap_to": 1,
                "curvature_from": -1,
                "curvature_to": -1,
            },
        ),
        Tool(
            "Measure sheets",
            functions.measure_sheets,
            {"surface": "labels"},
            "table",
            "measures",
            40,
            block_functions.measure_sheets,
            powers={
                "volume": 3,
                "area": 2,
                "thickness": 1,
                "thickness_spread": 1,
                "rim_length": 1,
                "hole_rim_length": 1,
                "contact_area": 2,
                "mean_curvature": -1,
                "gap": 1,
            },
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
            block_functions.score_cells,
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
