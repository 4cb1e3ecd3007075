"""A network as a bioimage.io package: one ``.zip`` that the programs of that community read.

The weights go along three times, as ONNX, as TorchScript and as a state dictionary with the
network's plain source, since programs differ in what they take. The package is tested with
``bioimageio.core`` before it is given out.
"""

from __future__ import annotations

import contextlib
import tempfile
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy import ndimage

from napari_surfseg.errors import OutputError, SurfsegError
from napari_surfseg.sharing.facts import NetworkFacts, write_card
from napari_surfseg.sharing.onnx_file import write_onnx
from napari_surfseg.sharing.traced_network import INPUT, PlainNetwork, trace_torchscript

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_surfseg.geometry import Size3
    from napari_surfseg.model.checkpoint import Checkpoint
    from napari_surfseg.model.intensity import Intensity
    from napari_surfseg.sharing.settings import ShareSettings

__all__ = ["write_package"]

OUTPUT = "surface"
#: What has to fit together.
LIBRARIES = ("bioimageio.core", "bioimageio.spec", "pydantic")

USAGE = """\
With `bioimageio.core`: `bioimageio predict THIS.zip`, or any program that reads packages of
bioimage.io. The output is the probability of surface, 0 to 1; see below for the threshold.

With napari-surfseg, share the run as a MONAI bundle instead, which it reads again."""


def write_package(
    path: Path,
    checkpoint: Checkpoint,
    settings: ShareSettings,
    report: Callable[[str, float], None] = lambda _stage, _share: None,
) -> None:
    """Write a package.

    Parameters
    ----------
    path, checkpoint, settings, report
        As for :func:`~napari_surfseg.sharing.monai_bundle.write_bundle`.

    Raises
    ------
    OutputError
        If the network cannot be written so, or the package fails its test.
    """
    with tempfile.TemporaryDirectory(prefix="surfseg_") as name, _quiet_log():
        try:
            packed = _pack(Path(name), checkpoint, settings, report)
            report("testing the package", 0.0)
            _test(packed)
        except (SurfsegError, OSError):
            raise
        except Exception as error:  # noqa: BLE001 - the library refuses in many ways
            reason = str(error).strip().split("\n")
            versions = ", ".join(f"{item} {metadata.version(item)}" for item in LIBRARIES)
            raise OutputError(
                f"bioimageio.spec refuses the package: {' '.join(reason[:3]).rstrip('.')[:300]}; "
                f"installed are {versions}, and versions that fit come with: "
                'pip install "napari-surfseg[share]"'
            ) from None
        path.write_bytes(packed.read_bytes())
    report("testing the package", 1.0)


def _pack(
    folder: Path,
    checkpoint: Checkpoint,
    settings: ShareSettings,
    report: Callable[[str, float], None],
) -> Path:
    from bioimageio.spec import save_bioimageio_package

    description = _describe(folder, checkpoint, settings, report)
    report("packing", 0.0)
    # The library packs only to names that end in .zip.
    packed = folder / "package.zip"
    save_bioimageio_package(description, output_path=packed)
    return packed


def _describe(
    folder: Path,
    checkpoint: Checkpoint,
    settings: ShareSettings,
    report: Callable[[str, float], None],
) -> Any:
    """Write the files into a folder and return the description that names them."""
    from bioimageio.spec.model import v0_5 as spec

    facts = NetworkFacts.of(checkpoint, settings)
    report("computing a test", 0.0)
    network = PlainNetwork.of(checkpoint)
    image = _make_test_image(network.choose_edges((2, 3, 3)), checkpoint.intensity)
    logits = network.compute(_normalise(image, checkpoint.intensity))
    np.save(folder / "test_input.npy", image)
    np.save(folder / "test_output.npy", 1 / (1 + np.exp(-logits)))
    (folder / "README.md").write_text(write_card(facts, USAGE), encoding="utf-8")
    weights = _write_weights(folder, checkpoint, network, settings, report)
    return spec.ModelDescr(
        name=_fit_name(facts.title),
        description=facts.description,
        authors=[spec.Author(name=author) for author in facts.authors],
        license=spec.LicenseId(facts.licence),
        documentation=spec.FileDescr(source=folder / "README.md"),
        tags=["segmentation", "3d", "surfaces", "membranes", "unet", "pytorch"],
        inputs=[_describe_input(spec, folder, checkpoint, network)],
        outputs=[_describe_output(spec, folder, checkpoint)],
        weights=weights,
    )


def _write_weights(
    folder: Path,
    checkpoint: Checkpoint,
    network: PlainNetwork,
    settings: ShareSettings,
    report: Callable[[str, float], None],
) -> Any:
    import onnx
    from bioimageio.spec.model import v0_5 as spec

    version = spec.Version(str(torch.__version__).partition("+")[0])
    torch.save(
        {name: tensor.detach().cpu() for name, tensor in checkpoint.weights.items()},
        folder / "weights.pt",
    )
    (folder / "network.py").write_text(network.source, encoding="utf-8")
    kinds: dict[str, Any] = {
        "pytorch_state_dict": spec.PytorchStateDictWeightsDescr(
            source=folder / "weights.pt",
            pytorch_version=version,
            architecture=spec.ArchitectureFromFileDescr(
                source=folder / "network.py",
                callable=spec.Identifier("build_network"),
                kwargs=network.numbers,
            ),
        )
    }
    write_onnx(folder / "weights.onnx", checkpoint, settings, report)
    opset = onnx.load(str(folder / "weights.onnx"), load_external_data=False).opset_import
    kinds["onnx"] = spec.OnnxWeightsDescr(
        source=folder / "weights.onnx",
        opset_version=next(item.version for item in opset if item.domain in ("", "ai.onnx")),
        parent="pytorch_state_dict",
    )
    report("writing the network as TorchScript", 0.0)
    traced = trace_torchscript(network)
    if traced is not None:
        (folder / "weights_torchscript.pt").write_bytes(traced)
        kinds["torchscript"] = spec.TorchscriptWeightsDescr(
            source=folder / "weights_torchscript.pt",
            pytorch_version=version,
            parent="pytorch_state_dict",
        )
    return spec.WeightsDescr(**kinds)


