"""The settings behind "More" on the data page, with a box for each pair."""

from __future__ import annotations

import itertools

from qtpy.QtWidgets import QLabel, QVBoxLayout

from napari_surfseg.errors import ConfigError
from napari_surfseg.gui.controls.basics import hint
from napari_surfseg.gui.controls.number_boxes import with_error
from napari_surfseg.gui.controls.text_fields import ValueField
from napari_surfseg.gui.training.form import read_roi
from napari_surfseg.gui.training.settings_form import MoreSection
from napari_surfseg.gui.training.settings_table import DATA_SETTINGS

__all__ = ["DataMore"]


class DataMore(MoreSection):
    """Settings of the volumes and their patches. Passive."""

    def __init__(self) -> None:
        super().__init__("more_data", DATA_SETTINGS)
        heading = QLabel("Only this box")
        heading.setStyleSheet("font-weight: bold;")
        self._boxes = QVBoxLayout()
        self._boxes.setContentsMargins(8, 2, 2, 4)
        self._boxes.setSpacing(3)
        self.inside.addWidget(heading)
        self.inside.addLayout(self._boxes)
        self.rois: list[ValueField] = []
        self.set_num_pairs(1)

    def set_num_pairs(self, count: int) -> None:
        """Offer a box for each pair."""
        while len(self.rois) < count:
            number = len(self.rois)
            whole = f"pair {number + 1}: all of it"
            field = ValueField(f"roi_{number}", str, empty="", placeholder=whole)
            hint(
                field,
                f"Only this box of pair {number + 1} is used: first and last voxel + 1 along Z, Y "
                "and X (voxels, as 0:64, 0:128, 0:128). By default the whole volume.",
            )
            field.settled.connect(lambda field=field: self._check(field))
            self._boxes.addWidget(with_error(field))
            self.rois.append(field)

    def remove_pair(self, number: int) -> None:
        """Take a pair's box off the list; those after it move up."""
        for here, after in itertools.pairwise(self.rois[number:]):
            here.set_value(after.text())
            here.error.set_message(after.error.text())
        cell = self.rois.pop().parentWidget()
        if cell is not None:
            self._boxes.removeWidget(cell)
            cell.hide()
            cell.deleteLater()

    def _check(self, field: ValueField) -> None:
        try:
            read_roi(field.value())
        except ConfigError as error:
            field.error.set_message(str(error))
