"""Take labels that were painted in the window into a running training, between two steps."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_surfseg.data.strokes.painted import apply_strokes, check_strokes, read_strokes
from napari_surfseg.data.strokes.relabel import relabel_pair
from napari_surfseg.errors import DataError, SurfsegError
from napari_surfseg.events import LabelsUpdated

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_surfseg.data.cache import VolumeCache
    from napari_surfseg.data.checks import CheckedPair
    from napari_surfseg.data.loader import PatchLoader
    from napari_surfseg.data.strokes.filled_targets import FilledTargets
    from napari_surfseg.data.strokes.painted import PaintedBox
    from napari_surfseg.data.volume import Volume, VoxelArray
    from napari_surfseg.events import UpdateLabels
    from napari_surfseg.geometry import Index3

__all__ = ["Relabeler"]


class Relabeler:
    """Carries out :class:`UpdateLabels`.

    Parameters
    ----------
    train, validation : sequence of CheckedPair
        What the run learns from and is scored on.
    cache : VolumeCache
        Holds decoded labels; what was painted over is dropped.
    loader : PatchLoader
        Draws its patches anew.
    tell : callable
        Takes :class:`LabelsUpdated`.
    on_validation : callable
        Called when validation labels changed: earlier scores were by other labels.
    fill : callable
        Takes the training pairs as they are now and returns their targets with the gaps filled,
        or None where none are.
    """

    def __init__(
        self,
        train: Sequence[CheckedPair],
        validation: Sequence[CheckedPair],
        cache: VolumeCache,
        loader: PatchLoader,
        *,
        tell: Callable[[LabelsUpdated], None],
        on_validation: Callable[[], None],
        fill: Callable[[list[CheckedPair]], list[FilledTargets] | None],
    ) -> None:
        self._pairs = [*train, *validation]
        self._cache = cache
        self._loader = loader
        self._tell = tell
        self._on_validation = on_validation
        self._fill = fill

    def update(self, command: UpdateLabels) -> str | None:
        """Take strokes into the labels; return why that cannot be done, or None."""
        strokes = Path(command.strokes)
        try:
            event = self._update(command.labels, strokes)
        except SurfsegError as error:
            return str(error)
        except Exception as error:  # noqa: BLE001 - a stroke must never end a training
            return f"The painted labels cannot be used ({type(error).__name__}: {error})."
        finally:
            with contextlib.suppress(OSError):
                strokes.unlink(missing_ok=True)
        self._tell(event)
        return None

    def _update(self, source: str, strokes: Path) -> LabelsUpdated:
        concerned = [i for i, pair in enumerate(self._pairs) if pair.labels.source == source]
        if not concerned:
            known = ", ".join(dict.fromkeys(pair.labels.source for pair in self._pairs))
            raise DataError(f"The labels {source} are not part of this run, which uses {known}.")
        if Path(source).parent != strokes.parent.parent:
            raise DataError(
                f"The labels {source} are a file of a person's own, which a run never changes; "
                "only labels that were copied into the run folder take strokes."
            )
        labels = self._pairs[concerned[0]].labels
        boxes = check_strokes(labels, read_strokes(strokes))
        changed = {i: relabel_pair(self._pairs[i], boxes) for i in concerned}
        num_changed, is_validation = 0, False
        for start, values in boxes:
            differs = labels.read(start, _stop(start, values)) != values
            num_changed += int(np.count_nonzero(differs))
            is_validation |= any(
                pair.role == "validation" and bool(_part_of(pair, start, differs).any())
                for pair in changed.values()
            )
        with self._loader.held():
            try:
                apply_strokes(Path(source), boxes)
            finally:  # a part of them may be written even where the disk became full
                for pair in changed.values():
                    self._forget(pair.open_targets(), boxes)
            self._pairs = [changed.get(i, pair) for i, pair in enumerate(self._pairs)]
            train = [pair for pair in self._pairs if pair.role == "train"]
            self._loader.recount(train, self._fill(train))
        if is_validation:
            self._on_validation()
        return LabelsUpdated(
            labels=source,
            num_changed=num_changed,
            volumes=[pair.as_row() for pair in changed.values()],
        )

    def _forget(self, targets: Volume, boxes: Sequence[PaintedBox]) -> None:
        for start, values in boxes:
            self._cache.forget(targets, start, _stop(start, values))


def _stop(start: Index3, values: VoxelArray) -> Index3:
    z, y, x = (a + size for a, size in zip(start, values.shape, strict=True))
    return z, y, x


def _part_of(pair: CheckedPair, start: Index3, values: VoxelArray) -> VoxelArray:
    """Cut out what lies in the part of the volume that the pair uses."""
    place = tuple(
        slice(max(low - a, 0), max(high - a, 0))
        for a, low, high in zip(start, *pair.roi, strict=True)
    )
    return values[place]
