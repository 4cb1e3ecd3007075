"""``surfseg demo``: the whole job on a synthetic scroll, start to end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_surfseg.cli.console import choose_console, counting, say
from napari_surfseg.cli.options import UsageError, add_command, add_device

if TYPE_CHECKING:
    import argparse

    from napari_surfseg.cli.options import Subparsers
    from napari_surfseg.config import Experiment
    from napari_surfseg.data.volume import ArrayVolume
    from napari_surfseg.geometry import Box
    from napari_surfseg.runs.folder import RunFolder

__all__ = ["add"]

DESCRIPTION = """\
The main job on a synthetic scroll: make it, train, predict a part that was
never trained on, score that at a plain threshold and with the post-processing that
was chosen, and write a report with pictures.
"""

#: Voxels between what is trained on and what is held out: no patch sees both.
GAP = 8
#: Share of the scroll's length that is held out, at its end.
HELD_OUT_SHARE = 0.2


def add(subparsers: Subparsers[Any], common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = add_command(
        subparsers,
        common,
        "demo",
        run,
        summary="all of it on a synthetic scroll, in a few minutes",
        description=DESCRIPTION,
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="folder for everything (default: a new one, demo_run)",
    )
    parser.add_argument(
        "--minutes",
        type=float,
        default=2.0,
        metavar="M",
        help="how long to train (default: 2)",
    )
    add_device(parser)


def run(options: argparse.Namespace) -> int:
    """Carry the command out."""
    from napari_surfseg.cli.evaluate import tabulate_scores
    from napari_surfseg.config_files import apply_overrides, load_preset
    from napari_surfseg.inference.evaluate_volume import EvaluationSettings, evaluate_volume
    from napari_surfseg.runs.folder import RunFolder, RunState, find_new_run_path
    from napari_surfseg.runs.follow import read_state
    from napari_surfseg.runs.launch import prepare_this_process
    from napari_surfseg.runs.report.held_out_section import tabulate_comparison, write_held_out
    from napari_surfseg.runs.report.page import write_report
    from napari_surfseg.runs.worker.phantom import make_training_phantom
    from napari_surfseg.runs.worker.worker import run_training

    if not 0 < options.minutes < 24 * 60:
        raise UsageError(f"The --minutes are {options.minutes:g}, but they must be above 0.")
    experiment = apply_overrides(load_preset("demo"), [f"training.max_minutes={options.minutes}"])
    folder = RunFolder(options.out or find_new_run_path("demo_run", Path()))
    folder.create(experiment)
    prepare_this_process()

    say("1/4  making a synthetic scroll")
    with counting("     making the scroll") as progress:
        experiment = make_training_phantom(experiment, folder.phantom, progress=progress)
    experiment, held_out = hold_out(experiment)
    folder.write_experiment(experiment)

    say(f"2/4  training for {options.minutes:g} minutes; Ctrl-C stops early")
    with choose_console(folder.log_path) as console:
        run_training(folder.path, device=options.device, console=console)
    if read_state(folder.path) is RunState.STOPPED:
        say(f"stopped; what was trained lies in {folder.path}")
        return 0

    say("3/4  predicting the part that was held out")
    image, labels = (_read_part(source, held_out) for source in _sources(experiment))
    surfaces, probabilities = _predict(folder, image, options.device)

    say("4/4  scoring it")
    plain = evaluate_volume(probabilities, labels, EvaluationSettings(threshold=0.5)).scores
    scores = evaluate_volume(surfaces, labels).scores
    write_held_out(folder, plain, scores)
    picture = _draw(folder, image, labels, probabilities, surfaces)
    write_report(folder.path)
    say("")
    say(tabulate_scores(scores))
    say("")
    say(f"{'':<12}  above 0.5  with post-processing")
    for name, *values in tabulate_comparison(plain, scores):
        say(f"{name:<12}  {values[0]:>9}  {values[1]:>9}  {values[2]:>8}")
    say("")
    say(f"report            {folder.report_path}")
    say(f"held-out picture  {picture}")
    say(f"surfaces          {folder.path / 'held_out_surfaces.tif'}")
    say(f"probabilities     {folder.path / 'held_out_probabilities.tif'}")
    say(f"checkpoint        {folder.best_checkpoint}")
    say(f"the scroll        {folder.phantom / 'image.zarr'}")
    return 0


def hold_out(
    experiment: Experiment,
) -> tuple[Experiment, Box]:
    """Keep the end of the scroll from training and from validation.

    Returns
    -------
    tuple of Experiment, (start, stop)
        The experiment, restricted to the rest, and the box that was kept.
    """
    from napari_surfseg.data.open import open_volume

    (pair,) = experiment.data.train
    z, y, x = open_volume(pair.image).shape
    begin = z - max(1, round(HELD_OUT_SHARE * z))
    used = pair.model_copy(update={"roi": ((0, begin - GAP), (0, y), (0, x))})
    data = experiment.data.model_copy(update={"train": (used,)})
    return experiment.model_copy(update={"data": data}), ((begin, 0, 0), (z, y, x))


def _sources(experiment: Experiment) -> tuple[str, str]:
    (pair,) = experiment.data.train
    return pair.image, pair.labels


def _read_part(source: str, box: Box) -> ArrayVolume:
    from napari_surfseg.data.open import open_volume
    from napari_surfseg.data.volume import ArrayVolume

    volume = open_volume(source)
    return ArrayVolume(
        volume.read(*box),
        name=f"{volume.name} (held out)",
        spacing=volume.spacing,
        units=volume.units,
    )


def _predict(folder: RunFolder, image: ArrayVolume, device: str) -> tuple[ArrayVolume, ArrayVolume]:
    """Predict the held-out part as ``surfseg predict`` does, and its probabilities."""
    from napari_surfseg.data.open import open_volume
    from napari_surfseg.data.volume import ArrayVolume
    from napari_surfseg.device import choose_device
    from napari_surfseg.inference.predict_volume import predict_volume
    from napari_surfseg.inference.settings import OutputSettings, PredictionSettings
    from napari_surfseg.model.checkpoint import load_checkpoint

    checkpoint = load_checkpoint(folder.best_checkpoint)
    read = []
    for name in ("surfaces", "probabilities"):
        with counting(f"     predicting {name}") as progress:
            summary = predict_volume(
                image,
                checkpoint,
                folder.path / f"held_out_{name}.tif",
                replace(
                    PredictionSettings.from_checkpoint(checkpoint), device=choose_device(device)
                ),
                output_settings=OutputSettings(probabilities=name == "probabilities"),
                progress=progress,
            )
        volume = open_volume(summary.output)
        values = volume.read((0, 0, 0), volume.shape)
        read.append(ArrayVolume(values, name=name))
    return read[0], read[1]


def _draw(
    folder: RunFolder,
    image: ArrayVolume,
    labels: ArrayVolume,
    probabilities: ArrayVolume,
    surfaces: ArrayVolume,
) -> Path:
    from napari_surfseg.runs.report.figures import draw_sample
    from napari_surfseg.runs.report.held_out_section import held_out_picture
    from napari_surfseg.runs.report.samples import Sample

    grey, truth, probable, found = (
        volume.read((0, 0, 0), volume.shape) for volume in (image, labels, probabilities, surfaces)
    )
    path = held_out_picture(folder)
    folder.report_folder.mkdir(parents=True, exist_ok=True)
    sample = Sample("the part that was held out", grey, truth, probable, surfaces=found)
    draw_sample(sample, path)
    return path
