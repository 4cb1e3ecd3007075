"""The report's section on topology errors: a table and pictures of the largest ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_surfseg.metrics.error_samples import MAX_ROWS
from napari_surfseg.wording import format_size, list_words, tabulate_markdown

if TYPE_CHECKING:
    from napari_surfseg.metrics.error_samples import ErrorSamples

__all__ = ["describe_errors"]

PLURALS = {
    "extra component": "extra components",
    "missing component": "missing components",
    "hole": "holes",
    "bridge": "bridges",
    "filled hole": "filled holes",
    "missing bridge": "missing bridges",
    "extra cavity": "extra cavities",
    "missing cavity": "missing cavities",
}


def describe_errors(samples: ErrorSamples | None, picture: str | None) -> list[str]:
    """Write the section's lines; none for a run that kept no errors.

    Parameters
    ----------
    samples : ErrorSamples or None
        What the run kept.
    picture : str or None
        Path of the pictures, relative to the report.
    """
    if samples is None:
        return []
    lines = ["### Topology errors", ""]
    total = sum(samples.counts.values())
    if not total:
        said = "every feature of the prediction and the labels had its partner."
        return [*lines, f"At epoch {samples.epoch} {said}", ""]
    counts = [
        f"{count:,} {PLURALS[name] if count != 1 else name}"
        for name, count in samples.counts.items()
        if name in PLURALS
    ]
    kept = sum(row.num_features for row in samples.rows)
    limit = f" The table holds the largest {MAX_ROWS} patches." if kept < total else ""
    lines += [
        f"At epoch {samples.epoch} there were {total:,} topology errors on the validation data: "
        f"{list_words(counts)}.{limit} Features that are wrong by one patch of voxels share a row. "
        "`surfseg evaluate PREDICTION LABELS --errors errors.csv` lists all of a prediction; "
        "*Proofread* in napari flies to them.",
        "",
    ]
    rows = [
        [
            row.error.name,
            f"`{row.image_name}`",
            str(row.num_features),
            f"{row.error.size:,}",
            format_size(row.error.extent),
            ", ".join(map(str, row.error.location)),
        ]
        for row in samples.rows
    ]
    header = ["error", "image", "features", "voxels", "extent", "Z, Y, X"]
    lines += [*tabulate_markdown(header, rows, left=2), ""]
    if picture is not None:
        lines += [f"![Slices through the largest errors of each kind]({picture})", ""]
    return lines
