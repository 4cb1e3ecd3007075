"""Many pairs at once on the data page: a table or a pattern, one row each whatever it holds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_surfseg.gui.controls.basics import (
    ElidedLabel,
    FieldError,
    hint,
    labelled_rows,
    push_button,
)

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ManyChoice", "ManyDialog", "ManyPairs", "ManyRow"]

TABLES = "Tables (*.csv *.tsv);;All files (*)"


@dataclass(frozen=True)
class ManyChoice:
    """A table, or a pattern of images with the pattern of their labels.

    Attributes
    ----------
    image : str
        Path of a table where there are no labels.
    labels : str
        With ``{name}``, which is what the ``*`` of ``image`` stands for.
    """

    image: str
    labels: str = ""

    @property
    def entry(self) -> Any:
        """As it stands in a configuration."""
        return {"image": self.image, "labels": self.labels} if self.labels else self.image

    @property
    def title(self) -> str:
        """What a person recognises it by."""
        return f"{self.image} with {self.labels}" if self.labels else self.image


class ManyRow(QFrame):
    """One table or pattern, and how many pairs it holds. Passive."""

    removed = Signal(object)

    def __init__(self, choice: ManyChoice, number: int) -> None:
        super().__init__()
        self.setObjectName(f"many_{number}")
        self.choice = choice
        self.title = ElidedLabel(choice.title)
        self.state = QLabel("Counting the pairs…")
        self.state.setObjectName(f"many_state_{number}")
        self.state.setWordWrap(True)
        self.error = FieldError(f"many_{number}")
        self.remove = QToolButton()
        self.remove.setObjectName(f"remove_many_{number}")
        self.remove.setText("✕")
        hint(self.remove, "Take these pairs off the list; the files stay.")
        line = QHBoxLayout()
        line.addWidget(self.title, 1)
        line.addWidget(self.remove)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 2, 0, 2)
        layout.setSpacing(2)
        layout.addLayout(line)
        layout.addWidget(self.state)
        layout.addWidget(self.error)
        self.remove.clicked.connect(self._on_remove)

    def set_state(self, text: str, error: str = "") -> None:
        """Say how many pairs it holds, or what is wrong with it."""
        self.state.setText(text)
        self.state.setVisible(bool(text))
        self.error.set_message(error)

    def _on_remove(self, _checked: bool = False) -> None:
        self.removed.emit(self)


class ManyDialog(QDialog):
    """Asks for a table, or for the patterns of images and labels."""

    def __init__(self, parent: QWidget | None = None, folder: str = "") -> None:
        super().__init__(parent)
        self.setObjectName("many_dialog")
        self.setWindowTitle("Add many volumes")
        self._folder = folder
        self.table = _line("many_table", "pairs.csv")
        hint(self.table, "A table with the columns image and labels, and if wanted weight, split "
             "(train or validation), spacing and roi (path of a CSV file).")  # fmt: skip
        self.image = _line("many_images", "/data/images/*.tif")
        hint(self.image, "Path of the volumes with one *, which stands for any name.")
        self.labels = _line("many_labels", "/data/labels/{name}.tif")
        hint(self.labels, "Path of the labels, with {name} for what * stands for.")
        table = self._with_button(self.table, "many_browse_table", self._on_table)
        image = self._with_button(self.image, "many_browse_folder", self._on_folder)
        form = labelled_rows(spacing=6)
        form.addRow("Table", table)
        form.addRow(QLabel("or a folder of volumes:"))
        form.addRow("Volumes", image)
        form.addRow("Labels", self.labels)
        buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel
        )
        self.add = buttons.button(QDialogButtonBox.StandardButton.Ok)
        self.add.setText("Add")
        self.add.setObjectName("many_add")
        self.add.setEnabled(False)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addWidget(buttons)
        self.setMinimumWidth(480)
        for line in (self.table, self.image, self.labels):
            line.textChanged.connect(self._on_text)

    def choice(self) -> ManyChoice | None:
        """Return what was asked for; None while it is not complete."""
        table, image = self.table.text().strip(), self.image.text().strip()
        labels = self.labels.text().strip()
        if table:
            return ManyChoice(table)
        return ManyChoice(image, labels) if image and labels else None

    def _with_button(self, line: QLineEdit, name: str, slot: Callable[[bool], None]) -> QHBoxLayout:
        browse = QToolButton()
        browse.setObjectName(name)
        browse.setText("…")
        hint(browse, "Choose it among the files.")
        browse.clicked.connect(slot)
        found = QHBoxLayout()
        found.addWidget(line, 1)
        found.addWidget(browse)
        return found

    def _on_text(self, _text: str) -> None:
        has_table = bool(self.table.text().strip())
        self.image.setEnabled(not has_table)
        self.labels.setEnabled(not has_table)
        self.add.setEnabled(self.choice() is not None)

    def _on_table(self, _checked: bool = False) -> None:
        found, _ = QFileDialog.getOpenFileName(self, "Table of pairs", self._folder, TABLES)
        if found:
            self.table.setText(found)

    def _on_folder(self, _checked: bool = False) -> None:
        found = QFileDialog.getExistingDirectory(self, "Folder of volumes", self._folder)
        if found:
            folder = Path(found)
            self.image.setText(str(folder / "*.tif"))
            if not self.labels.text():
                self.labels.setText(str(folder.parent / "labels" / "{name}.tif"))


def _line(name: str, example: str) -> QLineEdit:
    line = QLineEdit()
    line.setObjectName(name)
    line.setPlaceholderText(example)
    return line


class ManyPairs(QWidget):
    """The list of tables and patterns. Passive."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[ManyRow] = []
        self._made = 0
        self.add_button = push_button(
            "add_many",
            "Add from a table or folder…",
            "Add many volumes and their labels at once: a table (CSV), or all files of a folder.",
        )
        self._list = QVBoxLayout()
        self._list.setSpacing(4)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(self._list)
        layout.addWidget(self.add_button)
        self.add_button.clicked.connect(self._on_add)

    def choices(self) -> tuple[ManyChoice, ...]:
        """Return the tables and patterns."""
        return tuple(row.choice for row in self.rows)

    def add(self, choice: ManyChoice) -> None:
        """Add a table or a pattern, once."""
        if choice in self.choices():
            return
        row = ManyRow(choice, self._made)
        self._made += 1
        row.removed.connect(self.remove)
        self.rows.append(row)
        self._list.addWidget(row)
        self.changed.emit()

    def remove(self, row: ManyRow) -> None:
        """Take a table or a pattern off the list."""
        if row not in self.rows:
            return
        self.rows.remove(row)
        self._list.removeWidget(row)
        row.hide()
        row.deleteLater()
        self.changed.emit()

    def set_state(self, choice: ManyChoice, text: str, error: str = "") -> None:
        """Say how many pairs a table or pattern holds, or what is wrong with it."""
        for row in self.rows:
            if row.choice == choice:
                row.set_state(text, error)

    def lockable(self) -> list[QWidget]:
        """Return the controls that are fixed for a run."""
        return [self.add_button, *(row.remove for row in self.rows)]

    def _on_add(self, _checked: bool = False) -> None:
        dialog = ManyDialog(self)
        if dialog.exec() == QDialog.DialogCode.Accepted:
            choice = dialog.choice()
            if choice is not None:
                self.add(choice)
        dialog.deleteLater()
