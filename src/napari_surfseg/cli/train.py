"""``surfseg train``: a configuration, a preset or a run folder becomes a trained run."""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_surfseg.cli.console import choose_console, say
from napari_surfseg.cli.options import add_command, add_device
from napari_surfseg.files import remove_file

if TYPE_CHECKING:
    from napari_surfseg.cli.options import Subparsers
    from napari_surfseg.config import Experiment
    from napari_surfseg.runs.folder import RunFolder
    from napari_surfseg.runs.launchers.library import FoundLauncher

__all__ = ["add", "read_config"]

DESCRIPTION = """\
Train a network on volumes and labels.

CONFIG is an experiment in YAML, the name of a preset, or a run folder. A
configuration as short as this works; everything else has a default:

  data:
    train: [{image: scan.tif, labels: scan_labels.tif}]

While it trains, Ctrl-C finishes the step, saves and exits; a second one exits
at once. Everything lies in the run folder: config.yaml, train.log,
checkpoints/best.pt, report.md.
"""

EXAMPLES = """\
examples:
  surfseg train my_experiment.yaml
  surfseg train my_experiment.yaml --run-dir runs/first --set training.max_minutes=10
  surfseg train runs/first --resume --set training.max_minutes=30
  surfseg train exp001_3d_unet_topology_full --device cuda
  surfseg train my_experiment.yaml --launcher slurm

presets, which make a synthetic scroll to train on unless data.train is set:
"""


def add(subparsers: Subparsers[Any], common: argparse.ArgumentParser) -> None:
    """Add the command."""
    from napari_surfseg.config_files import preset_names

    parser = add_command(
        subparsers,
        common,
        "train",
        run,
        summary="train a network on volumes and labels",
        description=DESCRIPTION,
    )
    parser.epilog = EXAMPLES + "".join(f"  {name}\n" for name in preset_names())
    parser.add_argument("config", metavar="CONFIG", help="a YAML file, a preset or a run folder")
    parser.add_argument(
        "--run-dir",
        type=Path,
        metavar="DIR",
        help="folder of the run (default: a new one, runs/NAME)",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        dest="overrides",
        metavar="KEY=VALUE",
        help="change a setting, for example training.max_epochs=3; may be repeated",
    )
    add_device(parser)
    parser.add_argument(
        "--resume", action="store_true", help="go on from the run's last checkpoint"
    )
    parser.add_argument(
        "--background",
        action="store_true",
        help="start a worker that outlives this terminal, and return",
    )
    parser.add_argument(
        "--launcher",
        metavar="NAME",
        help="train on another machine: a launcher that surfseg launchers lists, or its file",
    )
    # What a launcher adds: paths are as they are called here, whatever launch.json maps.
    parser.add_argument("--launched", action="store_true", help=argparse.SUPPRESS)


def run(options: argparse.Namespace) -> int:
    """Carry the command out."""
    from napari_surfseg.config_files import apply_overrides, resolve_paths
    from napari_surfseg.runs.folder import RunFolder, find_new_run_path
    from napari_surfseg.runs.launch_record import LAUNCHED_VARIABLE
    from napari_surfseg.training.rank_place import find_place, quiet_libraries

    place = find_place()
    if place is not None:
        quiet_libraries()
        _refuse_background(options)
    if place is not None and not place.leads:
        from napari_surfseg.training.follower import follow

        return follow()
    if options.launched:
        os.environ[LAUNCHED_VARIABLE] = "1"
    config, run_dir = options.config, options.run_dir
    experiment, config_path = read_config(config, run_dir)
    options.found_launcher = _find_launcher(options.launcher, config_path)
    if options.overrides:
        experiment = apply_overrides(experiment, options.overrides)
        experiment = resolve_paths(experiment, Path.cwd())
    if run_dir is None and Path(config).is_dir():
        run_dir = Path(config)
    if run_dir is None:
        run_dir = find_new_run_path(experiment.experiment.name)
    folder = RunFolder(run_dir)
    if options.resume:
        experiment = _keep_data(experiment, folder)
    require_data(experiment, config)
    is_prepared = config_path is not None and _is_same(config_path, folder.config_path)
    if options.resume or is_prepared:
        if is_prepared and not options.resume:
            _require_fresh(folder)
        _train(folder, experiment, options)
        return 0
    missing = _find_missing(folder.path)
    folder.check_new()
    try:
        folder.create(experiment)
        _train(folder, experiment, options)
    except BaseException as error:
        if getattr(error, "exit_code", 1) == 2:
            _remove_refused(folder, missing)
        raise
    return 0


