"""Open a trained network, whatever wrote it: the one door for all who use or start from one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_surfseg.errors import CheckpointError
from napari_surfseg.model.checkpoint import load_checkpoint
from napari_surfseg.model.network_kinds import (
    find_shared_network,
    is_nnunet_folder,
    split_class,
)
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
        ``.safetensors`` that was exported, the folder of an exported MONAI bundle, or a result
        of nnU-Net v2, where ``FOLDER::CLASS`` says what is the surface
        (:mod:`~napari_surfseg.model.network_kinds`).

    Raises
    ------
    CheckpointError
        If it is missing, damaged, foreign, of a newer version, or does not fit itself.
    """
    if is_network_name(path):
        return load_shipped(str(path))
    path, surface = split_class(Path(path))
    if is_nnunet_folder(path):
        from napari_surfseg.model.nnunet_folder import load_nnunet

        return load_nnunet(path, surface)
    if surface is not None:
        raise CheckpointError(
            f"{path} finds one surface; only networks of nnU-Net have classes, and it is none."
        )
    found = (find_shared_network(path) if path.is_dir() else None) or path
    if found.suffix == ".safetensors":
        return load_weights_file(found)
    return load_checkpoint(found)
