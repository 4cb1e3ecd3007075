"""A prediction compared with labels, in a process of its own."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from napari_surfseg.errors import DataError, SurfsegError
from napari_surfseg.gui.layers.copies import hand_over
from napari_surfseg.gui.layers.layer_volume import LayerVolume, take_file
from napari_surfseg.inference.evaluation_process import EvaluationJob
from napari_surfseg.inference.process_protocol import write_job
from napari_surfseg.metrics.error_table import TopologyError, read_error_table
from napari_surfseg.wording import format_size

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_surfseg.gui.background.processes import JobProcess


__all__ = ["Comparison", "run_comparison"]


@dataclass(frozen=True, eq=False)
class Comparison:
    """What a finished comparison found.

    Attributes
    ----------
    scores : dict
        By name.
    errors : list of TopologyError
        The largest first.
    warnings : list of str
        Sentences.
    spacing : tuple of float
        Z, Y, X voxel size, as the labels say it.
    """

    scores: dict[str, float]
    errors: list[TopologyError]
    warnings: list[str]
    spacing: tuple[float, float, float]


def run_comparison(
    prediction: LayerVolume | str,
    labels: LayerVolume | str,
    meanings: dict[int, str],
    threshold: float | None,
    process: JobProcess,
    tell: Callable[[str, float], None],
    ask: Callable[[str], bool] = lambda _question: True,
) -> Comparison:
    """Compare two volumes; waits for disk and process.

    ``ask`` is asked before a large layer is copied; no ends it all.

    Raises
    ------
    SurfsegError
        With ``field`` ``"prediction"`` or ``"labels"`` where it is about one of them.
    """
    taken = {}
    for field, volume in (("prediction", prediction), ("labels", labels)):
        try:
            taken[field] = take_file(volume) if isinstance(volume, str) else volume
        except SurfsegError as error:
            error.field = field
            raise
    pred, label = taken["prediction"], taken["labels"]
    if pred.shape != label.shape:
        raise DataError(
            f"The prediction {pred.name!r} has {format_size(pred.shape)} voxels, but the labels "
            f"{label.name!r} have {format_size(label.shape)}; the two must be the same.",
            field="prediction",
        )
    with tempfile.TemporaryDirectory(prefix="surfseg_", ignore_cleanup_errors=True) as folder:
        paths = {}
        for field, volume in taken.items():
            _, paths[field] = hand_over(
                volume,
                Path(folder) / f"{field}.zarr",
                ask=ask,
                progress=partial(tell, f"copying the {field}"),
                check=process.require_going,
            )
        job = EvaluationJob(
            **paths,
            foreground=tuple(v for v, meaning in meanings.items() if meaning == "foreground"),
            ignore=tuple(v for v, meaning in meanings.items() if meaning == "ignore"),
            threshold=threshold,
        )
        named = {"prediction": prediction, "labels": labels}
        names = {
            paths[field]: volume.name
            for field, volume in named.items()
            if isinstance(volume, LayerVolume)
        }
        result = process.run(write_job(Path(folder), job), tell, names)
        errors = read_error_table(Path(folder) / result["errors"])
    return Comparison(result["scores"], errors, result["warnings"], label.spacing)