def _refuse_background(options: argparse.Namespace) -> None:
    from napari_surfseg.cli.options import UsageError

    if options.background:
        raise UsageError(
            "--background starts a process of its own, which torchrun would not know of; leave it "
            "out, and let torchrun run in the background."
        )


def read_config(config: str, run_dir: Path | None = None) -> tuple[Experiment, Path | None]:
    """Read what the ``CONFIG`` argument names.

    Returns
    -------
    tuple of Experiment, Path or None
        The experiment, and the file it came from (None for a preset).
    """
    from napari_surfseg.errors import RunError
    from napari_surfseg.runs.folder import find_experiment

    path = Path(config)
    if path.is_dir() and run_dir is not None and not _is_same(path, run_dir):
        raise RunError(
            f"{path} is a folder and --run-dir names another one, {run_dir}; to start a new "
            f"run with its settings, give {path / 'config.yaml'}."
        )
    return find_experiment(config)


def require_data(experiment: Experiment, source: str) -> None:
    """Refuse an experiment that names no volumes and asks for no synthetic ones."""
    from napari_surfseg.errors import ConfigError

    if not experiment.data.train and experiment.data.phantom is None:
        raise ConfigError(
            f"{source} names no volumes: set data.train to a list of pairs such as "
            "[{image: scan.tif, labels: labels.tif}], or data.phantom to {} for a synthetic "
            "scroll.",
            field="data.train",
        )


def _train(folder: RunFolder, experiment: Experiment, options: argparse.Namespace) -> None:
    from napari_surfseg.runs.launch import find_free_run, launch_worker, prepare_this_process
    from napari_surfseg.runs.launchers.job import bring_here, describe_job, submit_run
    from napari_surfseg.runs.worker.worker import run_training

    if options.found_launcher is not None:
        folder = find_free_run(folder.path)
        folder.write_experiment(experiment)
        record = submit_run(
            folder, options.found_launcher, device=options.device, resume=options.resume
        )
        say(f"{describe_job(record)}; follow it with: surfseg runs {folder.path}")
        return
    if not options.launched:
        bring_here(folder)
    if options.background:
        folder.write_experiment(experiment)
        pid = launch_worker(folder.path, device=options.device, resume=options.resume)
        say(f"process {pid} trains {folder.path}; follow it with: surfseg runs {folder.path}")
        return
    prepare_this_process()
    with choose_console(folder.log_path) as console:
        run_training(
            folder.path,
            device=options.device,
            resume=options.resume,
            experiment=experiment,
            console=console,
        )


def _find_launcher(name: str | None, config_path: Path | None) -> FoundLauncher | None:
    from napari_surfseg.runs.launchers.library import find_launcher

    if name is None:
        return None
    return find_launcher(name, None if config_path is None else config_path.parent)


def _keep_data(experiment: Experiment, folder: RunFolder) -> Experiment:
    """Resume on the volumes of the run where the configuration leaves them to the run."""
    if experiment.data.train:
        return experiment
    train = folder.read_experiment().data.train
    return experiment.model_copy(
        update={"data": experiment.data.model_copy(update={"train": train})}
    )


def _require_fresh(folder: RunFolder) -> None:
    from napari_surfseg.errors import RunError

    if folder.last_checkpoint.exists():
        raise RunError(
            f"The run {folder.path} was trained already; continue it with --resume, or start "
            "another one with its settings by naming a new --run-dir."
        )


def _is_same(path: Path, other: Path) -> bool:
    return path.exists() and other.exists() and path.samefile(other)


def _find_missing(path: Path) -> list[Path]:
    """Return the folders that have to be made for ``path``, the deepest first."""
    return [item for item in (path, *path.parents) if not item.exists()]


def _remove_refused(folder: RunFolder, missing: list[Path]) -> None:
    """Remove what this command made for a run that was refused before it began.

    That is the run's own files, and of the folders made for it those that are empty now: another
    run may have begun beside it. Nothing goes if the folder holds anything that no refused run
    writes, or if another worker took it.
    """
    from napari_surfseg.events import RunStarted, read_events
    from napari_surfseg.runs.lock import is_alive, read_worker

    if any(isinstance(event, RunStarted) for event in read_events(folder.events_path)):
        return
    holder = read_worker(folder.worker_path)
    if holder is not None and is_alive(holder):
        return
    with contextlib.suppress(OSError):
        if not {item.name for item in folder.path.iterdir()} <= folder.names_before_start:
            return
        for item in folder.path.iterdir():
            if item.is_dir() and not item.is_symlink():
                shutil.rmtree(item, ignore_errors=True)
            else:
                remove_file(item)
        for made in missing:
            made.rmdir()  # fails where something else lies in it, and so do those above
