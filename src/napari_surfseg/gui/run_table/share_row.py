"""The part of the dock "Runs" that gives a run's network to others: format, Share and Cancel."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QComboBox, QFileDialog, QLineEdit, QVBoxLayout, QWidget

from napari_surfseg.gui.controls.basics import (
    Section,
    cut_entries,
    hint,
    labelled_rows,
    note,
    push_button,
)
from napari_surfseg.gui.controls.job_controls import JobControls
from napari_surfseg.sharing.settings import DEFAULT_LICENCE, FORMATS, SUFFIXES, ShareSettings

if TYPE_CHECKING:
    from napari_surfseg.sharing.settings import ShareFormat

__all__ = ["ShareRow"]


class ShareRow(QWidget):
    """Which format and what goes along, *Share*, *Cancel*, and below them what is going on."""

    def __init__(self) -> None:
        super().__init__()
        self._is_busy = False
        self._is_offered = False
        self.format = QComboBox()
        self.format.setObjectName("share_format")
        for kind, title in FORMATS.items():
            self.format.addItem(title.split()[0], kind)
        hint(
            self.format,
            "What is written: a bundle is for MONAI and for napari-surfseg itself, a package for "
            "programs that read bioimage.io, ONNX for any language.",
        )
        cut_entries(self.format)
        self.share = push_button(
            "share_run",
            "Share…",
            "Write the network of the selected run (its best.pt, else last.pt) for other programs, "
            "in a process of its own; grey until the run has one.",
        )
        self.cancel = push_button("cancel_share", "Cancel", "End the export; it leaves nothing.")
        state = note("")
        state.hide()
        self.job = JobControls("share", start=self.share, cancel=self.cancel, state=state)
        self.job.buttons.insertWidget(0, self.format, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self._build_details())
        layout.addLayout(self.job.buttons)
        layout.addWidget(self.job.progress)
        layout.addWidget(state)
        self.set_busy(False)

    def _build_details(self) -> Section:
        """Build what goes along with the network, folded away."""
        self.title, self.authors, self.licence = QLineEdit(), QLineEdit(), QLineEdit()
        for field, name, empty, tip in (
            (self.title, "share_title", "the run's name", "Name of the network, for others."),
            (
                self.authors,
                "share_authors",
                "names, between commas",
                "Who trained it, as others are to name them: names between commas. Kept for the "
                "next time.",
            ),
            (
                self.licence,
                "share_licence",
                DEFAULT_LICENCE,
                "Licence of the weights: an identifier of spdx.org/licenses, such as CC-BY-4.0 or "
                "CC0-1.0. Kept for the next time.",
            ),
        ):
            field.setObjectName(name)
            field.setPlaceholderText(empty)
            hint(field, tip)
        details = Section("Title, authors, licence", "share_details")
        rows = labelled_rows(details.body)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.addRow("Title", self.title)
        rows.addRow("Authors", self.authors)
        rows.addRow("Licence", self.licence)
        return details

    def settings(self) -> ShareSettings:
        """Return what goes along with the network."""
        authors = (name.strip() for name in self.authors.text().split(","))
        return ShareSettings(
            title=self.title.text().strip() or None,
            authors=tuple(name for name in authors if name),
            licence=self.licence.text().strip() or DEFAULT_LICENCE,
        )

    def set_settings(self, settings: ShareSettings) -> None:
        """Show what goes along."""
        self.title.setText(settings.title or "")
        self.authors.setText(", ".join(settings.authors))
        is_default = settings.licence == DEFAULT_LICENCE
        self.licence.setText("" if is_default else settings.licence)

    def kind(self) -> ShareFormat:
        """Return the chosen format."""
        chosen: ShareFormat = self.format.currentData()
        return chosen

    def choose_output(self, suggested: Path) -> Path | None:
        """Let a person name what is written; None where they think better of it."""
        kind = self.kind()
        suffix = SUFFIXES[kind]
        found, _filter = QFileDialog.getSaveFileName(
            self,
            FORMATS[kind],
            str(suggested),
            f"{FORMATS[kind].partition(' (')[0]} (*{suffix})",
            options=QFileDialog.Option.DontConfirmOverwrite,
        )
        return Path(found) if found else None

    def offer(self, is_offered: bool) -> None:
        """Let *Share* be pressed, unless an export is under way."""
        self._is_offered = is_offered
        self.share.setEnabled(is_offered and not self._is_busy)

    def set_busy(self, busy: bool) -> None:
        """Switch between Share and Cancel."""
        self._is_busy = busy
        self.job.set_busy(busy)
        self.format.setEnabled(not busy)
        self.offer(self._is_offered)

    def set_state(self, text: str, share: float | None = None) -> None:
        """Say what is going on, and how much of it is done, 0 to 1."""
        self.job.set_state(text, share)
        self.job.state.setVisible(bool(text))
