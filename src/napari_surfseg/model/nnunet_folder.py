"""What nnU-Net v2 leaves of a training, read as a checkpoint of ours.

::

    RESULTS/plans.json              voxel size, patch, network, normalisation
    RESULTS/dataset.json            channels, classes
    RESULTS/fold_0/checkpoint_final.pth

Of the ``.pth`` only the tensors are of use; it also holds numbers of numpy and the name of a
device, which are let through, and nothing else is
(:mod:`~napari_surfseg.model.checkpoint_archive`).
"""

from __future__ import annotations

import json
import re
import warnings
from typing import TYPE_CHECKING, Any

import torch

from napari_surfseg.config_files import build_experiment
from napari_surfseg.errors import CheckpointError, ConfigError
from napari_surfseg.geometry import to_index, to_spacing
from napari_surfseg.model.checkpoint import Checkpoint, check_weights
from napari_surfseg.model.checkpoint_archive import UnsafeArchiveError, check_archive
from napari_surfseg.model.intensity import Intensity
from napari_surfseg.model.network_kinds import NNUNET_PLANS, NNUNET_WEIGHTS
from napari_surfseg.model.nnunet_network import BLOCKS
from napari_surfseg.wording import list_words

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

__all__ = ["load_nnunet"]

#: Formats of medical images, whose voxel sizes are in millimetres.
MILLIMETRES = (".nii.gz", ".nii", ".nrrd", ".mha", ".mhd")
#: In front of names in weights that were saved of a compiled or distributed network.
WRAPPERS = ("_orig_mod.", "module.")
#: The share that nnU-Net lets its windows overlap.
OVERLAP = 0.5


def load_nnunet(path: Path, surface: str | None = None) -> Checkpoint:
    """Read a result of nnU-Net v2.

    Parameters
    ----------
    path : Path
        The folder of a trained configuration, a fold in it, or its ``checkpoint_final.pth``. Of
        the folder, the first fold.
    surface : str, optional
        Which class or region is the surface, by its name or number; by default the class 1, or
        the first region.

    Raises
    ------
    CheckpointError
        If anything is missing, damaged, of another kind, or does not fit.
    """
    weights_path = _find_weights(path)
    folder = weights_path.parent.parent
    plans, dataset = (_read_json(folder / name) for name in (NNUNET_PLANS, "dataset.json"))
    values = _read_weights(weights_path)
    try:
        return _build(weights_path, folder, values, plans, dataset, surface)
    except ConfigError as error:
        raise CheckpointError(f"The network in {folder} cannot be used: {error}") from None
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise CheckpointError(
            f"{folder} is damaged or of another version of nnU-Net: its plans or its dataset.json "
            f"do not fit ({type(error).__name__}: {' '.join(str(error).split())[:120]})."
        ) from None


def _build(
    weights_path: Path,
    folder: Path,
    values: Mapping[str, Any],
    plans: Mapping[str, Any],
    dataset: Mapping[str, Any],
    surface: str | None,
) -> Checkpoint:
    name = str(dict(values["init_args"])["configuration"])
    plan = _find_configuration(folder, plans, name)
    channels = dataset.get("channel_names", dataset.get("modality", {}))
    if len(channels) != 1:
        raise CheckpointError(
            f"{folder} takes {len(channels)} channels, but only networks of one channel can be "
            "used here."
        )
    outputs, exclusive = _find_outputs(dataset)
    chosen = _choose_surface(folder, outputs, exclusive, surface)
    order = [int(axis) for axis in plans.get("transpose_forward", (0, 1, 2))]
    network, arguments = _read_architecture(folder, plan)
    arguments |= {
        "num_classes": len(outputs),
        "surface": [chosen],
        "exclusive": exclusive,
        "axes": order,
    }
    patch_size = to_index(plan["patch_size"][order.index(axis)] for axis in range(3))
    spacing = to_spacing([plan["spacing"][order.index(axis)] for axis in range(3)])
    experiment = build_experiment(
        {
            "experiment": {"name": str(plans.get("dataset_name", folder.name))[:60] or "nnU-Net"},
            "data": {"patch_size": patch_size},
            "model": {"preset": "nnunet", "network": network, "arguments": arguments},
            "inference": {"overlap": OVERLAP},
        },
        source=str(folder),
    )
    is_millimetres = str(dataset.get("file_ending", "")) in MILLIMETRES
    checkpoint = Checkpoint(
        experiment=experiment,
        weights=_name_weights(values["network_weights"]),
        intensity=_read_intensity(folder, plans, plan),
        patch_size=patch_size,
        spacing=spacing,
        units="millimeter" if is_millimetres else None,
        epoch=int(values.get("current_epoch", 0)),
        notes=_describe_choice(outputs, chosen, exclusive),
    )
    check_weights(weights_path, checkpoint)
    return checkpoint