def _describe_input(spec: Any, folder: Path, checkpoint: Checkpoint, network: PlainNetwork) -> Any:
    if network.multiple is None:
        sizes: list[Any] = list(network.patch)
    else:
        sizes = [spec.ParameterizedSize(min=2 * edge, step=edge) for edge in network.multiple]
    return spec.InputTensorDescr(
        id=spec.TensorId(INPUT),
        description="One channel of grey values.",
        axes=[
            spec.BatchAxis(),
            spec.ChannelAxis(channel_names=[spec.Identifier("grey")]),
            *(
                spec.SpaceInputAxis(
                    id=spec.AxisId(name),
                    size=size,
                    **_describe_voxel(checkpoint, axis),
                )
                for axis, (name, size) in enumerate(zip("zyx", sizes, strict=True))
            ),
        ],
        test_tensor=spec.FileDescr(source=folder / "test_input.npy"),
        data=spec.IntervalOrRatioDataDescr(type="float32"),
        preprocessing=_describe_normalisation(spec, checkpoint.intensity),
    )


def _describe_normalisation(spec: Any, intensity: Intensity | None) -> list[Any]:
    """Describe what the network's input is made by; without an intensity, of each volume's own.

    Then nothing is clipped: readers take every mean and deviation from the values as they came,
    so these cannot follow a clip. On bytes the plugin does not clip either.
    """
    if intensity is None:
        axes = tuple(spec.AxisId(name) for name in ("channel", "z", "y", "x"))
        return [spec.ZeroMeanUnitVarianceDescr(kwargs=spec.ZeroMeanUnitVarianceKwargs(axes=axes))]
    reach = intensity.high - intensity.low
    return [
        spec.ScaleLinearDescr(
            kwargs=spec.ScaleLinearKwargs(gain=1 / reach, offset=-intensity.low / reach)
        ),
        spec.ClipDescr(kwargs=spec.ClipKwargs(min=0.0, max=1.0)),
        spec.FixedZeroMeanUnitVarianceDescr(
            kwargs=spec.FixedZeroMeanUnitVarianceKwargs(mean=intensity.mean, std=intensity.std)
        ),
    ]


def _describe_output(spec: Any, folder: Path, checkpoint: Checkpoint) -> Any:
    return spec.OutputTensorDescr(
        id=spec.TensorId(OUTPUT),
        description="Probability of surface; surface is where it is above "
        f"{checkpoint.threshold:.2f}.",
        axes=[
            spec.BatchAxis(),
            spec.ChannelAxis(channel_names=[spec.Identifier("surface")]),
            *(
                spec.SpaceOutputAxis(
                    id=spec.AxisId(name),
                    size=spec.SizeReference(
                        tensor_id=spec.TensorId(INPUT), axis_id=spec.AxisId(name)
                    ),
                    **_describe_voxel(checkpoint, axis),
                )
                for axis, name in enumerate("zyx")
            ),
        ],
        test_tensor=spec.FileDescr(source=folder / "test_output.npy"),
        data=spec.IntervalOrRatioDataDescr(type="float32", range=(0.0, 1.0)),
        postprocessing=[spec.SigmoidDescr()],
    )


def _describe_voxel(checkpoint: Checkpoint, axis: int) -> dict[str, Any]:
    if checkpoint.units is None:
        return {}
    return {"unit": checkpoint.units, "scale": checkpoint.spacing[axis]}


def _make_test_image(shape: Size3, intensity: Intensity | None) -> NDArray[np.float32]:
    """Draw smooth noise over the range of grey values; always the same."""
    noise = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=shape), 1.5)
    ranks = (noise - noise.min()) / np.ptp(noise)
    low, high = (0.0, 255.0) if intensity is None else (intensity.low, intensity.high)
    return np.asarray(low + ranks * (high - low), np.float32)[None, None]


def _normalise(image: NDArray[np.float32], intensity: Intensity | None) -> NDArray[np.float32]:
    if intensity is None:
        return np.asarray((image - image.mean()) / image.std(), np.float32)
    low, high = intensity.low, intensity.high
    values = np.clip((image - low) / (high - low), 0, 1)
    return np.asarray((values - intensity.mean) / intensity.std, np.float32)


def _fit_name(title: str) -> str:
    """Leave out what the format's names may not hold; 5 to 128 characters."""
    kept = "".join(c if c.isascii() and (c.isalnum() or c in " _-()+") else " " for c in title)
    name = " ".join(kept.split())[:100].strip()
    return name if len(name) >= 5 else f"surfaces {name}".strip()


def _test(package: Path) -> None:
    from bioimageio.core import test_model

    summary = test_model(package)
    if summary.status != "passed":
        reasons = [
            error.msg.strip().split("\n", 1)[0]
            for detail in summary.details
            for error in detail.errors
        ]
        raise OutputError(
            "The package does not pass the test of bioimageio.core: "
            f"{(reasons or [summary.status])[0].rstrip('.')}; share the network as a MONAI bundle."
        )


@contextlib.contextmanager
def _quiet_log() -> Any:
    """Leave out what the library logs to the terminal while it works."""
    from loguru import logger

    logger.disable("bioimageio")
    try:
        yield
    finally:
        logger.enable("bioimageio")
