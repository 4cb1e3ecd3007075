"""Train for one step on a cube of noise, so that the first real step is a quick one.

After an installation the loops that numba compiles take some 15 s, and after a restart of the
machine PyTorch's files come from a cold disk. A process that stands by does this while a person
still chooses volumes; whatever becomes of it, nobody depends on it.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from napari_surfseg.config import Experiment
from napari_surfseg.config_files import apply_overrides

__all__ = ["warm_up"]


def warm_up() -> None:
    """Train a step, validate, preview and save in a folder that is gone afterwards, on the CPU."""
    import torch

    num_threads = torch.get_num_threads()
    try:
        with tempfile.TemporaryDirectory(prefix="napari-surfseg-") as folder:
            _train_in(Path(folder))
    finally:
        torch.set_num_threads(num_threads)  # a run looks for its own best number


def _train_in(folder: Path) -> None:
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
