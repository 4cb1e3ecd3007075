"""``environment.json``: what a run ran on, so that its numbers can be understood later."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from napari_surfseg.files import written_aside
from napari_surfseg.runs.launch import count_usable_cores

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari_surfseg.config import Experiment, Pair

__all__ = [
    "compute_label_hash",
    "describe_environment",
    "note_device",
    "write_environment",
]

PACKAGES = (
    "napari-surfseg",
    "torch",
    "numpy",
    "scipy",
    "scikit-image",
    "zarr",
    "tifffile",
    "numba",
    "napari",
)
#: Content is hashed up to this size, which takes a second or two; above it a run should not wait.
HASHED_BYTES = 1 << 30
GIT_SECONDS = 5


def describe_environment(experiment: Experiment, *, device: str = "auto") -> dict[str, Any]:
    """Collect versions, machine, revision and label hashes.

    Parameters
    ----------
    experiment : Experiment
        Its label files are hashed.
    device : str
        As asked for; what was taken is in the ``RunStarted`` event.
    """
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "host": platform.node(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "device_asked": device,
        "cores": count_usable_cores(),
        "memory_bytes": psutil.virtual_memory().total,
        "threads": os.environ.get("OMP_NUM_THREADS"),
        "command": sys.argv,
        "git_revision": read_git_revision(Path.cwd()),
        "labels": {pair.labels: compute_label_hash(pair.labels) for pair in _pairs(experiment)},
    }


def write_environment(path: Path, experiment: Experiment, *, device: str = "auto") -> None:
    """Write ``environment.json``."""
    values = describe_environment(experiment, device=device)
    with written_aside(path) as aside:
        aside.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")


def note_device(path: Path, device: str, precision: str) -> None:
    """Add to ``environment.json`` what the run is computed on, once that is known."""
    values = json.loads(path.read_bytes())
    values |= {"device": device, "precision": precision}
    with written_aside(path) as aside:
        aside.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")


def compute_label_hash(source: str) -> str | None:
    """Hash a label file or folder, to notice later that it was changed.

    Returns
    -------
    str or None
        ``sha256:...`` of the content, ``sha256-of-listing:...`` of names, sizes
        and times for more than a GiB, None for a URL or where nothing can be read.
    """
    if "://" in source:
        return None
    path = Path(source.partition("::")[0])
    try:
        if path.is_dir():
            files = sorted(item for item in path.rglob("*") if item.is_file())
        else:
            files = [path]
        stats = [item.stat() for item in files]
        digest = hashlib.sha256()
        if sum(stat.st_size for stat in stats) > HASHED_BYTES:
            for item, stat in zip(files, stats, strict=True):
                name = item.relative_to(path).as_posix()
                digest.update(f"{name} {stat.st_size} {stat.st_mtime_ns}\n".encode())
            return f"sha256-of-listing:{digest.hexdigest()}"
        for item in files:
            digest.update(f"{item.relative_to(path).as_posix()}\n".encode())
            with item.open("rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
        return f"sha256:{digest.hexdigest()}"
    except OSError:
        return None


def read_git_revision(folder: Path) -> str | None:
    """Return the commit checked out in a folder, ``-dirty`` appended where files differ."""
    try:
        result = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=GIT_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout.strip() or None


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _pairs(experiment: Experiment) -> Iterable[Pair]:
    yield from experiment.data.train
    if isinstance(experiment.data.validation, tuple):
        yield from experiment.data.validation
