"""The tools of :mod:`~.functions` on volumes of any size; each gives the same voxels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_surfseg.cancelling import is_stop_wanted
from napari_surfseg.geometry import (
    box_at,
    box_shape,
    box_slices,
    count_voxels,
    grow_box,
    to_index,
    whole_box,
)
from napari_surfseg.process_memory import find_free_memory
from napari_surfseg.surface_tools.cell_scores import count_pairs, score_counts
from napari_surfseg.surface_tools.functions import course_margin, find_course, refuse_negative
from napari_surfseg.surface_tools.membranes import (
    HALF,
    TWO_VALUES,
    build_cell_settings,
    find_membranes,
    scale_probabilities,
)
from napari_surfseg.wording import format_bytes, format_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_surfseg.geometry import Box, Size3, Slices3
    from napari_surfseg.surface_tools.block_work import BlockWork
    from napari_surfseg.surface_tools.membranes import Membranes
    from napari_surfseg.surface_tools.results import Table
    from napari_surfseg.surfaces.postprocess import PostProcess
    from napari_surfseg.surfaces.voxel_stores import VoxelReader, VoxelStore

__all__ = [
    "cells_from_membranes",
    "fill_holes",
    "label_pieces",
    "measure_sheets",
    "medial_surface",
    "remove_small_pieces",
    "score_cells",
]

#: What post-processing takes for surface, and for what may become surface.
IS_SURFACE, MAY_BECOME = np.uint8(255), np.uint8(1)

#: A sheet takes so many for each voxel of the box around it while it is measured.
BYTES_OF_MEASURING = 40


class _AsProbabilities:
    """A mask as probabilities that are certain, but leave every gap to be closed."""

    def __init__(self, values: VoxelReader) -> None:
        self._values = values
        self.shape: Size3 = to_index(values.shape)

    def __getitem__(self, box: Slices3) -> NDArray[np.uint8]:
        return np.where(np.asarray(self._values[box]) != 0, IS_SURFACE, MAY_BECOME)


class _OnCourse(_AsProbabilities):
    """The same, but of the gaps only those where the sheet around would go on."""

    def __init__(self, values: VoxelReader, radius: int) -> None:
        super().__init__(values)
        self._radius = radius

    def __getitem__(self, box: Slices3) -> NDArray[np.uint8]:
        inner = (to_index(part.start for part in box), to_index(part.stop for part in box))
        seen = grow_box(inner, course_margin(self._radius), whole_box(self.shape))
        mask = np.asarray(self._values[box_slices(seen)]) != 0
        allowed = find_course(mask, self._radius).view(np.uint8) * MAY_BECOME
        return np.where(mask, IS_SURFACE, allowed)[box_slices(inner, seen[0])]


def remove_small_pieces(work: BlockWork) -> None:
    """Leave out connected pieces that are too small."""
    from napari_surfseg.surfaces.postprocess import PostProcess

    surface = work.first
    target = work.create(surface.dtype)
    settings = PostProcess(min_voxels=work.settings["min_voxels"])
    for box, mask in _postprocess(work, settings, "looking for pieces"):
        if mask.any():
            place = box_slices(box)
            target[place] = np.where(mask, surface[place], surface.dtype.type(0))
    if work.settings["min_area"] > 0:
        _remove_small_areas(work, target)


def _remove_small_areas(work: BlockWork, target: VoxelStore) -> None:
    """Leave out of what is stored the pieces with too little area."""
    from napari_surfseg.surfaces.block_components import BlockComponents
    from napari_surfseg.surfaces.sheet_area import AREA_REACH, count_area_parts, find_area_part

    shape = to_index(work.first.shape)
    least, part = work.settings["min_area"], find_area_part(work.spacing)
    components = BlockComponents(
        shape, lambda areas, _marked: areas * part >= least, folder=work.scratch / "areas"
    )

    def weigh(box: Box) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
        seen = grow_box(box, AREA_REACH, whole_box(shape))
        inner = box_slices(box, seen[0])
        mask = np.asarray(target[box_slices(seen)]) != 0
        return mask[inner], count_area_parts(mask, work.spacing)[inner]

    for box in work.iterate("adding up areas"):
        mask, weights = weigh(box)
        components.join(box[0], components.measure(box[0], mask, weights=weights))
    kept = work.make_scratch(np.uint8)
    for box in work.iterate("looking for small areas"):
        mask, weights = weigh(box)
        kept[box_slices(box)] = components.keep(box[0], mask, weights=weights).view(np.uint8)
    for box in work.iterate("writing"):
        place = box_slices(box)
        values = np.asarray(target[place])
        target[place] = np.where(np.asarray(kept[place]) != 0, values, values.dtype.type(0))


def fill_holes(work: BlockWork) -> None:
    """Close holes through sheets and fill cavities within them."""
    from napari_surfseg.surfaces.postprocess import PostProcess

    target = work.create(np.uint8)
    radius, most = work.settings["radius"], work.settings["max_voxels"]
    if work.settings["method"] == "ball":
        settings = PostProcess(closing_radius=radius, fill_holes=most)
    else:
        settings = PostProcess(tear_layers=radius, fill_holes=most)
    source = _AsProbabilities(work.first)
    if work.settings["method"] == "course":
        source = _OnCourse(work.first, radius)
    for box, mask in _postprocess(work, settings, "filling holes", source):
        if mask.any():
            target[box_slices(box)] = mask


def medial_surface(work: BlockWork) -> None:
    """Reduce sheets to their middle, about one voxel thick."""
    from napari_surfseg.surfaces.medial_blocks import compute_medial_surface_by_blocks

    target = work.create(np.uint8)

    def write(box: Box, found: NDArray[np.bool_]) -> None:
        if found.any():
            target[box_slices(box)] = found.view(np.uint8)

    compute_medial_surface_by_blocks(
        work.first,
        write,
        work.spacing,
        block=work.block,
        scratch=work.scratch / "faces",
        report=work.report,
    )


def label_pieces(work: BlockWork) -> None:
    """Give each connected piece a number, the largest first."""
    _number_pieces(work, work.create(np.int32), work.settings["min_voxels"])


def _number_pieces(work: BlockWork, target: VoxelStore, min_voxels: int) -> None:
    from napari_surfseg.surfaces.block_labels import BlockLabels

    surface = work.first
    pieces = BlockLabels(to_index(surface.shape), min_voxels, folder=work.scratch / "planes")
    for box in work.iterate("looking for pieces"):
        pieces.add(box[0], surface[box_slices(box)] != 0)
    pieces.number()
    for box in work.iterate("writing numbers"):
        found = pieces.label(box[0], surface[box_slices(box)] != 0)
        if found.any():
            target[box_slices(box)] = found


class _Membranes:
    """Membranes of whatever kind as probabilities of 0 to 255, as they are read."""

    def __init__(self, values: VoxelReader, kind: Membranes) -> None:
        self._values, self._kind = values, kind
        self.shape, self.dtype = values.shape, np.dtype(np.uint8)

    def __getitem__(self, key: Any) -> NDArray[np.uint8]:
        return scale_probabilities(np.asarray(self._values[key]), self._kind)


def cells_from_membranes(work: BlockWork) -> None:
    """Find the cells that membranes enclose and give each a number."""
    from napari_surfseg.surfaces.cells import find_cells_by_blocks

    seen: set[int] = set()
    for box in work.iterate("looking at the membranes"):
        if len(seen) > TWO_VALUES or work.first.dtype != np.uint8:
            break
        seen |= set(np.unique(work.first[box_slices(box)]).tolist())
    probs = _Membranes(work.first, find_membranes(work.first.dtype, sorted(seen)))
    target = work.create(np.int32)
    find_cells_by_blocks(
        probs, target, work.spacing, build_cell_settings(**work.settings), report=work.report
    )
    if work.settings["keep_walls"]:
        for box in work.iterate("leaving out walls"):
            place = box_slices(box)
            target[place] = np.where(probs[place] > HALF, 0, target[place])


def measure_sheets(work: BlockWork) -> Table:
    """Measure sheets, each in the box around it."""
    from napari_surfseg.surfaces.label_boxes import RenumberedLabels, find_label_places
    from napari_surfseg.surfaces.measures import measure_sheets as measure

    labels: VoxelReader = work.first
    if work.settings["separate"]:
        pieces = work.make_scratch(np.int32)
        _number_pieces(work, pieces, 1)
        labels = pieces
    places = find_label_places(labels, work.iterate("looking for sheets"))
    refuse_negative(places[0].value if places else 0)
    kept = [place for place in places if place.voxels >= work.settings["min_voxels"]]
    values = [place.value for place in kept]
    free = find_free_memory()
    boxes = {}
    for number, place in enumerate(kept, 1):
        needed = count_voxels(place.box) * BYTES_OF_MEASURING
        if needed > free:
            work.notes.append(
                f"Sheet {place.value} spans {format_size(box_shape(place.box))} voxels, and to "
                f"measure it takes about {format_bytes(needed)} of memory, of which "
                f"{format_bytes(free)} are free; it was left out."
            )
        else:
            boxes[number] = place.box
    numbered = RenumberedLabels(labels, values)
    found = measure(
        numbered,
        work.spacing,
        boxes=boxes,
        report=lambda share: work.report("measuring sheets", share),
    )
    return [row.to_row(values) for row in found]


def score_cells(work: BlockWork) -> Table:
    """Score numbered cells against their truth."""
    cells, truth = work.inputs["cells"], work.inputs["truth"]
    counts: dict[tuple[int, int], int] = {}
    for box in work.iterate("comparing cells"):
        place = box_slices(box)
        for pair, number in count_pairs(cells[place], truth[place]).items():
            counts[pair] = counts.get(pair, 0) + number
    return score_counts(counts)


def _postprocess(
    work: BlockWork, settings: PostProcess, stage: str, source: _AsProbabilities | None = None
) -> Iterator[tuple[Box, NDArray[Any]]]:
    from napari_surfseg.surfaces.postprocess_blocks import PostProcessPasses

    passes = PostProcessPasses(
        source or _AsProbabilities(work.first),
        settings,
        block_shape=work.block,
        scratch=work.scratch / "postprocess",
        progress=lambda done, total: work.report(stage, done / total),
        should_stop=is_stop_wanted,
        num_threads=1,
    )
    for start, mask in passes:
        yield box_at(start, mask.shape), mask