def _find_weights(path: Path) -> Path:
    if path.is_file():
        return path
    folds = sorted(path.glob("fold_*")) if not path.name.startswith("fold_") else [path]
    for name in NNUNET_WEIGHTS:
        for fold in folds:
            if (fold / name).is_file():
                return fold / name
    raise CheckpointError(
        f"There is no trained fold in {path}: a {NNUNET_WEIGHTS[0]} in a folder such as fold_0."
    )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"There is no {path}, which an nnU-Net result needs.") from None
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is damaged: {str(error).rstrip('.')}.") from None
    if not isinstance(values, dict):
        raise CheckpointError(f"{path} is damaged: it holds no mapping.")
    return values


def _read_weights(path: Path) -> dict[str, Any]:
    import numpy as np

    # Files of numpy 1 name its module otherwise.
    scalar = np.float64(0).__reduce__()[0]
    allowed: list[Any] = [
        (scalar, "numpy.core.multiarray.scalar"),
        (scalar, "numpy._core.multiarray.scalar"),
        np.dtype,
        *{type(np.dtype(kind)) for kind in ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "?")},
    ]
    try:
        check_archive(path, with_numbers=True)
        with warnings.catch_warnings(), torch.serialization.safe_globals(allowed):
            warnings.simplefilter("ignore")
            values = torch.load(path, map_location="cpu", weights_only=True)
    except UnsafeArchiveError as error:
        raise CheckpointError(
            f"{path} is damaged, or not a checkpoint of nnU-Net: {error}; it was not opened."
        ) from None
    except Exception as error:  # noqa: BLE001 - what is no pickle can raise anything
        reason = str(error).strip().split("\n", 1)[0].rstrip(".")
        raise CheckpointError(f"{path} is damaged or not a checkpoint: {reason}.") from None
    needed = ("network_weights", "init_args")
    if not isinstance(values, dict) or not all(isinstance(values.get(n), dict) for n in needed):
        raise CheckpointError(f"{path} is not a checkpoint of nnU-Net v2.")
    return values


