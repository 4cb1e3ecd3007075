"""What "Teach the network" does: decided places become labels that a run learns from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Image, Labels
from qtpy.QtCore import QObject

from napari_surfseg.geometry import box_at, box_slices, contains_box, shift_box, to_index, whole_box
from napari_surfseg.gui.controls.label_schemes import LABEL_SCHEMES
from napari_surfseg.gui.layers.alignment import find_shift
from napari_surfseg.gui.layers.layer_volume import is_volume, shape_of
from napari_surfseg.gui.layers.metadata import kind_of, meanings_of
from napari_surfseg.gui.proofread.result_layer import ResultLayer
from napari_surfseg.gui.run_session.run_layers import find_layer, read_run_layers
from napari_surfseg.gui.run_session.session import Taught
from napari_surfseg.gui.strokes.strokes_layer import build_strokes_layer
from napari_surfseg.proofreading.lessons import Lesson, build_lesson

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.components import ViewerModel
    from napari.layers import Layer

    from napari_surfseg.errors import SurfsegError
    from napari_surfseg.geometry import Index3
    from napari_surfseg.gui.background.threads import Job, Jobs
    from napari_surfseg.gui.proofread.mend_controller import MendController, MendViewProtocol
    from napari_surfseg.gui.run_session.run_layers import RunLayers
    from napari_surfseg.gui.run_session.session import Session

__all__ = ["TeachController"]

#: What a lesson's values mean.
LESSONS = LABEL_SCHEMES["strokes"]
#: Under which the metadata of a layer of lessons say which decisions they are of.
LESSONS_KEY = "surfseg_lessons"


@dataclass(frozen=True, eq=False)
class _Target:
    """A labels layer that takes lessons.

    Attributes
    ----------
    layer : Labels
        The layer.
    offset : tuple of int
        Voxel of the layer that lies over the first voxel of the result.
    values : dict
        Its value for surface, background and no label.
    """

    layer: Labels
    offset: Index3
    values: dict[str, int] = field(default_factory=dict)


class TeachController(QObject):
    """Brings what was decided to the run, or to the form of the next one.

    Parameters
    ----------
    viewer : ViewerModel
        Where the layers are.
    view : MendViewProtocol
        Passive.
    mends : MendController
        Knows what was decided.
    session : Session
        Whose run learns.
    jobs : Jobs
        Reads, in a thread.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        view: MendViewProtocol,
        mends: MendController,
        session: Session,
        jobs: Jobs,
    ) -> None:
        super().__init__()
        self._viewer = viewer
        self._view = view
        self._mends = mends
        self._session = session
        self._jobs = jobs
        #: Opens the dock "Surface training"; nothing where there is no window.
        self.open_training: Callable[[], object] = lambda: None
        view.teach_clicked.connect(self.teach)

    def teach(self) -> None:
        """Make labels of all decided places and hand them on, in a thread up to the painting."""
        mends, view = self._mends, self._view
        view.show_error("")
        result, record = mends.result, mends.record
        if result is None or record is None or not record.decisions:
            view.show_error("Nothing is decided yet that could be taught.")
            return
        surface, unsure = result.data, mends.unsure_voxels()
        decisions = list(record.decisions)
        listing = mends.listing
        undecided = [
            note.box
            for note, decision in zip(listing.notes, listing.decisions, strict=True)
            if decision is None
        ]
        run_dir = self._session.run_dir if self._session.is_active else None

        def work(_job: Job) -> tuple[list[Lesson], RunLayers | None]:
            run = read_run_layers(run_dir) if run_dir is not None else None
            made = (
                build_lesson(surface, one, unsure=unsure, undecided=undecided) for one in decisions
            )
            return [lesson for lesson in made if lesson is not None], run

        def done(found: tuple[list[Lesson], RunLayers | None]) -> None:
            self._on_made(result.layer, *found)

        def failed(error: SurfsegError) -> None:
            view.show_error(str(error))

        self._jobs.start("teach", work, done=done, failed=failed)

    def _on_made(self, result: Labels, lessons: list[Lesson], run: RunLayers | None) -> None:
        target = self._find_run_labels(result, run) if run is not None else None
        takes_part = target is not None
        image = self._find_image(result)
        if target is None:
            target = self._find_lessons(result, image)
        num_changed = self._paint(target, lessons)
        said = _describe(lessons, target.layer.name)
        if takes_part:
            news = "which takes them up" if num_changed else "which has them already"
            self._view.set_mend_message(f"{said} They are labels of the run under way, {news}.")
            return
        network = str(result.metadata.get("network") or "")
        self._session.teach(Taught(image, target.layer, network))
        self.open_training()
        where = "" if image is not None else " Open the volume to train on it."
        self._view.set_mend_message(f"{said} They are chosen as labels of the next run.{where}")

    # -- where lessons go ----------------------------------------------------------

    def _find_run_labels(self, result: Labels, run: RunLayers) -> _Target | None:
        """Find the layer of the run's labels that lies over the result."""
        for path in run.copies:
            layer = find_layer(self._viewer, self._session, path)
            if not isinstance(layer, Labels) or layer.multiscale:
                continue
            offset = find_offset(result, layer)
            if offset is not None:
                values = {meaning: value for value, meaning in reversed(run.meanings.items())}
                return _Target(layer, offset, values)
        return None

    def _find_image(self, result: Labels) -> Layer | None:
        """Find the volume that the result was made from: it lies under it, voxel by voxel."""
        images = [
            layer
            for layer in self._viewer.layers
            if isinstance(layer, Image) and is_volume(layer) and kind_of(layer) is None
        ]
        return next((layer for layer in images if find_offset(result, layer) is not None), None)

    def _find_lessons(self, result: Labels, image: Layer | None) -> _Target:
        """Find the layer of earlier lessons, or make one."""
        of = str(self._mends.record.path) if self._mends.record is not None else ""
        for layer in self._viewer.layers:
            if layer.metadata.get(LESSONS_KEY) == of and isinstance(layer, Labels):
                offset = find_offset(result, layer)
                if offset is not None:
                    return _Target(layer, offset, _values_of(layer))
        base = result if image is None else image
        offset = find_offset(result, base) or (0, 0, 0)
        layer = build_strokes_layer(base)
        layer.name = f"{base.name} lessons"
        layer.metadata[LESSONS_KEY] = of
        active = self._viewer.layers.selection.active
        self._viewer.layers.append(layer)
        # The new layer would take the brush and the keys.
        self._viewer.layers.selection.active = active
        return _Target(layer, offset, _values_of(layer))

    def _paint(self, target: _Target, lessons: list[Lesson]) -> int:
        """Paint lessons into a layer; returns how many voxels changed."""
        layer = ResultLayer(target.layer)
        boxes = []
        num_changed = 0
        for start, values in lessons:
            box = shift_box(box_at(start, values.shape), target.offset)
            if not contains_box(whole_box(layer.shape), box):
                continue
            wanted = np.asarray(layer.data[box_slices(box)]).copy()
            for value, meaning in LESSONS.items():
                if meaning in target.values:
                    wanted[values == value] = target.values[meaning]
            changed = wanted != layer.data[box_slices(box)]
            num_changed += int(np.count_nonzero(changed))
            boxes.append((box[0], changed, wanted))
        layer.paint(boxes)
        return num_changed


def find_offset(result: Layer, target: Layer) -> Index3 | None:
    """Find the voxel of a layer that lies over the first voxel of a result.

    Returns
    -------
    tuple of int or None
        None where the result does not lie in the layer, voxel by voxel.
    """
    shift = find_shift(target, result)
    if shift is None:
        return None
    offset = to_index(shift)
    inside = shift_box(whole_box(shape_of(result)), offset)
    return offset if contains_box(whole_box(shape_of(target)), inside) else None


def _values_of(layer: Layer) -> dict[str, int]:
    meanings = meanings_of(layer) or LESSONS
    return {meaning: value for value, meaning in reversed(meanings.items())}


def _describe(lessons: list[Lesson], name: str) -> str:
    count = sum(bool(lesson.values.any()) for lesson in lessons)
    voxels = sum(int(np.count_nonzero(lesson.values)) for lesson in lessons)
    places = "place is" if count == 1 else "places are"
    return f"{count:,} {places} labelled in {name!r}, {voxels:,} voxels."
