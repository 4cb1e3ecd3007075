"""A network as a MONAI bundle: a folder that ``python -m monai.bundle run`` carries out.

::

    configs/inference.json   read, normalise, slide, write; MONAI's classes and those of scripts/
    configs/metadata.json    what goes in and comes out, versions, voxel size, grey values
    models/model.pt          the weights, as MONAI's tools expect them
    models/model.safetensors the weights with all that napari-surfseg knows of them
    scripts/                 the network and the windows as plain source
    docs/README.md, LICENSE

Nothing in it is a pickle of anything but tensors, and nothing needs this package.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from importlib import metadata
from typing import TYPE_CHECKING, Any

import torch

from napari_surfseg.inference.settings import AUTO_FLIPS_VOXELS
from napari_surfseg.inference.window_size import find_window_limit
from napari_surfseg.model.network_kinds import BUNDLE_METADATA, BUNDLE_WEIGHTS
from napari_surfseg.model.weights_file import save_weights_file
from napari_surfseg.sharing.facts import NetworkFacts, read_own_licence, write_card
from napari_surfseg.sharing.plain_source import write_network_source, write_plain_source

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_surfseg.model.checkpoint import Checkpoint
    from napari_surfseg.model.intensity import Intensity
    from napari_surfseg.sharing.settings import ShareSettings

__all__ = ["write_bundle"]

SCHEMA = (
    "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/"
    "meta_schema_20240725.json"
)
#: The oldest MONAI that the bundle was written for.
MONAI_VERSION = "1.4.0"

USAGE = """\
```
pip install "monai[fire,nibabel]" tifffile
python -m monai.bundle run --config_file configs/inference.json --dataset_dir FOLDER \\
    --output_dir RESULTS
```

`FOLDER` holds volumes as NIfTI (or `.nrrd`, `.mha` where ITK is installed), TIFF or npy, or names
one of them. For each two volumes are written: the probability of surface, 0 to 255, and the
surface, 0 and 1.

