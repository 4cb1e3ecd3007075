"""The widgets of the dock "Surface tools"."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QFileDialog, QLineEdit

from napari_surfseg.gui.controls.basics import (
    FieldError,
    hint,
    labelled_rows,
    note,
    push_button,
)
from napari_surfseg.gui.controls.job_controls import JobControls
from napari_surfseg.gui.controls.job_page import JobPage
from napari_surfseg.gui.controls.layer_or_file import SourceCombo
from napari_surfseg.gui.controls.number_boxes import NumberBox, with_error
from napari_surfseg.gui.controls.source_choice import SourceChoice
from napari_surfseg.gui.surface_tools.form import ToolForm
from napari_surfseg.gui.surface_tools.result_table import ResultTable
from napari_surfseg.surface_tools.registry import TOOLS, find_tool

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Layer

    from napari_surfseg.surface_tools.registry import Tool
    from napari_surfseg.surface_tools.results import Table

__all__ = ["ToolsView"]

#: A tool takes at most this many volumes.
NUM_INPUTS = max(len(tool.inputs) for tool in TOOLS.values())

#: By what an input is, and for some by their names.
KIND_TIPS = {
    "mask": "A labels layer, in which every voxel that is not 0 is surface, or probabilities.",
    "grey": "Probabilities (0 to 255, or 0 to 1), or a mask.",
    "labels": "A labels layer with a value for each sheet or object.",
}
TIPS = {
    "surface": "A labels layer, in which every voxel that is not 0 is surface, or probabilities.",
    "membranes": "Probability of membrane (0 to 255, or 0 to 1), or a mask.",
    "labels": "0 background, 1 surface, 2 not annotated; of the same shape.",
    "cells": "A labels layer with a value for each cell.",
    "truth": "The cells as they should be; voxels of 0 are not scored.",
}


class ToolsView(JobPage):
    """Passive; what it offers is :class:`~.controller.ToolsViewProtocol`."""

    run_clicked = Signal()
    cancel_clicked = Signal()
    tool_chosen = Signal()
    save_clicked = Signal(str)
    """Carries the file that a person chose for the table."""
    row_chosen = Signal(object)
    """Carries the row of the table that a person chose."""
    changed = Signal()
    """Another tool was chosen, or a setting changed."""

    def __init__(self) -> None:
        run = push_button(
            "run_tool", "Run", "Run the tool in a process of its own; the layer it is for stays."
        )
        cancel = push_button("cancel_tool", "Cancel", "End the tool; nothing is added.")
        state = note("")
        job = JobControls("tool", start=run, cancel=cancel, state=state)
        super().__init__("surface_tools", job, FieldError("tool"))
        run.clicked.connect(self.run_clicked)
        cancel.clicked.connect(self.cancel_clicked)
        self.tools = QComboBox()
        self.tools.setObjectName("tool_name")
        for name, tool in TOOLS.items():
            self.tools.addItem(tool.title, name)
        hint(self.tools, "What to do with a surface; each result is a new layer.")
        self.summary = note("")
        self.summary.setObjectName("tool_summary")
        self.choosers = [SourceCombo(f"tool_input_{n}", "a layer") for n in range(NUM_INPUTS)]
        for chooser in self.choosers:
            hint(chooser, "What the tool works on.")
        self.errors = [FieldError(f"tool_input_{n}") for n in range(NUM_INPUTS)]
        self.threshold = NumberBox("tool_threshold", "The threshold", 0.01, 0.99, step=0.05)
        self.threshold.setValue(0.5)
        hint(self.threshold, "Probability above which a voxel is surface (0 to 1).")
        self._forms = {name: ToolForm(tool) for name, tool in TOOLS.items()}
        self.results = QLineEdit()
        self.results.setObjectName("tool_folder")
        hint(
            self.results,
            "Folder for results that are files, and for labels of more than 0.5 GB, which are "
            "opened in place (path); smaller ones are layers in memory until you save them.",
        )
        self.table = ResultTable()
        self.table.row_chosen.connect(self.row_chosen)
        self.save = push_button(
            "save_tool_table", "Save table…", "Write the whole table as CSV, one row for each line."
        )
        self.save.clicked.connect(self._ask_file)
        self.rows = labelled_rows()
        self.rows.addRow("Tool", self.tools)
        self.rows.addRow(self.summary)
        for chooser, error in zip(self.choosers, self.errors, strict=True):
            self.rows.addRow(" ", chooser)
            self.rows.addRow(error)
        self.cut = with_error(self.threshold)
        self.rows.addRow("Surface above", self.cut)
        self.rows.addRow("Results in", self.results)
        found = (self.job.progress, self.error, self.job.state, self.table, self.save)
        forms = [form.native for form in self._forms.values()]
        self.lay_out("tools_page", self.rows, *forms, self.job.buttons, *found, stretched=None)
        self.tools.currentIndexChanged.connect(self._show_tool)
        self.threshold.valueChanged.connect(self.changed)
        self.results.editingFinished.connect(self.changed)
        for form in self._forms.values():
            form.connect(self.changed.emit)
        self._show_tool()

    def tool(self) -> Tool:
        """Return the tool that is chosen."""
        return find_tool(self.tools.currentData())

    def set_tool(self, name: str) -> None:
        """Choose a tool."""
        self.tools.setCurrentIndex(self.tools.findData(name))

    def _show_tool(self) -> None:
        tool = self.tool()
        self.summary.setText(tool.summary)
        names = list(tool.inputs)
        for number, chooser in enumerate(self.choosers):
            is_used = number < len(names)
            self.rows.setRowVisible(chooser, is_used)
            if is_used:
                label: Any = self.rows.labelForField(chooser)
                label.setText(names[number].replace("_", " ").capitalize())
                tip = TIPS.get(names[number], KIND_TIPS[tool.inputs[names[number]]])
                hint(chooser, f"{tip} A layer with three axes (Z, Y, X) or a file.")
        self.rows.setRowVisible(self.cut, "mask" in tool.inputs.values())
        self.rows.setRowVisible(self.results, tool.result in {"labels", "folder"})
        for name, form in self._forms.items():
            form.native.setVisible(name == tool.name and bool(tool.parameters))
        self.show_error("")
        self.set_table([])
        if not self.job.cancel.isEnabled():  # what another tool said is over
            self.set_state("")
        self.tool_chosen.emit()
        self.changed.emit()

    def state(self) -> dict[str, Any]:
        """Return the tool, and what is set of each, for :meth:`restore`."""
        return {
            "tool": self.tool().name,
            "settings": {name: form.values() for name, form in self._forms.items()},
            "threshold": self.threshold_value(),
            "folder": self.folder(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Set everything as it was."""
        for name, values in state["settings"].items():
            self._forms[name].set_values(values)
        self.threshold.setValue(state["threshold"])
        self.set_folder(state["folder"])
        self.set_tool(state["tool"])

    def set_layers(self, layers: Sequence[Layer]) -> None:
        """Offer these layers."""
        for chooser in self.choosers:
            chooser.set_layers(layers)

    def source(self, name: str) -> SourceChoice | None:
        """Return what is chosen for an input of the tool."""
        return self.choosers[list(self.tool().inputs).index(name)].choice()

    def suggest(self, name: str, layer: Layer) -> None:
        """Choose a layer for an input, unless a person has chosen."""
        chooser = self.choosers[list(self.tool().inputs).index(name)]
        if not chooser.is_manual:
            chooser.set_choice(SourceChoice.of_layer(layer))

    def choose(self, name: str, layer: Layer) -> None:
        """Choose a layer for an input, as if a person had."""
        chooser = self.choosers[list(self.tool().inputs).index(name)]
        chooser.set_choice(SourceChoice.of_layer(layer))
        chooser.confirm()

    def settings(self) -> dict[str, Any]:
        """Return the settings of the tool."""
        return self._forms[self.tool().name].values()

    def threshold_value(self) -> float:
        """Return the probability above which a voxel is surface."""
        return float(self.threshold.value())

    def folder(self) -> str:
        """Return where results go that are not loaded."""
        return self.results.text().strip()

    def set_folder(self, folder: str) -> None:
        """Show where such results go."""
        self.results.setText(folder)

    def set_table(self, table: Table, units: dict[str, str] | None = None) -> None:
        """Show the rows of a table, and the units of its columns; none hides it."""
        self.table.show_rows(table, units or {})
        self.save.setVisible(bool(table))

    def _ask_file(self) -> None:
        path, _ = QFileDialog.getSaveFileName(self, "Save the table", "", "Tables (*.csv)")
        if path:
            self.save_clicked.emit(path if path.lower().endswith(".csv") else f"{path}.csv")

    def show_error(self, message: str, field: str | None = None) -> None:
        """Show a sentence beside the input it is about, or below the buttons."""
        names = list(self.tool().inputs)
        for place in (*self.errors, self.error):
            place.set_message("")
        place = self.errors[names.index(field)] if field in names else self.error
        place.set_message(message)
