"""Pairs of image and labels, opened and checked before a run starts.

Every error is one sentence that names the file and, for a window, the setting.
A volume smaller than a patch is allowed: its patches are padded.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from napari_surfseg.config import ValidationSlab
from napari_surfseg.data.census import LabelCensus, take_census
from napari_surfseg.data.checked_pair import CheckedPair
from napari_surfseg.data.instances import read_meanings
from napari_surfseg.data.labels import (
    describe_two_meanings,
    describe_unknown,
    require_label_dtype,
)
from napari_surfseg.data.mixed_sizes import check_sizes
from napari_surfseg.data.open import open_volume
from napari_surfseg.data.source import parse_source
from napari_surfseg.data.units import format_sizes, is_same_size
from napari_surfseg.data.validation.part import keep_out, repeat_parts
from napari_surfseg.errors import ConfigError, DataError, LabelError, SurfsegError
from napari_surfseg.geometry import contains_box, count_voxels, from_ranges, to_box
from napari_surfseg.wording import format_shape

if TYPE_CHECKING:
    from napari_surfseg.config import Data, Labels, Pair
    from napari_surfseg.data.volume import Volume
    from napari_surfseg.geometry import Box, Ranges3, Spacing3

__all__ = ["check_census", "check_pair", "describe_cut", "open_pairs"]

#: Relative difference up to which two voxel sizes count as the same: headers are rounded.
SPACING_TOLERANCE = 0.01
#: Share of the labels' parts up to which it is not an error that they cannot be read.
BROKEN_SHARE = 0.1
#: Share of labels that was never written from which it is said what that means.
MOSTLY = 0.9


def open_pairs(
    data: Data, *, seed: int = 0, cut: dict[str, Any] | None = None
) -> tuple[list[CheckedPair], list[CheckedPair]]:
    """Open and check everything a run needs.

    Parameters
    ----------
    data : Data
        The section of the configuration.
    seed : int
        Of the choice of what is kept for validation.
    cut : dict, optional
        From :func:`describe_cut`, of an earlier start of the same run.

    Returns
    -------
    train, validation : list of CheckedPair
        Where no validation pair is named, parts of the training volumes; none where
        ``data.validation.fraction`` is 0 or there is too little to be cut in two.

    Raises
    ------
    DataError, LabelError, ConfigError
        One sentence for the first error found.
    """
    if not data.train:
        raise ConfigError(
            "data.train names no volumes; list at least one pair such as "
            "{image: a.tif, labels: a_labels.tif}.",
            field="data.train",
        )
    train = [
        check_pair(pair, data, role="train", field=f"data.train.{i}")
        for i, pair in enumerate(data.train)
    ]
    named = () if isinstance(data.validation, ValidationSlab) else data.validation
    validation = [
        check_pair(pair, data, role="validation", field=f"data.validation.{i}")
        for i, pair in enumerate(named)
    ]
    _check_together([*train, *validation])
    settled = check_sizes([*train, *validation], data)
    train, validation = settled[: len(train)], settled[len(train) :]
    if isinstance(data.validation, ValidationSlab) and data.validation.fraction:
        cut = cut if _fits(cut, data, train) else None
        train, validation = _split_all(train, data.validation, seed, cut)
    return train, validation


def check_pair(
    pair: Pair, data: Data, *, role: Literal["train", "validation"], field: str
) -> CheckedPair:
    """Open one pair and check it.

    Parameters
    ----------
    pair : Pair
        Paths and region.
    data : Data
        Label meanings, void value and spacing.
    role : str
        ``train`` or ``validation``.
    field : str
        Dotted key of the pair, for sentences.
    """
    spacing = pair.spacing or data.spacing
    image = _open(pair.image, spacing, f"{field}.image")
    labels = _open(pair.labels, spacing, f"{field}.labels", is_kept=False)
    checked = check_volumes(image, labels, data, role=role, field=field, roi=pair.roi)
    return replace(checked, weight=pair.weight)


def check_volumes(
    image: Volume,
    labels: Volume,
    data: Data,
    *,
    role: Literal["train", "validation"],
    field: str = "data.train.0",
    roi: Ranges3 | None = None,
) -> CheckedPair:
    """Check an image and labels that are already open; see :func:`check_pair`."""
    try:
        require_label_dtype(labels.dtype, labels.source)
    except LabelError as error:
        error.field = f"{field}.labels"
        raise
    if image.shape != labels.shape:
        raise DataError(
            f"{image.source} has shape {format_shape(image.shape)} but its labels {labels.source} "
            f"have {format_shape(labels.shape)}; both must be the same.",
            field=f"{field}.labels",
        )
    _check_pair_spacing(image, labels, field)
    box = _box_of(roi, image, field)
    notes = (*image.notes, *labels.notes)
    labels, mapping = read_meanings(labels, data.labels, image.spacing)
    census = take_census(labels, mapping, image=image, void_value=data.void_value, box=box)
    check_census(census, image, labels, mapping, field)
    notes += _describe_census(census, labels)
    remarks: tuple[str, ...] = ()
    if data.labels.instances is not None:
        remarks = (
            f"The surface of {labels.source} is the boundaries between its instances, "
            f"{data.labels.thickness} voxels thick.",
        )
    return CheckedPair(
        image,
        labels,
        mapping,
        data.void_value,
        box,
        role,
        census,
        notes=notes,
        remarks=remarks,
    )


def _describe_census(census: LabelCensus, labels: Volume) -> tuple[str, ...]:
    """Say what of the labels was not counted, or does not mean what it may seem."""
    notes = []
    if census.broken:
        notes.append(
            f"Chunks of {labels.source} that cannot be read, {len(census.broken)} in number, are "
            f"left out; the first: {census.broken[0]}"
        )
    if census.uncounted is not None:
        counted = census.num_parts - len(census.uncounted)
        notes.append(
            f"{labels.source} is so large that {counted:,} of its {census.num_parts:,} stored "
            "parts were counted; patches are drawn from all of them, from the others by what these "
            "hold on average, and values without a meaning are left out there."
        )
    if census.num_rest > MOSTLY * count_voxels(census.box):
        notes.append(
            f"{census.num_rest / count_voxels(census.box):.1%} of {labels.source} was never "
            "written and counts as background; if it means not annotated, give background a "
            "value of its own and list the value of what was not written under "
            "data.labels.ignore."
        )
    return tuple(notes)


def _open(source: str, spacing: Spacing3 | None, field: str, *, is_kept: bool = True) -> Volume:
    try:
        return open_volume(source, spacing=spacing, is_kept=is_kept)
    except SurfsegError as error:
        error.field = error.field or field
        raise


def _check_pair_spacing(image: Volume, labels: Volume, field: str) -> None:
    if not labels.spacing_known or not image.spacing_known:
        if labels.spacing_known:  # only the labels' file says
            image.spacing, image.units, image.spacing_known = labels.spacing, labels.units, True
        return
    if not is_same_size(
        image.spacing, image.units, labels.spacing, labels.units, tolerance=SPACING_TOLERANCE
    ):
        raise DataError(
            f"{image.source} has voxel size {_sizes(image)} but its labels "
            f"{labels.source} have {_sizes(labels)}; both must be the same, or "
            "data.spacing must say which.",
            field=f"{field}.labels",
        )


def _box_of(roi: Ranges3 | None, image: Volume, field: str) -> Box:
    if roi is None:
        return image.box
    box = from_ranges(roi)
    if not contains_box(image.box, box):
        raise ConfigError(
            f"{field}.roi is {[list(span) for span in roi]}, which reaches beyond the shape "
            f"{format_shape(image.shape)} of {image.source}.",
            field=f"{field}.roi",
        )
    return box


def check_census(
    census: LabelCensus,
    image: Volume,
    labels: Volume,
    mapping: Labels,
    field: str,
    *,
    may_be_empty: bool = False,
) -> None:
    """Refuse what cannot be learned from, by its counts.

    One block of strokes among others that are scored may be empty.

    Raises
    ------
    DataError, LabelError
        One sentence for the first error.
    """
    if census.num_nonfinite:
        raise DataError(
            f"{image.source} holds {census.num_nonfinite:,} NaN or infinite voxels, one at "
            f"{census.nonfinite_voxel}; replace them, or set data.void_value if they mean outside "
            "the scan.",
            field=f"{field}.image",
        )
    if len(census.broken) > BROKEN_SHARE * census.num_parts:
        raise DataError(
            census.broken[0]
            if len(census.broken) == 1
            else f"{len(census.broken)} chunks of {labels.source} cannot be read, which is too "
            f"many; the first: {census.broken[0]}",
            field=f"{field}.labels",
        )
    if census.unknown:
        raise LabelError(
            describe_unknown(labels.source, census.unknown, mapping), field="data.labels"
        )
    if may_be_empty:
        return
    meaning = (
        f"foreground {list(mapping.foreground)}, background {list(mapping.background)}, "
        f"ignore {list(mapping.ignore)}"
    )
    if not census.num_supervised:
        void = " or void in the image" if census.num_void else ""
        raise LabelError(
            f"{labels.source} has no annotated voxels: all {census.num_visited:,} looked at are "
            f"ignored{void} (data.labels says {meaning}){_advise_on_size(census)}.",
            field=f"{field}.labels",
        )
    for what, count, key in (
        ("surface", census.num_foreground, "foreground"),
        ("background", census.num_background, "background"),
    ):
        if not count:
            raise LabelError(
                f"{labels.source} has no {what} voxels, so there is nothing to tell apart; "
                f"{_advise_on_one(census, mapping, key)} (data.labels says {meaning}).",
                field=f"{field}.labels",
            )


def _advise_on_size(census: LabelCensus) -> str:
    """Say where to look next in labels that were not looked at as a whole."""
    if census.is_complete:
        return ""
    return (
        f"; {census.num_parts:,} parts of them are stored, whether or not they hold anything, "
        "which is too many to look at: say with roi where the annotated ones lie, or save the "
        "labels compressed and without empty chunks"
    )


def _advise_on_one(census: LabelCensus, mapping: Labels, key: str) -> str:
    """Advise where labels have no surface or no background: a mask of 1 and 2 has neither 0."""
    ignored = census.num_ignored - census.num_void
    is_plain = len(mapping.foreground) == len(mapping.ignore) == 1
    if key == "background" and ignored > 0 and is_plain:
        counts = {mapping.foreground[0]: census.num_foreground, mapping.ignore[0]: ignored}
        return (
            f"it holds {' and '.join(map(str, sorted(counts)))} only: if those are surface and "
            f"background, set data.labels to {describe_two_meanings(counts)}"
        )
    return f"label some, or change data.labels.{key}"


def _split_all(
    pairs: list[CheckedPair], slab: ValidationSlab, seed: int, cut: dict[str, Any] | None
) -> tuple[list[CheckedPair], list[CheckedPair]]:
    train: list[CheckedPair] = []
    validation: list[CheckedPair] = []
    for index, pair in enumerate(pairs):
        if cut is None:
            parts = keep_out(pair, slab, seed=seed, num_volumes=len(pairs))
        else:
            parts = repeat_parts(pair, cut["parts"][index])
        train.append(parts.train)
        validation += [replace(part, parent=index) for part in parts.validation]
    if validation:
        parents = {part.parent for part in validation}
        train = [
            pair if index in parents else replace(pair, notes=(*pair.notes, _explain_whole(pair)))
            for index, pair in enumerate(train)
        ]
    return train, validation


def _explain_whole(pair: CheckedPair) -> str:
    return (
        f"{pair.labels.source} has too little annotated surface to be cut in two, so all of it is "
        "used for training."
    )


def describe_cut(
    data: Data, train: list[CheckedPair], validation: list[CheckedPair]
) -> dict[str, Any]:
    """Describe how the training volumes were cut, so that a resumed run repeats it.

    By then their labels may have changed: another choice would score on what was trained on.
    """
    return {
        "validation": data.model_dump(mode="json")["validation"],
        "labels": [pair.labels.source for pair in train],
        "parts": [
            {
                "train": pair.roi,
                "held_out": list(pair.held_out),
                "validation": [part.roi for part in validation if part.parent == index],
            }
            for index, pair in enumerate(train)
        ],
    }


def _fits(cut: dict[str, Any] | None, data: Data, train: list[CheckedPair]) -> bool:
    """Whether a cut is of these volumes, which may have been moved since."""
    if cut is None or cut["validation"] != data.model_dump(mode="json")["validation"]:
        return False
    names = [parse_source(source).name for source in cut["labels"]]
    if names != [parse_source(pair.labels.source).name for pair in train]:
        return False
    return all(
        contains_box(pair.image.box, to_box(box))
        for pair, part in zip(train, cut["parts"], strict=True)
        for box in (part["train"], *part["held_out"], *part["validation"])
    )


def _check_together(pairs: list[CheckedPair]) -> None:
    """Refuse volumes that cannot share one run."""
    first = pairs[0]
    for pair in pairs[1:]:
        if (pair.image.dtype == "uint8") != (first.image.dtype == "uint8"):
            raise DataError(
                f"{first.image.source} holds {first.image.dtype} and {pair.image.source} "
                f"{pair.image.dtype} values; the images of one run must all be uint8, or none.",
                field="data.train",
            )


def _sizes(volume: Volume) -> str:
    return format_sizes(volume.spacing, volume.units)
