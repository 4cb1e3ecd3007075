"""The widgets of the dock "Surface tools"."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QComboBox, QFileDialog, QVBoxLayout, QWidget

from napari_surfseg.gui.controls.basics import (
    NARROWEST,
    FieldError,
    NoWheelFilter,
    hint,
    labelled_rows,
    note,
    push_button,
    scrolled,
)
from napari_surfseg.gui.controls.job_controls import JobControls
from napari_surfseg.gui.controls.layer_or_file import SourceCombo
from napari_surfseg.gui.controls.number_boxes import NumberBox, with_error
from napari_surfseg.gui.controls.question_dialog import ask_in_dialog
from napari_surfseg.gui.controls.source_choice import SourceChoice
from napari_surfseg.gui.controls.tab_order import TabOrder
from napari_surfseg.gui.surface_tools.form import ToolForm
from napari_surfseg.surface_tools.registry import TOOLS, find_tool
from napari_surfseg.wording import format_short

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Layer

    from napari_surfseg.surface_tools.registry import Tool
    from napari_surfseg.surface_tools.results import Table

__all__ = ["ToolsView"]

#: A tool takes at most this many volumes.
NUM_INPUTS = max(len(tool.inputs) for tool in TOOLS.values())

#: Rows that a dock shows; columns it has no space for; and those that need no heading.
MAX_ROWS = 20
LEFT_OUT = frozenset({"voxels", "volume", "rim_length", "cavities", "mean_curvature"})
PAIR = ("name", "value")

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


class ToolsView(QWidget):
    """Passive; what it offers is :class:`~.controller.ToolsViewProtocol`."""

    run_clicked = Signal()
    cancel_clicked = Signal()
    tool_chosen = Signal()
    save_clicked = Signal(str)
    """Carries the file that a person chose for the table."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("surface_tools")
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
        run = push_button(
            "run_tool", "Run", "Run the tool in a process of its own; the layer it is for stays."
        )
        run.clicked.connect(self.run_clicked)
        cancel = push_button("cancel_tool", "Cancel", "End the tool; nothing is added.")
        cancel.clicked.connect(self.cancel_clicked)
        self.job = JobControls("tool", start=run, cancel=cancel, state=note("Choose a layer."))
        self.error = FieldError("tool")
        self.table = note("")
        self.table.setObjectName("tool_table")
        self.table.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
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
        body = QWidget()
        inside = QVBoxLayout(body)
        inside.setContentsMargins(6, 4, 6, 4)
        inside.setSpacing(4)
        inside.addLayout(self.rows)
        for form in self._forms.values():
            inside.addWidget(form.native)
        inside.addLayout(self.job.buttons)
        for item in (self.job.progress, self.error, self.job.state, self.table, self.save):
            inside.addWidget(item)
        inside.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(scrolled(body, "tools_page"))
        self.setMinimumWidth(NARROWEST)
        TabOrder(self)
        self._wheel = NoWheelFilter(self)
        self._wheel.guard(self)
        self.tools.currentIndexChanged.connect(self._show_tool)
        self._show_tool()
        self.set_busy(False)

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
        for name, form in self._forms.items():
            form.native.setVisible(name == tool.name and bool(tool.parameters))
        self.show_error("")
        self.set_table([])
        self.tool_chosen.emit()

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

    def settings(self) -> dict[str, Any]:
        """Return the settings of the tool."""
        return self._forms[self.tool().name].values()

    def threshold_value(self) -> float:
        """Return the probability above which a voxel is surface."""
        return float(self.threshold.value())

    def set_table(self, table: Table) -> None:
        """Show the first rows of a table, as far as a dock is wide; none hides it."""
        self.table.setText(write_html(table))
        self.table.setVisible(bool(table))
        self.save.setVisible(bool(table))

    def _ask_file(self) -> None:
        path, _ = QFileDialog.getSaveFileName(self, "Save the table", "", "Tables (*.csv)")
        if path:
            self.save_clicked.emit(path if path.lower().endswith(".csv") else f"{path}.csv")

    def set_busy(self, busy: bool) -> None:
        """Switch between Run and Cancel."""
        self.job.set_busy(busy)

    def set_state(self, text: str, share: float | None = None) -> None:
        """Say what is going on, and how much of it is done, 0 to 1."""
        self.job.set_state(text, share)

    def ask(self, question: str) -> bool:
        """Ask the person in a dialog."""
        return ask_in_dialog(question, self)

    def show_error(self, message: str, field: str | None = None) -> None:
        """Show a sentence beside the input it is about, or below the buttons."""
        names = list(self.tool().inputs)
        for place in (*self.errors, self.error):
            place.set_message("")
        place = self.errors[names.index(field)] if field in names else self.error
        place.set_message(message)


def write_html(table: Table) -> str:
    """Write a table for a narrow dock: its names where there are several, and its first rows."""
    if not table:
        return ""
    columns = [name for name in table[0] if name not in LEFT_OUT]
    cell = "<td style='padding-right: 10px'>"
    lines = [[_write(row[name]) for name in columns] for row in table[:MAX_ROWS]]
    if len(columns) > len(PAIR):
        lines.insert(0, [f"<b>{name.replace('_', ' ')}</b>" for name in columns])
    rows = ["<tr>" + "".join(cell + text + "</td>" for text in line) + "</tr>" for line in lines]
    left = len(table) - MAX_ROWS
    more = f"<br>and {left:,} more, in the file that <i>Save table…</i> writes" if left > 0 else ""
    return f"<table>{''.join(rows)}</table>{more}"


def _write(value: float | int | str) -> str:
    return format_short(value) if isinstance(value, float) else str(value)
