"""Train for one step on a cube of noise, so that the first real start is a quick one.

After an installation the loops that numba compiles take some 15 s, and after a restart of the
machine torch's files come from a cold disk. The window has this module run in a process of the
lowest priority while a person still chooses volumes; whatever becomes of it, nobody depends on it.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
from pathlib import Path

from napari_surfseg.config import Experiment, apply_overrides

__all__ = ["find_marker", "main", "warm_up"]


def find_marker() -> Path:
    """Return the file that says that this was done since the machine started.

    It names what the compiled loops depend on, and lies among the temporary files because
    those, like the disk's cache, are gone after a restart.
    """
    package = Path(__file__).parents[1]
    newest = max(path.stat().st_mtime_ns for path in package.rglob("*.py"))
    key = hashlib.sha256(f"{sys.executable} {sys.version} {package} {newest}".encode()).hexdigest()
    return Path(tempfile.gettempdir()) / f"napari-surfseg-warm-{key[:16]}"


def warm_up(folder: Path) -> None:
    """Train a step, validate, preview and save in a folder, on the CPU."""
    import numpy as np

    from napari_surfseg.training.trainer import Trainer

    labels = np.zeros((32, 32, 64), np.uint8)
    labels[14:16] = 1
    labels[:, :4] = 2
    noise = np.random.default_rng(0).normal(0, 12, labels.shape)
    np.save(folder / "image.npy", (np.where(labels == 1, 140, 90) + noise).astype(np.uint8))
    np.save(folder / "labels.npy", labels)
    image, cells = ((folder / name).as_posix() for name in ("image.npy", "labels.npy"))
    experiment = apply_overrides(
        Experiment(),
        [
            f"data.train=[{{image: {image!r}, labels: {cells!r}}}]",
            "data.patch_size=[16,16,16]",
            "data.pseudo_labels=true",
            "model={preset: tiny, base_channels: 4, multipliers: [1, 2]}",
            "training.max_epochs=1",
            "training.train_iterations_per_epoch=1",
            "training.workers=0",
            "preview.seconds=0.1",
            "preview.size=[16,16,16]",
        ],
    )
    parts = {name: folder / name for name in ("checkpoints", "previews", "samples")}
    for part in parts.values():
        part.mkdir()
    Trainer(
        experiment,
        emit=lambda _event: None,
        poll_commands=list,
        device="cpu",
        resume=False,
        **parts,
    ).run()


def main() -> None:
    """Warm up, unless that was done since the machine started."""
    marker = find_marker()
    if marker.exists():
        return
    with tempfile.TemporaryDirectory(prefix="napari-surfseg-") as folder:
        warm_up(Path(folder))
    marker.touch()


if __name__ == "__main__":
    main()
