"""What a path to a trained network is, by its names alone: nothing is opened, no torch is imported.

::

    best.pt, last.pt            a checkpoint of a run
    model.safetensors           a network that was exported
    BUNDLE/                     an exported MONAI bundle: configs/metadata.json, models/
    RESULTS/ or RESULTS/fold_0/ an nnU-Net v2 result: plans.json, fold_*/checkpoint_final.pth
"""

from __future__ import annotations

from pathlib import Path

__all__ = [
    "BUNDLE_METADATA",
    "BUNDLE_WEIGHTS",
    "NNUNET_PLANS",
    "NNUNET_WEIGHTS",
    "find_shared_network",
    "is_nnunet_folder",
    "split_class",
]

#: Where an exported bundle keeps its network, with all that is needed to use it.
BUNDLE_WEIGHTS = ("models", "model.safetensors")
#: What a bundle of whatever origin has.
BUNDLE_METADATA = ("configs", "metadata.json")
#: Of a fold of nnU-Net, the first that is there.
NNUNET_WEIGHTS = ("checkpoint_final.pth", "checkpoint_best.pth")
NNUNET_PLANS = "plans.json"


def is_nnunet_folder(path: Path) -> bool:
    """Whether a path is an nnU-Net v2 result: a trained configuration, a fold, or its weights."""
    if path.name in NNUNET_WEIGHTS:
        path = path.parent
    if path.name.startswith("fold_"):
        path = path.parent
    return (path / NNUNET_PLANS).is_file()


def split_class(path: Path) -> tuple[Path, str | None]:
    """Split ``FOLDER::CLASS``; a path that exists as it is has no class."""
    text, mark, name = str(path).rpartition("::")
    return (Path(text), name) if mark and not path.exists() else (path, None)


def find_shared_network(path: Path) -> Path | None:
    """Return what :func:`~napari_surfseg.model.open_network.open_network` opens of a folder.

    None where it is neither a bundle nor an nnU-Net result.
    """
    if path.joinpath(*BUNDLE_METADATA).is_file():
        return path.joinpath(*BUNDLE_WEIGHTS)
    return path if path.is_dir() and is_nnunet_folder(path) else None