With napari-surfseg itself: `surfseg predict scan.tif --checkpoint THIS_FOLDER --output out.tif`,
or `model.start_from: THIS_FOLDER` to train on from here. This also applies the post-processing
that was chosen on the validation data, which the bundle does not."""


def write_bundle(
    folder: Path,
    checkpoint: Checkpoint,
    settings: ShareSettings,
    report: Callable[[str, float], None] = lambda _stage, _share: None,
) -> None:
    """Write a bundle into a new folder.

    Parameters
    ----------
    folder : Path
        Does not exist yet.
    checkpoint : Checkpoint
        Says nothing of the machine any more (:func:`~.facts.leave_out_paths`).
    settings : ShareSettings
        What goes along.
    report : callable
        Called with the stage and its share, 0 to 1.

    Raises
    ------
    OutputError, OSError
        If it cannot be written.
    """
    report("writing the network", 0.0)
    facts = NetworkFacts.of(checkpoint, settings)
    network = checkpoint.build_model("cpu")
    for name in ("configs", "models", "docs", "scripts"):
        (folder / name).mkdir(parents=True)
    torch.save(
        {name: tensor.detach().cpu() for name, tensor in checkpoint.weights.items()},
        folder / "models" / "model.pt",
    )
    save_weights_file(folder.joinpath(*BUNDLE_WEIGHTS), checkpoint)
    report("writing the settings", 0.5)
    summary = json.dumps(checkpoint.summary(), indent=2) + "\n"
    texts = {
        "models/model.json": summary,
        "configs/inference.json": _to_json(_describe_inference(checkpoint, network)),
        "/".join(BUNDLE_METADATA): _to_json(_describe_bundle(checkpoint, network, facts)),
        "configs/logging.conf": LOGGING,
        "docs/README.md": write_card(facts, USAGE),
        "LICENSE": (
            f"The weights in models/: {facts.licence}, https://spdx.org/licenses/"
            f"{facts.licence}.html\n\nThe source in scripts/:\n\n{read_own_licence()}"
        ),
        "scripts/__init__.py": '"""The network and its windows, as plain source."""\n\n'
        "from . import inference, network\n",
        "scripts/network.py": write_network_source(network),
        "scripts/inference.py": _write_scripts(),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    report("writing the settings", 1.0)


def _write_scripts() -> str:
    from napari_surfseg.sharing import bundle_scripts

    return write_plain_source(
        "Reading volumes, and sliding the network over them.",
        bundle_scripts.find_images,
        bundle_scripts.build_loader,
        bundle_scripts.OwnGreyValuesd,
        bundle_scripts.WindowInferer,
        bundle_scripts.Evaluator,
    )


def _describe_inference(checkpoint: Checkpoint, network: Any) -> dict[str, Any]:
    """Say in MONAI's words how a volume is predicted."""
    inference = checkpoint.experiment.inference
    architecture = network.architecture
    return {
        "imports": [
            "$import pathlib",
            "$import torch",
            "$from scripts import inference as scripts",
        ],
        # MONAI looks for scripts/ beside configs/: so the bundle is found from any folder.
        "bundle_root": "$str(pathlib.Path(scripts.__file__).resolve().parent.parent)",
        "dataset_dir": "$@bundle_root + '/data'",
        "output_dir": "$@bundle_root + '/eval'",
        "device": "$torch.device('cuda' if torch.cuda.is_available() else 'cpu')",
        "network_def": {
            "_target_": "scripts.network.build_network",
            **asdict(architecture),
        },
        "weights": "$torch.load(@bundle_root + '/models/model.pt', map_location='cpu', "
        "weights_only=True)",
        "network": "$@network_def.to(@device).eval()",
        "preprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "scripts.inference.build_loader", "keys": "image"},
                # MONAI's readers give x, y, z; the network sees Z, Y, X.
                {"_target_": "Transposed", "keys": "image", "indices": [0, 3, 2, 1]},
                *_describe_normalisation(checkpoint.intensity),
                {"_target_": "EnsureTyped", "keys": "image", "dtype": "$torch.float32"},
            ],
        },
        "dataset": {
            "_target_": "Dataset",
            "data": "$[{'image': name} for name in scripts.find_images(@dataset_dir)]",
            "transform": "@preprocessing",
        },
        "inferer": {
            "_target_": "scripts.inference.WindowInferer",
            "patch": list(checkpoint.patch_size),
            "multiple": architecture.window_multiple,
            "overlap": inference.overlap,
            "flips": inference.flips,
            "max_window_voxels": {
                device: find_window_limit(network, device) for device in ("cpu", "cuda")
            },
            "max_flip_voxels": dict(AUTO_FLIPS_VOXELS),
        },
        "threshold": checkpoint.threshold,
        "postprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "Transposed", "keys": "pred", "indices": [0, 3, 2, 1]},
                {"_target_": "CopyItemsd", "keys": "pred", "names": "surface"},
                {
                    "_target_": "Lambdad",
                    "keys": "pred",
                    "func": "$lambda p: (p * 255 + 0.5).clamp(0, 255).to(torch.uint8)",
                },
                {
                    "_target_": "Lambdad",
                    "keys": "surface",
                    "func": "$lambda p: (p > @threshold).to(torch.uint8)",
                },
                _describe_saving("pred", "probabilities"),
                _describe_saving("surface", "surface"),
            ],
        },
        "evaluator": {
            "_target_": "scripts.inference.Evaluator",
            "dataset": "@dataset",
            "network": "@network",
            "inferer": "@inferer",
            "postprocessing": "@postprocessing",
            "device": "@device",
        },
        "run": ["$@network.load_state_dict(@weights)", "$@evaluator.run()"],
    }


