"""Open a trained network, whatever wrote it: the one door for all who use or start from one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_surfseg.model.checkpoint import load_checkpoint
from napari_surfseg.model.network_kinds import find_shared_network
from napari_surfseg.model.shipped_network import load_shipped
from napari_surfseg.model.weights_file import load_weights_file
from napari_surfseg.networks.registry import is_network_name

if TYPE_CHECKING:
    from napari_surfseg.model.checkpoint import Checkpoint

__all__ = ["open_network"]


def open_network(path: str | Path) -> Checkpoint:
    """Read and check a trained network; nothing of a file is ever run.

    Parameters
    ----------
    path : path-like
        The name of a network that comes with the package, a checkpoint of a run, a
        ``.safetensors`` that was exported, or the folder of an exported MONAI bundle
        (:mod:`~napari_surfseg.model.network_kinds`).

    Raises
    ------
    CheckpointError
        If it is missing, damaged, foreign, of a newer version, or does not fit itself.
    """
    if is_network_name(path):
        return load_shipped(str(path))
    path = Path(path)
    found = (find_shared_network(path) if path.is_dir() else None) or path
    if found.suffix == ".safetensors":
        return load_weights_file(found)
    return load_checkpoint(found)
