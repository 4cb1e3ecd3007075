"""Predict a volume of any size into a file, with a checkpoint or with any function.

What a volume decides (grey values, voxel size, window) is settled here; how it is divided, gone on
with and written is the business of :mod:`~napari_surfseg.inference.prediction_run`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari_surfseg.data.intensity import fit_intensity
from napari_surfseg.data.resampling import KnownVoxels, choose_resampling
from napari_surfseg.data.units import compare_sizes, format_sizes
from napari_surfseg.geometry import to_spacing
from napari_surfseg.inference.fingerprint import hash_volume, hash_weights
from napari_surfseg.inference.prediction_run import (
    PredictionRun,
    PredictionSummary,
    begin_plan,
    prediction_folder,
    resume,
)
from napari_surfseg.inference.settings import (
    OutputSettings,
    PredictionSettings,
    WindowLimit,
    WorkSettings,
)
from napari_surfseg.inference.volume_writer import check_output
from napari_surfseg.inference.window_size import choose_fitting_window, with_fitting_window
from napari_surfseg.surfaces.postprocess import PostProcess
from napari_surfseg.wording import format_percent

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_surfseg.data.resampling import ResampleMode, Resampling
    from napari_surfseg.data.volume import Volume
    from napari_surfseg.geometry import Spacing3
    from napari_surfseg.inference.prediction_folder import PredictionPlan
    from napari_surfseg.inference.settings import TrainedModel
    from napari_surfseg.inference.sliding_window import Model

__all__ = [
    "PredictionSummary",
    "check_result",
    "compare_spacing",
    "plan_resampling",
    "predict_to_file",
    "predict_volume",
]

#: Spacing ratio from which structures look too different to what was trained on.
SPACING_RATIO = 1.5

#: Shares of surface above which a result is not believed: where the share in training is not
#: known; where it was small; and however large it was, as labels of strokes are half surface.
FULL_SHARE, FEW_SHARE, NEARLY_ALL = 0.6, 0.3, 0.95


def predict_volume(
    volume: Volume,
    checkpoint: TrainedModel,
    output: str | Path,
    settings: PredictionSettings | None = None,
    *,
    output_settings: OutputSettings | None = None,
    work: WorkSettings | None = None,
    progress: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> PredictionSummary:
    """Predict a whole volume with a checkpoint and write OME-Zarr or TIFF.

    Parameters
    ----------
    volume : Volume
        The image.
    checkpoint : TrainedModel
        The network, its threshold and its post-processing; an
        ``output_settings.threshold`` replaces the last two.
    output : str or Path
        As for :func:`predict_to_file`.
    settings : PredictionSettings, optional
        By default ``PredictionSettings.from_checkpoint(checkpoint)``. The window grows
        from the one given, as far as the network and the device allow.
    output_settings : OutputSettings, optional
        What is written; by default the 0/1 that the checkpoint suggests.
    work : WorkSettings, optional
        Where finished blocks are kept and who predicts which; by default nothing is kept.
    progress, should_stop : callable, optional
        As for :func:`predict_to_file`.

    Raises
    ------
    OutputError, CancelledError
        As :func:`predict_to_file`.
    """
    written = output_settings or OutputSettings()
    path = check_output(output, overwrite=written.overwrite, source=volume.source)
    if written.threshold is None:
        written = replace(
            written,
            threshold=checkpoint.threshold,
            postprocess=written.postprocess or _read_postprocess(checkpoint),
        )
    given = settings or PredictionSettings.from_checkpoint(checkpoint)
    given = given.with_precision_of(checkpoint)
    with prediction_folder(path, work) as (folder, work):
        request = _describe_request(volume, checkpoint, given, work)
        known = resume(folder, request, work)
        network = checkpoint.build_model(given.device)
        multiple = given.multiple
        if multiple is None and (architecture := getattr(network, "architecture", None)):
            multiple = architecture.window_multiple
        limit = WindowLimit()
        given = replace(given, multiple=multiple, limit=limit)
        if known is None:
            known = _plan(volume, checkpoint, given, request, work)
        run = PredictionRun(volume, network, path, folder, work, written, progress, should_stop)

        def predict_with(settings: PredictionSettings) -> PredictionSummary:
            window = choose_fitting_window(network, known.shape, settings)
            fitted = replace(settings, window=window, multiple=None)
            return run.predict(run.settle(known, fitted), settings.device)

        summary = with_fitting_window(given, predict_with)
    result = None
    if summary.is_written:
        result = check_result(volume.name, summary.surface_fraction, checkpoint.surface_fraction)
    said = (*summary.warnings, limit.describe(), result)
    return replace(summary, warnings=tuple(warning for warning in said if warning))


def _read_postprocess(checkpoint: TrainedModel) -> PostProcess | None:
    values = checkpoint.postprocess
    return None if values is None else PostProcess.from_dict(values)


def _describe_request(
    volume: Volume, checkpoint: TrainedModel, settings: PredictionSettings, work: WorkSettings
) -> dict[str, Any]:
    """Describe what makes two predictions the same; empty where none is gone on with."""
    weights = getattr(checkpoint, "weights", None)
    if work.folder is None or weights is None:
        return {}
    resample = settings.resample
    return {
        "image": hash_volume(volume),
        "network": hash_weights(weights),
        "overlap": settings.overlap,
        "flips": settings.flips,
        "fit": settings.fit,
        "resample": resample if resample is None or isinstance(resample, str) else list(resample),
        "spacing": list(volume.spacing) if volume.spacing_known else None,
        "coarse": work.coarse,
    }


def _plan(
    volume: Volume,
    checkpoint: TrainedModel,
    settings: PredictionSettings,
    request: dict[str, Any],
    work: WorkSettings,
) -> PredictionPlan:
    """Settle what the volume decides; window and blocks are chosen later."""
    resampling, resampled = plan_resampling(volume, checkpoint, settings.resample)
    intensity, fit = fit_intensity(volume, settings.intensity, settings.fit)
    read = getattr(checkpoint, "notes", ())
    notes = (*read, fit.note, resampled if resampling else "")
    unlike = resampled or compare_spacing(volume, checkpoint.spacing, checkpoint.units)
    warnings = (*volume.notes, None if resampling else unlike, fit.warning)
    return begin_plan(
        volume,
        replace(settings, intensity=intensity, resampling=resampling),
        request=request,
        network=work.network,
        notes=tuple(note for note in notes if note),
        warnings=tuple(warning for warning in warnings if warning),
    )


def predict_to_file(
    model: Model,
    volume: Volume,
    output: str | Path,
    settings: PredictionSettings,
    *,
    output_settings: OutputSettings | None = None,
    max_block_voxels: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> PredictionSummary:
    """Predict a whole volume, however large, and write OME-Zarr or TIFF.

    Parameters
    ----------
    model : callable
        As for :func:`~napari_surfseg.inference.predict_region.predict_region`.
    volume : Volume
        The image.
    output : str or Path
        ``.zarr`` (OME-Zarr) or ``.tif``/``.tiff``, of the image's shape, spacing
        and place.
    settings : PredictionSettings
        Windows, normalisation, device.
    output_settings : OutputSettings, optional
        What is written; by default 0/1 above one half.
    max_block_voxels : int, optional
        Most voxels predicted together, which is what memory depends on; the result does not.
    progress : callable, optional
        ``progress(done, total)`` in windows.
    should_stop : callable, optional
        Asked after every batch of windows.

    Raises
    ------
    OutputError
        If the output exists, cannot be written, or the disk is full.
    CancelledError
        When ``should_stop`` said so; nothing is left.
    """
    written = output_settings or OutputSettings()
    path = check_output(output, overwrite=written.overwrite, source=volume.source)
    with prediction_folder(path, None) as (folder, work):
        run = PredictionRun(volume, model, path, folder, work, written, progress, should_stop)
        plan = begin_plan(volume, settings)
        return run.predict(run.settle(plan, settings, max_block_voxels), settings.device)


def plan_resampling(
    volume: Volume, checkpoint: TrainedModel, wanted: ResampleMode | None = None
) -> tuple[Resampling | None, str]:
    """Choose in voxels of which size a network sees a volume.

    Parameters
    ----------
    volume : Volume
        The image.
    checkpoint : TrainedModel
        The network: the voxels that it knows.
    wanted : str or tuple of float, optional
        As ``data.resample``; by default what it was trained with, and where that was a size, in
        the same.

    Returns
    -------
    resampling : Resampling or None
        None where the volume is seen as it is.
    note : str
        A sentence; or empty.
    """
    known = KnownVoxels(checkpoint.spacing, checkpoint.units, checkpoint.anisotropy)
    mode = checkpoint.experiment.data.resample if wanted is None else wanted
    if wanted is None and not isinstance(mode, str):
        ratios = compare_sizes(volume.spacing, volume.units, known.spacing, known.units)
        mode = to_spacing(size / ratio for size, ratio in zip(volume.spacing, ratios, strict=True))
    return choose_resampling(volume, mode, known)


def compare_spacing(
    volume: Volume, trained: Spacing3, trained_units: str | None = None
) -> str | None:
    """Say in one sentence if a volume's voxels differ much from those trained on.

    They are compared as lengths: 8 nm are 0.008 µm.

    Returns
    -------
    str or None
        The sentence, or None where the spacing fits or is unknown.
    """
    is_known = trained_units is not None or tuple(trained) != (1.0, 1.0, 1.0)
    if not volume.spacing_known or not is_known:
        return None
    ratios = compare_sizes(volume.spacing, volume.units, trained, trained_units)
    if all(max(ratio, 1 / ratio) < SPACING_RATIO for ratio in ratios):
        return None
    found = format_sizes(volume.spacing, volume.units)
    wanted = format_sizes(trained, trained_units)
    return (
        f"The voxels of {volume.name} are {found}, those the network was trained on {wanted}: "
        "surfaces may be missed unless the image is resampled first."
    )


def check_result(name: str, found: float, trained: float | None) -> str | None:
    """Say in one sentence if a prediction is empty or nearly full.

    Parameters
    ----------
    name : str
        Of the volume.
    found : float
        Share of its voxels that are surface.
    trained : float, optional
        The greatest share in what the network was trained on.
    """
    if not found:
        return (
            f"No surface was found in {name}: its grey values, its voxel size or the threshold may "
            "be others than those the network was trained with."
        )
    limit = FULL_SHARE if trained is None else min(max(3 * trained, FEW_SHARE), NEARLY_ALL)
    if found <= limit:
        return None
    seen = "" if trained is None else f", where training saw {format_percent(trained)} at most"
    return (
        f"{format_percent(found)} of {name} is taken for surface{seen}: its grey values, its voxel "
        "size or the threshold may be others than those the network was trained with."
    )
