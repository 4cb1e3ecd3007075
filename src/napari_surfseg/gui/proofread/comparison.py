"""A prediction compared with labels, in a process of its own."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari_surfseg.gui.layers.copies import hand_over_all
from napari_surfseg.inference.evaluation_process import EvaluationJob
from napari_surfseg.inference.process_protocol import write_job
from napari_surfseg.metrics.error_table import TopologyError, read_error_table

if TYPE_CHECKING:
    from napari_surfseg.geometry import Spacing3
    from napari_surfseg.gui.background.processes import JobProcess
    from napari_surfseg.gui.layers.layer_volume import LayerVolume


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
        Z, Y, X voxel size of the labels.
    """

    scores: dict[str, float]
    errors: list[TopologyError]
    warnings: list[str]
    spacing: Spacing3


def run_comparison(
    volumes: dict[str, LayerVolume | str],
    meanings: dict[int, str],
    threshold: float | None,
    process: JobProcess,
) -> Comparison:
    """Compare a prediction with labels; waits for the disk and the process.

    Parameters
    ----------
    volumes : dict
        ``"prediction"`` and ``"labels"``: a volume, or the path of its file.
    meanings : dict
        Of the label values.
    threshold : float, optional
        The prediction holds probabilities, surface is above it.
    process : JobProcess
        Reports the stages, and asks before a large layer is copied.

    Raises
    ------
    SurfsegError
        With ``field`` ``"prediction"`` or ``"labels"`` where it is about one of them.
    """
    with tempfile.TemporaryDirectory(prefix="surfseg_", ignore_cleanup_errors=True) as folder:
        taken, paths, names = hand_over_all(volumes, Path(folder), process)
        job = EvaluationJob(
            **paths,
            foreground=tuple(v for v, meaning in meanings.items() if meaning == "foreground"),
            ignore=tuple(v for v, meaning in meanings.items() if meaning == "ignore"),
            threshold=threshold,
        )
        result = process.run(write_job(Path(folder), job), names)
        errors = read_error_table(Path(folder) / result["errors"])
    return Comparison(result["scores"], errors, result["warnings"], taken["labels"].spacing)
