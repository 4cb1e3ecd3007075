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
#: Files looked at; a store of terabytes has a million chunks.
MAX_FILES = 10_000
#: Files in which zarr and N5 say what a volume is.
METADATA = ("zarr.json", ".zarray", ".zgroup", ".zattrs", "attributes.json")
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
        and times for more than a GiB, ``sha256-of-metadata:...`` for a folder of so many files
        that looking at each would take long, None for a URL or where nothing can be read.
    """
    if "://" in source:
        return None
    path = Path(source.partition("::")[0])
    try:
        files = _list_files(path) if path.is_dir() else [path]
        if files is None:
            return _hash_metadata(path)
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


def _list_files(folder: Path) -> list[Path] | None:
    """List the files below a folder; None for more than :data:`MAX_FILES`."""
    found: list[Path] = []
    folders = [folder]
    num_seen = 0
    while folders:
        for item in folders.pop().iterdir():
            num_seen += 1
            if num_seen > MAX_FILES:
                return None
            if item.is_dir():
                folders.append(item)
            elif item.is_file():
                found.append(item)
    return sorted(found)


def _hash_metadata(folder: Path) -> str:
    """Hash what a store says of itself, and when its folder was changed last."""
    digest = hashlib.sha256(f"{folder.stat().st_mtime_ns}\n".encode())
    for below in ("", "0", "s0"):
        for name in METADATA:
            item = folder / below / name
            if item.is_file():
                digest.update(f"{below}/{name} {item.stat().st_mtime_ns}\n".encode())
                digest.update(item.read_bytes())
    return f"sha256-of-metadata:{digest.hexdigest()}"


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