def _describe_normalisation(intensity: Intensity | None) -> list[dict[str, Any]]:
    """Say how grey values become the network's input: by 256 levels, as patches were."""
    if intensity is None:
        return [{"_target_": "scripts.inference.OwnGreyValuesd", "keys": "image"}]
    low, high = intensity.low, intensity.high
    return [
        {
            "_target_": "Lambdad",
            "keys": "image",
            "func": f"$lambda x: torch.nan_to_num(x, nan={low!r}, posinf={high!r}, neginf={low!r})",
        },
        {
            "_target_": "ScaleIntensityRanged",
            "keys": "image",
            "a_min": low,
            "a_max": high,
            "b_min": 0.0,
            "b_max": 255.0,
            "clip": True,
        },
        {"_target_": "Lambdad", "keys": "image", "func": "$torch.round"},
        {
            "_target_": "NormalizeIntensityd",
            "keys": "image",
            "subtrahend": intensity.mean * 255,
            "divisor": intensity.std * 255,
        },
    ]


def _describe_saving(key: str, postfix: str) -> dict[str, Any]:
    return {
        "_target_": "SaveImaged",
        "keys": key,
        "output_dir": "@output_dir",
        "output_postfix": postfix,
        "output_ext": ".nii.gz",
        "output_dtype": "$torch.uint8",
        "resample": False,
        "separate_folder": False,
    }


def _describe_bundle(checkpoint: Checkpoint, network: Any, facts: NetworkFacts) -> dict[str, Any]:
    """Say what goes in and comes out, and what is needed, as MONAI's schema has it."""
    packages = ["fire", "nibabel", "tifffile"]
    if checkpoint.experiment.model.preset == "nnunet":
        packages.append("dynamic-network-architectures")
    multiple = network.architecture.window_multiple
    edges = list(checkpoint.patch_size) if multiple is None else [f"{edge}*n" for edge in multiple]
    tensor = {
        "num_channels": 1,
        "spatial_shape": edges,
        "dtype": "float32",
        "is_patch_data": True,
    }
    return {
        "schema": SCHEMA,
        "version": "1.0.0",
        "changelog": {"1.0.0": "written by napari-surfseg"},
        "monai_version": MONAI_VERSION,
        "pytorch_version": _find_version("torch"),
        "numpy_version": _find_version("numpy"),
        "required_packages_version": {name: _find_version(name) for name in packages},
        "name": facts.title,
        "task": "Segmentation of thin surfaces in volumes",
        "description": facts.description,
        "authors": ", ".join(facts.authors),
        "copyright": f"{facts.licence}; the source in scripts/: BSD-3-Clause",
        "data_source": "",
        "data_type": "NIfTI, TIFF, npy",
        "image_classes": "one channel of grey values",
        "label_classes": "1 is surface, 0 is not",
        "pred_classes": "probability of surface",
        "eval_metrics": checkpoint.summary()["metrics"],
        "intended_use": "Research; look at the result before you rely on it.",
        "references": [],
        "network_data_format": {
            "inputs": {
                "image": {
                    "type": "image",
                    "format": "magnitude",
                    "modality": "n/a",
                    **tensor,
                    "value_range": [],
                    "channel_def": {"0": "image"},
                }
            },
            "outputs": {
                "pred": {
                    "type": "image",
                    "format": "logits",
                    **tensor,
                    "value_range": [],
                    "channel_def": {"0": "surface"},
                }
            },
        },
        "volume_facts": {
            "axes": "Z, Y, X",
            "spacing": list(checkpoint.spacing),
            "units": checkpoint.units,
            "patch_size": list(checkpoint.patch_size),
            "intensity": None if checkpoint.intensity is None else checkpoint.intensity.as_dict(),
            "threshold": checkpoint.threshold,
        },
    }


def _find_version(name: str) -> str:
    try:
        return metadata.version(name).partition("+")[0]
    except metadata.PackageNotFoundError:
        return ""


def _to_json(values: dict[str, Any]) -> str:
    return json.dumps(values, indent=2) + "\n"


LOGGING = """\
[loggers]
keys=root

[handlers]
keys=consoleHandler

[formatters]
keys=fullFormatter

[logger_root]
level=INFO
handlers=consoleHandler

[handler_consoleHandler]
class=StreamHandler
level=INFO
formatter=fullFormatter
args=(sys.stdout,)

[formatter_fullFormatter]
format=%(asctime)s - %(name)s - %(levelname)s - %(message)s
"""
