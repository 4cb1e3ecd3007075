"""Strokes that were painted in the window, into a running training: between two steps."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_surfseg.data.instances import BoundaryVolume
from napari_surfseg.data.strokes.stroke_counts import count_strokes
from napari_surfseg.data.strokes.stroke_files import apply_strokes, check_strokes, read_strokes
from napari_surfseg.errors import DataError, SurfsegError
from napari_surfseg.events import LabelsUpdated
from napari_surfseg.geometry import box_at, box_slices
from napari_surfseg.training.label_refresh import LabelRefresh

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from napari_surfseg.data.checked_pair import CheckedPair
    from napari_surfseg.data.patches.loader import PatchLoader
    from napari_surfseg.data.strokes.stroke_files import StrokeBox
    from napari_surfseg.data.volume import Volume
    from napari_surfseg.events import UpdateLabels
    from napari_surfseg.training.lead import Lead
    from napari_surfseg.training.preview import Previewer
    from napari_surfseg.training.reporting import Reporter
    from napari_surfseg.training.run_data import RunData
    from napari_surfseg.training.state import TrainingState
    from napari_surfseg.training.stroke_start import StrokeStart

__all__ = ["StrokeUpdates"]


class StrokeUpdates:
    """Takes strokes into the labels of a running training: carries out ``UpdateLabels``.

    Parameters
    ----------
    data : RunData
        What the run learns from and is scored on, and the cache of its labels.
    loader : PatchLoader
        Draws its patches from the labels.
    state : TrainingState
        Its best score is forgotten when validation labels change.
    reporter : Reporter
        Reports what was changed.
    stroke_start : StrokeStart, optional
        The pixel classifier of a run whose labels are strokes; it learns the new ones.
    previewer : Previewer
        Shows what the classifier has learned.
    lead : Lead, optional
        Of other processes, which draw from the same labels.
    """

    def __init__(
        self,
        data: RunData,
        loader: PatchLoader,
        state: TrainingState,
        reporter: Reporter,
        *,
        stroke_start: StrokeStart | None,
        previewer: Previewer,
        lead: Lead | None = None,
    ) -> None:
        self._labels = LabelRefresh(data.pairs, data.cache, loader, stroke_start)
        self._state = state
        self._reporter = reporter
        self._previewer = None if stroke_start is None else previewer
        self._lead = lead

    def apply(self, command: UpdateLabels) -> str | None:
        """Take strokes into the labels; return why that cannot be done, or None.

        Their file is removed, whatever becomes of it.
        """
        strokes = Path(command.strokes)
        try:
            event = self._apply(command.labels, strokes)
        except SurfsegError as error:
            return str(error)
        except Exception as error:  # noqa: BLE001 - a stroke must never end a training
            return f"The painted labels cannot be used ({type(error).__name__}: {error})."
        finally:
            with contextlib.suppress(OSError):
                strokes.unlink(missing_ok=True)
        self._reporter.report(event)
        return None

    def _apply(self, source: str, strokes: Path) -> LabelsUpdated:
        concerned = self._find_pairs(source, strokes)
        pairs = self._labels.pairs
        labels = pairs[concerned[0]].labels
        boxes = check_strokes(labels, read_strokes(strokes))
        changed = {i: count_strokes(pairs[i], boxes) for i in concerned}
        num_changed, is_validation = _count_changes(labels, boxes, changed.values())

        def write() -> None:
            lead, step = self._lead, self._state.step
            here_alone = contextlib.nullcontext()
            with here_alone if lead is None else lead.strokes_written(source, boxes, step):
                apply_strokes(Path(source), boxes)

        self._labels.refresh(changed, boxes, write, self._state.step)
        if self._previewer is not None:
            self._previewer.hurry()
        if is_validation:
            self._state.forget_best_score()
        return LabelsUpdated(
            labels=source,
            num_changed=num_changed,
            volumes=[pair.as_row() for pair in changed.values()],
        )

    def _find_pairs(self, source: str, strokes: Path) -> list[int]:
        """Find the pairs with these labels, if they may be changed."""
        pairs = self._labels.pairs
        concerned = self._labels.find(source)
        if not concerned:
            known = ", ".join(dict.fromkeys(pair.labels.source for pair in pairs))
            raise DataError(f"The labels {source} are not part of this run, which uses {known}.")
        if Path(source).parent != strokes.parent.parent:
            raise DataError(
                f"The labels {source} are a file of a person's own, which a run never changes; "
                "only labels that were copied into the run folder take strokes."
            )
        if any(isinstance(pairs[i].labels, BoundaryVolume) for i in concerned):
            raise DataError(
                f"The labels {source} are instances, whose boundaries are learned; what is painted "
                "on them takes effect when a run starts."
            )
        return concerned


def _count_changes(
    labels: Volume, boxes: Sequence[StrokeBox], pairs: Collection[CheckedPair]
) -> tuple[int, bool]:
    """Count the voxels that change, and say whether validation has some of them."""
    num_changed, is_validation = 0, False
    for start, values in boxes:
        differs = labels.read(*box_at(start, values.shape)) != values
        num_changed += int(np.count_nonzero(differs))
        is_validation |= any(
            pair.role == "validation" and bool(differs[box_slices(pair.roi, start)].any())
            for pair in pairs
        )
    return num_changed, is_validation
