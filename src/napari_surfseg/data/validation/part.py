"""Which part of the training volumes is kept for validation, and why.

Densely labelled volumes give a slab: the one of the six whose content is most like the
rest. Strokes give blocks, whole ones, so that neighbouring strokes stay together; within the
gap around them nothing is trained on. Where there is too little of either, a volume is only
trained on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_surfseg.data.census import BLOCK, restrict_census, take_census
from napari_surfseg.data.reading_cost import count_affordable
from napari_surfseg.data.strokes.density import DENSE_SHARE, measure_density
from napari_surfseg.data.validation.likeness import (
    EDGE,
    NUM_PIECES,
    compare_contents,
    describe_content,
)
from napari_surfseg.data.validation.slabs import find_gap, list_slabs
from napari_surfseg.errors import ConfigError
from napari_surfseg.geometry import (
    grow_box,
    replace_extent,
    to_box,
    to_index,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_surfseg.config import ValidationSlab
    from napari_surfseg.data.census import LabelCensus
    from napari_surfseg.data.checked_pair import CheckedPair
    from napari_surfseg.data.validation.slabs import Split
    from napari_surfseg.geometry import Box, Index3

__all__ = ["KeptParts", "keep_out", "repeat_parts"]

#: A slab that is less like the rest by no more than this is taken nevertheless if it comes
#: sooner in the list: so much a description by a few pieces scatters.
LIKENESS_TOLERANCE = 0.2
#: Where fewer pieces of each could be read, their description would be chance.
MIN_PIECES = 8
#: Of more volumes than this the slabs are chosen from fewer pieces each, so that a start with
#: hundreds of them takes no longer than one with so many: 0.13 s a volume otherwise.
MANY_VOLUMES = 16
#: Slabs thinner than this, in voxels, are disfavoured: they show little of a surface's shape.
THIN = 16

#: Fewest surface and as many background voxels to score on: some ten strokes of each.
MIN_STROKE_VOXELS = 300
#: Greatest share of the strokes that may be kept from training, those in the gap included.
MAX_KEPT_SHARE = 0.35
#: Most blocks that are kept: more would only make scoring slow.
MAX_BLOCKS = 6
#: Choices of blocks that are tried.
NUM_TRIED = 8


@dataclass(frozen=True)
class KeptParts:
    """A volume, cut.

    Attributes
    ----------
    train : CheckedPair
        What is learned from.
    validation : list of CheckedPair
        What is scored on; empty where there is too little.
    """

    train: CheckedPair
    validation: list[CheckedPair]


def keep_out(
    pair: CheckedPair, slab: ValidationSlab, *, seed: int, num_volumes: int = 1
) -> KeptParts:
    """Keep a part of a volume for validation.

    The choice depends on the labels and the seed alone; where it is one of very many volumes, it
    is made from fewer pieces of each. Neither part is ever left without surface or background.
    """
    if measure_density([pair], seed=seed) < DENSE_SHARE:
        return _keep_blocks(pair, slab, seed)
    return _keep_slab(pair, slab, seed, NUM_PIECES * MANY_VOLUMES // max(num_volumes, MANY_VOLUMES))


def repeat_parts(pair: CheckedPair, boxes: dict[str, Any]) -> KeptParts:
    """Cut a volume as it was cut before; see ``describe_cut`` of :mod:`~.checks`."""
    held_out = tuple(to_box(box) for box in boxes["held_out"])
    kept = [to_box(box) for box in boxes["validation"]]
    train = _restrict(pair, to_box(boxes["train"]), "train")
    if held_out:
        train = _hide(train, held_out)
    return KeptParts(train, [_restrict(pair, box, "validation") for box in kept])


# -- a slab ------------------------------------------------------------------------------


def _keep_slab(pair: CheckedPair, slab: ValidationSlab, seed: int, most: int) -> KeptParts:
    slabs = list_slabs(pair.roi, pair.census.planes, fraction=slab.fraction, gap=slab.gap)
    if not slabs:
        _check_gap(pair, slab)
        return KeptParts(pair, [])
    chosen = _choose_slab(pair, slabs, seed, max(most, MIN_PIECES))
    axis = chosen.axis
    first, last = chosen.validation[0][axis], chosen.validation[1][axis]
    where = f"the {'end' if chosen.at_end else 'beginning'} of axis {'ZYX'[axis]}"
    why = "the one whose content is most like the rest"
    if len(slabs) == 1:
        why = "the only one that leaves surface and background on both sides"
    remark = (
        f"Validation takes {where} of {pair.image.name} ({last - first} of "
        f"{pair.shape[axis]} planes, with a gap of {chosen.gap}): of the slabs at its faces "
        f"{why}."
    )
    train = _restrict(pair, chosen.train, "train")
    train = replace(train, remarks=(*train.remarks, remark))
    return KeptParts(train, [_restrict(pair, chosen.validation, "validation")])


def _choose_slab(pair: CheckedPair, slabs: list[Split], seed: int, most: int = NUM_PIECES) -> Split:
    if len(slabs) == 1:
        return slabs[0]
    pieces = count_affordable(pair, EDGE, (1 + len(slabs)) * most) // (1 + len(slabs))
    if pieces < MIN_PIECES:
        return slabs[0]
    whole = describe_content(pair, pair.roi, seed=seed, num_pieces=pieces)
    differences = []
    for slab in slabs:
        content = describe_content(pair, slab.validation, seed=seed, num_pieces=pieces)
        start, stop = slab.validation
        thickness = stop[slab.axis] - start[slab.axis]
        thinness = 0.1 * max(0.0, THIN / thickness - 1)
        differences.append(compare_contents(content, whole) + thinness)
    least = min(differences)
    near = [d <= least + LIKENESS_TOLERANCE for d in differences]
    return slabs[near.index(True)]


def _check_gap(pair: CheckedPair, slab: ValidationSlab) -> None:
    extent = max(pair.shape)
    if slab.gap is None or round(slab.fraction * extent) + slab.gap < extent:
        return
    raise ConfigError(
        f"data.validation.gap is {slab.gap}, but the longest axis of {pair.image.source} has only "
        f"{extent} voxels, of which validation takes {max(1, round(slab.fraction * extent))}; "
        "no voxel is left to train on.",
        field="data.validation.gap",
    )


def _restrict(pair: CheckedPair, box: Box, role: Literal["train", "validation"]) -> CheckedPair:
    """Give the part of a pair in a box."""
    census, now = pair.census, pair.roi
    for axis in range(3):  # a census is cut along one axis at a time
        now = replace_extent(now, axis, box[0][axis], box[1][axis])
        census = restrict_census(
            census, now, pair.labels, pair.mapping, image=pair.image, void_value=pair.void_value
        )
    notes = pair.notes if role == "train" else ()
    return replace(pair, roi=box, role=role, census=census, notes=notes, remarks=())


# -- blocks of strokes -------------------------------------------------------------------


def _keep_blocks(pair: CheckedPair, slab: ValidationSlab, seed: int) -> KeptParts:
    gap = find_gap(max(pair.shape)) if slab.gap is None else slab.gap
    if not pair.mapping.ignore:
        return KeptParts(pair, [])
    total = np.array([pair.census.num_background, pair.census.num_foreground])
    for blocks in _choose_blocks(pair, slab.fraction, seed):
        boxes = [pair.census.block_box(index) for index in blocks]
        train = _hide(pair, tuple(grow_box(box, gap, pair.roi) for box in boxes))
        left = np.array([train.census.num_background, train.census.num_foreground])
        if (left < (1 - MAX_KEPT_SHARE) * total).any():
            continue
        validation = [_restrict(pair, box, "validation") for box in boxes]
        kept = sum(part.census.num_supervised for part in validation)
        remark = (
            f"Validation takes the strokes of {pair.image.name} in {len(boxes)} "
            f"block{'s' if len(boxes) > 1 else ''} of {BLOCK} voxels, {kept:,} of "
            f"{int(total.sum()):,} annotated voxels; within {gap} voxels around nothing is "
            "trained on."
        )
        return KeptParts(replace(train, remarks=(*train.remarks, remark)), validation)
    return KeptParts(pair, [])


def _choose_blocks(pair: CheckedPair, fraction: float, seed: int) -> list[list[Index3]]:
    """Find sets of census blocks that hold about the share of the strokes, the smallest first."""
    blocks = pair.census.blocks.without_empty()
    total = blocks.total
    wanted = np.maximum(fraction * total, MIN_STROKE_VOXELS)
    if (wanted > MAX_KEPT_SHARE * total).any():
        return []
    rng = np.random.default_rng([seed, 0x57])
    found: list[tuple[float, list[int]]] = []
    for _ in range(4 * NUM_TRIED):
        chosen: list[int] = []
        kept = np.zeros(2)
        for block in rng.permutation(len(blocks)):
            more = blocks.counts[:, block]
            # A block that brings nothing of what is still missing only costs strokes.
            if not (more * (kept < wanted)).any():
                continue
            if ((kept + more) > MAX_KEPT_SHARE * total).any():
                continue
            if len(chosen) == MAX_BLOCKS:
                break
            chosen.append(int(block))
            kept += more
            is_full = len(chosen) == MAX_BLOCKS and (kept >= MIN_STROKE_VOXELS).all()
            if (kept >= wanted).all() or is_full:
                found.append((float((kept / total).sum()), sorted(chosen)))
                break
    unique = {tuple(chosen): taken for taken, chosen in found}
    best = sorted(unique, key=lambda chosen: unique[chosen])[:NUM_TRIED]
    return [[to_index(place) for place in blocks.indices[list(chosen)]] for chosen in best]


def _hide(pair: CheckedPair, boxes: tuple[Box, ...]) -> CheckedPair:
    """Keep boxes from a pair that is trained on; its census no longer counts them."""
    hidden = replace(pair, held_out=(*pair.held_out, *boxes))
    labels = hidden.hide(pair.labels)
    census = pair.census
    places = {int(place) for box in boxes for place in _find_listed(census, box)}
    counts = {}
    for place in sorted(places):
        index = to_index(census.blocks.indices[place])
        part = take_census(
            labels,
            pair.mapping,
            image=pair.image,
            void_value=pair.void_value,
            box=census.block_box(index),
        )
        counts[index] = part.blocks.total
    return replace(hidden, census=census.recounted(counts))


def _find_listed(census: LabelCensus, box: Box) -> NDArray[np.int64]:
    """Find the listed blocks that a box touches."""
    return census.blocks.find_under(census.blocks_touched(box))
