"""A network as one ``.safetensors`` file: what is shared, because nothing in it can run.

The header of that format holds texts beside the table of tensors. Ours is all that a checkpoint
holds besides its weights, as JSON: so the file alone is enough to predict with or to start from.
Other programs read the tensors and need not know of it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import torch

from napari_surfseg.errors import CheckpointError
from napari_surfseg.files import written_aside
from napari_surfseg.model.checkpoint import describe_checkpoint, rebuild_checkpoint

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from napari_surfseg.model.checkpoint import Checkpoint

__all__ = ["load_weights_file", "read_tensors", "save_weights_file"]

#: Names of our texts in the header.
DESCRIPTION_KEY, VERSION_KEY = "napari_surfseg", "napari_surfseg_version"
VERSION = "1"


def save_weights_file(
    path: Path, checkpoint: Checkpoint, *, dtype: torch.dtype = torch.float32
) -> None:
    """Write a checkpoint without what resuming needs.

    Parameters
    ----------
    path : Path
        Ends in ``.safetensors``.
    checkpoint : Checkpoint
        Any.
    dtype : torch.dtype
        Of the weights in the file; ``float16`` halves it.

    Raises
    ------
    OutputError
        If it cannot be written; an earlier file of that name is untouched.
    """
    from safetensors.torch import save

    weights = {
        # A copy each: the format knows no shared storage.
        name: _convert(tensor.detach(), dtype).to("cpu", copy=True).contiguous()
        for name, tensor in checkpoint.weights.items()
    }
    texts = {
        "format": "pt",
        VERSION_KEY: VERSION,
        DESCRIPTION_KEY: json.dumps(describe_checkpoint(checkpoint)),
    }
    content = save(weights, texts)
    with written_aside(path) as temporary:
        temporary.write_bytes(content)


def load_weights_file(path: Path) -> Checkpoint:
    """Read and check what :func:`save_weights_file` wrote; weights come as float32.

    Raises
    ------
    CheckpointError
        If the file is missing, damaged, of another program or of a newer version.
    """
    texts, weights = read_tensors(path)
    if DESCRIPTION_KEY not in texts:
        raise CheckpointError(
            f"{path} holds weights only, without what they are for; choose a best.pt, a run folder "
            "or what surfseg export wrote."
        )
    if texts.get(VERSION_KEY) != VERSION:
        raise CheckpointError(
            f"{path} is of version {texts.get(VERSION_KEY)}, but this program reads version "
            f"{VERSION}; update napari-surfseg."
        )
    try:
        values = json.loads(texts[DESCRIPTION_KEY])
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise CheckpointError(f"{path} is damaged: its description cannot be read.")
    return rebuild_checkpoint(path, {**values, "weights": weights, "training": None})


def read_tensors(path: Path) -> tuple[dict[str, str], dict[str, Any]]:
    """Read the texts of the header and all tensors, real numbers as float32.

    Raises
    ------
    CheckpointError
        If the file is missing or damaged.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            weights = {
                name: _convert(file.get_tensor(name), torch.float32)
                for name in file.keys()  # noqa: SIM118 - it is no dictionary
            }
            return dict(file.metadata() or {}), weights
    except FileNotFoundError:
        raise CheckpointError(f"There is no checkpoint {path}.") from None
    except (OSError, SafetensorError, ValueError, TypeError, KeyError) as error:
        reason = str(error).split("\n", 1)[0].rstrip(".")
        raise CheckpointError(f"{path} is damaged or no safetensors file: {reason}.") from None


def _convert(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """Convert real numbers; tables and counts of whole numbers stay."""
    return tensor.to(dtype) if tensor.is_floating_point() else tensor
