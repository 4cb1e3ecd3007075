"""A prediction as a process of its own: what the window launches.

It answers as :mod:`napari_surfseg.inference.process_protocol` says, and leaves its arrays
beside the job.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_surfseg.errors import SurfsegError
from napari_surfseg.geometry import to_box, to_spacing
from napari_surfseg.inference.process_protocol import read_job, run_process

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch
    from numpy.typing import NDArray

    from napari_surfseg.data.resampling import ResampleMode
    from napari_surfseg.data.volume import Volume
    from napari_surfseg.geometry import Box, Spacing3
    from napari_surfseg.inference.settings import Flips, PredictionSettings
    from napari_surfseg.model.checkpoint import Checkpoint
    from napari_surfseg.model.grey_values import FitMode

__all__ = ["PredictionJob", "main", "run_prediction_job"]


@dataclass(frozen=True)
class PredictionJob:
    """What to predict and what to make of it.

    Attributes
    ----------
    image : str
        Anything ``open_volume`` opens.
    checkpoint : str
        ``best.pt`` or ``last.pt``, or the name of a network that comes with the package.
    threshold : float, optional
        Probability above which a voxel is surface; None takes the checkpoint's,
        with the post-processing that was chosen for it.
    min_voxels : int, optional
        Smaller connected pieces are left out of everything but the probabilities;
        None takes what was chosen for the checkpoint.
    overlap : float
        Share of a window that its neighbour sees again.
    flips : bool or "auto"
        Average over the eight flips; ``auto`` where that does not take long.
    device : str
        ``auto``, ``cpu`` or ``cuda``.
    spacing : tuple of float, optional
        Z, Y, X voxel size where the file does not say.
    sheets : bool
        Give each connected sheet a label of its own instead of 1 to all.
    skeleton, mesh : bool
        Also make the medial surface, the triangles.
    intensity : str, optional
        ``auto``, ``as_is`` or ``match``: what is done where the grey values do not fit those
        trained on; None takes the checkpoint's setting.
    resample : str or tuple of float, optional
        ``auto``, ``none`` or Z, Y, X: in voxels of which size the network sees the volume; None
        takes the checkpoint's setting.
    box : (start, stop), optional
        Predict these voxels only, Z, Y, X, half open; the network also sees what lies
        around them.
    blocks : str, optional
        Folder in which finished blocks of a whole volume are kept until all are; what lies there
        is gone on with, if it is of the same prediction.
    first : (start, stop), optional
        Voxels of a whole volume that are predicted before all others.
    """

    image: str
    checkpoint: str
    threshold: float | None = None
    min_voxels: int | None = None
    overlap: float = 0.25
    flips: Flips = "auto"
    device: str = "auto"
    spacing: Spacing3 | None = None
    sheets: bool = True
    skeleton: bool = True
    mesh: bool = True
    intensity: FitMode | None = None
    resample: ResampleMode | None = None
    box: Box | None = None
    blocks: str | None = None
    first: Box | None = None

    @classmethod
    def from_values(cls, values: dict[str, Any]) -> PredictionJob:
        """Make a job of the values in its file; unknown ones are left out."""
        known = {item.name for item in fields(cls)}
        if values.get("spacing") is not None:
            values["spacing"] = to_spacing(values["spacing"])
        if isinstance(values.get("resample"), list):
            values["resample"] = to_spacing(values["resample"])
        for key in ("box", "first"):
            if values.get(key) is not None:
                values[key] = to_box(values[key])
        return cls(**{key: value for key, value in values.items() if key in known})


def run_prediction_job(
    job: PredictionJob, folder: Path, report: Callable[[str, float], None]
) -> dict[str, Any]:
    """Carry a job out.

    Parameters
    ----------
    job : PredictionJob
        What to do.
    folder : Path
        Where the results go: ``probabilities.zarr`` (of a box ``probabilities.npy``),
        ``surface.npy`` (int32 or uint8), ``skeleton.npy`` (uint8), ``mesh.npz``
        (``vertices`` in voxels ZYX, ``faces``).
    report : callable
        Called with the stage and its share, 0 to 1.

    Returns
    -------
    dict
        File names of the results, threshold, shares and warnings.
    """
    from napari_surfseg.data.open import open_volume
    from napari_surfseg.device import choose_device
    from napari_surfseg.model.open_network import open_network
    from napari_surfseg.surfaces.postprocess import PostProcess
    from napari_surfseg.surfaces.postprocess_blocks import apply_postprocess

    report("loading the network", 0.0)
    device = choose_device(job.device)
    volume = open_volume(job.image, spacing=job.spacing)
    checkpoint = open_network(job.checkpoint)
    predict = _predict_whole if job.box is None else _predict_box
    result = predict(volume, checkpoint, job, folder, device, report)
    result["spacing"] = list(volume.spacing)
    report("finding connected sheets", 0.0)
    values: NDArray[np.uint8]
    if job.box is None:
        values = open_volume(folder / result["probabilities"]).read((0, 0, 0), volume.shape)
    else:
        values = np.load(folder / result["probabilities"], allow_pickle=False)
    settings = PostProcess(result["threshold"])
    if job.threshold is None and checkpoint.postprocess is not None:
        settings = PostProcess.from_dict(checkpoint.postprocess)
        result["threshold"] = settings.threshold
    if job.min_voxels is not None:
        # What a person says of small pieces replaces all that the search found.
        settings = replace(settings, min_voxels=job.min_voxels, min_area=0.0)
    mask = apply_postprocess(values, settings).view(np.bool_)
    result |= _make_surface(mask, job, folder)
    if job.skeleton:
        from napari_surfseg.surfaces.medial import compute_medial_surface

        report("reducing sheets to their middle", 0.0)
        skeleton = compute_medial_surface(mask, volume.spacing)
        np.save(folder / "skeleton.npy", skeleton.astype(np.uint8))
        result["skeleton"] = "skeleton.npy"
    if job.mesh and mask.any():
        from napari_surfseg.surfaces.mesh import build_mesh

        report("building the mesh", 0.0)
        voxels: Any = mask.view(np.uint8)
        made = build_mesh(voxels, level=0.5)
        np.savez(folder / "mesh.npz", vertices=made.vertices, faces=made.faces)
        result["mesh"] = "mesh.npz"
    return result


def _predict_whole(
    volume: Volume,
    checkpoint: Checkpoint,
    job: PredictionJob,
    folder: Path,
    device: torch.device,
    report: Callable[[str, float], None],
) -> dict[str, Any]:
    from napari_surfseg.inference.predict_volume import predict_volume
    from napari_surfseg.inference.settings import OutputSettings, WorkSettings

    said: list[str] = []
    output = folder / "probabilities.zarr"
    summary = predict_volume(
        volume,
        checkpoint,
        output,
        _settings(job, checkpoint, device),
        output_settings=OutputSettings(probabilities=True, threshold=job.threshold, overwrite=True),
        work=WorkSettings(
            folder=None if job.blocks is None else Path(job.blocks),
            network=job.checkpoint,
            replaces=True,
            first=job.first,
            say=said.append,
        ),
        progress=lambda done, total: report("predicting", done / max(total, 1)),
    )
    return {
        "probabilities": output.name,
        "threshold": summary.threshold,
        "warnings": [*said, *summary.notes, *summary.warnings],
    }


def _predict_box(
    volume: Volume,
    checkpoint: Checkpoint,
    job: PredictionJob,
    folder: Path,
    device: torch.device,
    report: Callable[[str, float], None],
) -> dict[str, Any]:
    from napari_surfseg.data.intensity import fit_intensity
    from napari_surfseg.inference.predict_region import predict_region
    from napari_surfseg.inference.predict_volume import (
        check_result,
        compare_spacing,
        plan_resampling,
    )
    from napari_surfseg.inference.settings import WindowLimit

    network = checkpoint.build_model(device)
    limit = WindowLimit()
    settings = replace(
        _settings(job, checkpoint, device).with_precision_of(checkpoint),
        multiple=network.architecture.window_multiple,
        context=min(checkpoint.patch_size) // 4,
        limit=limit,
    )
    intensity, fit = fit_intensity(volume, settings.intensity, settings.fit, box=job.box)
    resampling, resampled = plan_resampling(volume, checkpoint, job.resample)
    settings = replace(settings, intensity=intensity, resampling=resampling)
    probabilities = predict_region(
        network,
        lambda low, high: intensity.to_uint8(volume.read(low, high)),
        job.box or volume.box,
        settings,
        bounds=volume.box,
        progress=lambda done, total: report("predicting", done / max(total, 1)),
    )
    np.save(folder / "probabilities.npy", probabilities)
    threshold = checkpoint.threshold if job.threshold is None else job.threshold
    # A box may hold no surface: only a whole volume's result is doubted for that.
    share = float(np.count_nonzero(probabilities > threshold * 255) / probabilities.size)
    result = check_result(volume.name, share, checkpoint.surface_fraction) if share else None
    unlike = compare_spacing(volume, checkpoint.spacing, checkpoint.units)
    said = (
        *volume.notes,
        *checkpoint.notes,
        fit.note,
        fit.warning,
        resampled or unlike,
        limit.describe(),
        result,
    )
    return {
        "probabilities": "probabilities.npy",
        "threshold": threshold,
        "warnings": [sentence for sentence in said if sentence],
    }


def _settings(
    job: PredictionJob, checkpoint: Checkpoint, device: torch.device
) -> PredictionSettings:
    from napari_surfseg.inference.settings import PredictionSettings

    return replace(
        PredictionSettings.from_checkpoint(checkpoint),
        overlap=job.overlap,
        flips=job.flips,
        device=device,
        resample=job.resample,
        fit=job.intensity or checkpoint.experiment.inference.intensity,
    )


def _make_surface(mask: NDArray[np.bool_], job: PredictionJob, folder: Path) -> dict[str, Any]:
    from napari_surfseg.surfaces.cleaning import label_sheets

    labels: NDArray[Any]
    if job.sheets:
        labels = label_sheets(mask)
        count = int(labels.max(initial=0))
    else:
        labels = mask.astype(np.uint8)
        count = int(labels.any())
    np.save(folder / "surface.npy", labels)
    share = float(np.count_nonzero(labels) / labels.size)
    return {"surface": "surface.npy", "num_sheets": count, "surface_fraction": share}


def main(arguments: list[str] | None = None) -> int:
    """Run the job named on the command line; returns the exit code."""

    def carry_out(path: Path, report: Callable[[str, float], None]) -> dict[str, Any]:
        job = read_job(path, PredictionJob.from_values)
        try:
            return run_prediction_job(job, path.parent, report)
        except MemoryError:
            raise SurfsegError(
                f"There is not enough memory to predict {job.image} in one piece."
            ) from None

    return run_process(arguments, carry_out)


if __name__ == "__main__":
    sys.exit(main())
