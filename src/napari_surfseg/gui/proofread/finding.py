"""Doubtful places of a prediction without labels, found by a process of its own."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_surfseg.gui.layers.copies import hand_over_all
from napari_surfseg.gui.layers.layer_volume import LayerVolume
from napari_surfseg.inference.doubt_process import DoubtJob
from napari_surfseg.inference.process_protocol import write_job
from napari_surfseg.proofreading.places import DoubtfulPlace, read_places

if TYPE_CHECKING:
    from napari_surfseg.geometry import Spacing3
    from napari_surfseg.gui.background.processes import JobProcess

__all__ = ["FoundPlaces", "run_search"]


@dataclass(frozen=True, eq=False)
class FoundPlaces:
    """What a finished search found.

    Attributes
    ----------
    places : list of DoubtfulPlace
        What matters most first.
    spacing : tuple of float
        Z, Y, X voxel size of the prediction.
    warnings : list of str
        Sentences.
    """

    places: list[DoubtfulPlace]
    spacing: Spacing3
    warnings: list[str] = field(default_factory=list)


class _Mask:
    """An array of labels as 0 and 1, indexed with slices: labels of sheets are no grey values."""

    def __init__(self, labels: Any) -> None:
        self._labels = labels
        self.shape = labels.shape
        self.ndim = labels.ndim
        self.dtype = np.dtype(np.uint8)

    def __getitem__(self, box: Any) -> np.ndarray[Any, Any]:
        return (np.asarray(self._labels[box]) != 0).astype(np.uint8)


def run_search(
    prediction: LayerVolume | str,
    probabilities: LayerVolume | str | None,
    threshold: float | None,
    process: JobProcess,
) -> FoundPlaces:
    """Look for doubtful places; waits for the disk and the process.

    Parameters
    ----------
    prediction : LayerVolume or str
        The surface that is mended, or the path of its file.
    probabilities : LayerVolume or str, optional
        What it was cut out of. A surface alone has holes and loose ends, but no doubt.
    threshold : float, optional
        Surface is above it.
    process : JobProcess
        Reports the stages, and asks before a large layer is copied.

    Raises
    ------
    SurfsegError
        With ``field`` ``"prediction"`` or ``"probabilities"`` where it is about one of them.
    """
    volumes = {"prediction": prediction}
    if probabilities is not None:
        volumes["probabilities"] = probabilities
    elif isinstance(prediction, LayerVolume) and prediction.is_labels:
        mask, one = _Mask(prediction.data), np.dtype(np.uint8)
        volumes["prediction"] = replace(prediction, data=mask, dtype=one, path=None)
    with tempfile.TemporaryDirectory(prefix="surfseg_", ignore_cleanup_errors=True) as folder:
        taken, paths, names = hand_over_all(volumes, Path(folder), process)
        path, spacing = list(paths.values())[-1], taken["prediction"].spacing
        job = DoubtJob(path, threshold=threshold, spacing=spacing)
        result = process.run(write_job(Path(folder), job), names)
        places = read_places(Path(folder) / result["places"])
    return FoundPlaces(places, spacing, result["warnings"])