def _name_weights(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    named = {}
    for name, tensor in weights.items():
        for wrapper in WRAPPERS:
            name = name.removeprefix(wrapper)
        named[f"network.{name}"] = tensor.float()
    return named


def _find_configuration(folder: Path, plans: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a configuration with what it inherits."""
    found: dict[str, Any] = {}
    wanted: Any = name
    for _ in range(8):
        part = plans["configurations"][wanted]
        found = {**part, **found}
        wanted = part.get("inherits_from")
        if wanted is None:
            break
    if len(found["patch_size"]) != 3:
        raise CheckpointError(f"{folder} was trained on slices ({name}); use 3d_fullres.")
    if found.get("previous_stage"):
        raise CheckpointError(
            f"{folder} is the second stage of a cascade ({name}), which sees another network's "
            "result; use 3d_fullres."
        )
    return found


def _read_architecture(folder: Path, plan: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the class and its arguments, of plans old and new."""
    if "architecture" not in plan:
        return "PlainConvUNet", _convert_old(plan)
    name = str(plan["architecture"]["network_class_name"]).rpartition(".")[2]
    values = dict(plan["architecture"]["arch_kwargs"])
    if name not in BLOCKS:
        raise CheckpointError(
            f"{folder} has a network {name}, but only {list_words(list(BLOCKS))} can be used here."
        )
    usual = {
        "conv_op": "Conv3d",
        "norm_op": "InstanceNorm3d",
        "nonlin": "LeakyReLU",
        "dropout_op": "None",
    }
    for key, expected in usual.items():
        found = str(values.get(key)).rpartition(".")[2]
        if found != expected:
            raise CheckpointError(
                f"{folder} has a network whose {key} is {found}, but only {expected} can be used "
                "here."
            )
    norm = values.get("norm_op_kwargs") or {}
    kept = ("features_per_stage", "kernel_sizes", "strides", "n_conv_per_stage_decoder")
    return name, {
        **{key: values[key] for key in (*kept, BLOCKS[name])},
        "conv_bias": bool(values.get("conv_bias", True)),
        "norm_eps": float(norm.get("eps", 1e-5)),
    }


def _convert_old(plan: Mapping[str, Any]) -> dict[str, Any]:
    name = plan["UNet_class_name"]
    if name != "PlainConvUNet":
        raise CheckpointError(f"Its plans are old and name a network {name}, which is not read.")
    strides = [[1, 1, 1], *plan["pool_op_kernel_sizes"]]
    if all(n == 1 for n in plan["pool_op_kernel_sizes"][0]):
        strides = plan["pool_op_kernel_sizes"]
    base, most = plan["UNet_base_num_features"], plan["unet_max_num_features"]
    return {
        "features_per_stage": [min(base * 2**stage, most) for stage in range(len(strides))],
        "kernel_sizes": plan["conv_kernel_sizes"],
        "strides": strides,
        "n_conv_per_stage": plan["n_conv_per_stage_encoder"],
        "n_conv_per_stage_decoder": plan["n_conv_per_stage_decoder"],
    }


def _find_outputs(dataset: Mapping[str, Any]) -> tuple[list[str], bool]:
    """Return the names of the network's outputs, and whether they exclude each other."""
    labels = {str(name): value for name, value in dataset["labels"].items() if name != "ignore"}
    order = dataset.get("regions_class_order")
    if order is not None and any(isinstance(value, list) for value in labels.values()):
        regions = [name for name, value in labels.items() if value not in (0, [0])]
        return regions, False
    return sorted(labels, key=lambda name: int(labels[name])), True


def _choose_surface(folder: Path, outputs: list[str], exclusive: bool, wanted: str | None) -> int:
    first = 1 if exclusive else 0
    if wanted is None:
        return first
    allowed = outputs[first:]
    if wanted in allowed:
        return outputs.index(wanted)
    if re.fullmatch(r"\d+", wanted) and first <= int(wanted) < len(outputs):
        return int(wanted)
    raise CheckpointError(f"{folder} has no class {wanted}; it has {list_words(allowed)}.")


def _describe_choice(outputs: list[str], chosen: int, exclusive: bool) -> tuple[str, ...]:
    others = outputs[1 if exclusive else 0 :]
    if len(others) < 2:
        return ()
    return (
        f"The network finds {list_words(others)}; surface is {outputs[chosen]} (write "
        f"FOLDER::{others[-1] if chosen != len(outputs) - 1 else others[0]} for another one).",
    )


def _read_intensity(
    folder: Path, plans: Mapping[str, Any], plan: Mapping[str, Any]
) -> Intensity | None:
    """Say how grey values are normalised; None where each volume is by its own."""
    scheme = str(plan["normalization_schemes"][0])
    found = plans.get("foreground_intensity_properties_per_channel", {}).get("0", {})
    if scheme == "ZScoreNormalization":
        return None
    if scheme == "RGBTo01Normalization":
        return Intensity(0.0, 255.0, 0.0, 1.0)
    if scheme == "CTNormalization":
        low, high = float(found["percentile_00_5"]), float(found["percentile_99_5"])
        reach = high - low
        return Intensity(
            low, high, (float(found["mean"]) - low) / reach, max(float(found["std"]), 1e-8) / reach
        )
    low, high = float(found["min"]), float(found["max"])
    if scheme == "RescaleTo01Normalization":
        return Intensity(low, high, 0.0, 1.0)
    if scheme == "NoNormalization":
        return Intensity(low, high, -low / (high - low), 1 / (high - low))
    raise CheckpointError(
        f"{folder} normalises by {scheme}, which is not known here; known are CTNormalization, "
        "ZScoreNormalization, RescaleTo01Normalization, RGBTo01Normalization and NoNormalization."
    )
