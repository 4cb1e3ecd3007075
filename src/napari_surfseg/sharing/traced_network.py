"""A network as a graph: ONNX and TorchScript, both for volumes of any size that it takes."""

from __future__ import annotations

import io
import warnings
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_surfseg.errors import OutputError
from napari_surfseg.geometry import to_index
from napari_surfseg.sharing.plain_source import write_network_source

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_surfseg.geometry import Size3
    from napari_surfseg.model.checkpoint import Checkpoint

__all__ = ["PlainNetwork", "run_onnx", "trace_torchscript", "write_onnx_graph"]

#: By how much the graph's logits may differ from the network's, as a share of their range.
TOLERANCE = 1e-3
#: Names of what goes in and comes out.
INPUT, OUTPUT = "image", "logits"


@dataclass(frozen=True)
class PlainNetwork:
    """A network that can be traced, and what sizes it takes.

    Attributes
    ----------
    module : Module
        In evaluation mode, (B, 1, Z, Y, X) to logits of that shape.
    numbers : dict
        What :func:`~.plain_network.build_network` builds it from.
    source : str
        Of what builds it.
    patch : tuple of int
        Edges of a patch in training.
    multiple : tuple of int, optional
        By what the edges must be divisible; None where a patch is the one size it takes.
    example : Tensor
        An input.
    """

    module: torch.nn.Module
    numbers: dict[str, Any]
    source: str
    patch: Size3
    multiple: Size3 | None
    example: torch.Tensor

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> PlainNetwork:
        """Build it from a checkpoint."""
        network = checkpoint.build_model("cpu")
        multiple = network.architecture.window_multiple
        # Edges of their own, so that no size is taken for another one or for a constant.
        edges = _choose_edges(checkpoint.patch_size, multiple, (2, 3, 2))
        generator = torch.Generator().manual_seed(0)
        numbers = asdict(network.architecture)
        source = write_network_source(network)
        return cls(
            network,
            numbers,
            source,
            checkpoint.patch_size,
            multiple,
            torch.randn(2, 1, *edges, generator=generator),
        )

    def choose_edges(self, counts: Size3) -> Size3:
        """Give edges that the network takes, so many multiples long where it can choose."""
        return _choose_edges(self.patch, self.multiple, counts)

    @torch.inference_mode()
    def compute(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Compute logits."""
        found: NDArray[np.float32] = self.module(torch.from_numpy(values)).numpy()
        return found


def write_onnx_graph(path: Path, network: PlainNetwork, texts: dict[str, str]) -> None:
    """Write a network as ONNX and compare what it computes.

    Parameters
    ----------
    path : Path
        The file.
    network : PlainNetwork
        What is written.
    texts : dict of str
        Kept in the file.

    Raises
    ------
    OutputError
        If the network cannot be written so, or computes something else then.
    """
    import onnx

    free = (0,) if network.multiple is None else (0, 2, 3, 4)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the exporter, on itself
            program: Any = torch.onnx.export(
                network.module,
                (network.example,),
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_shapes=(dict.fromkeys(free, torch.export.Dim.DYNAMIC),),
                dynamo=True,
                verbose=False,
            )
            model = program.model_proto
    except Exception as error:  # noqa: BLE001 - an exporter may raise anything
        reason = str(error).strip().split("\n", 1)[0].rstrip(".")
        raise OutputError(
            f"The network cannot be written as ONNX ({type(error).__name__}: {reason}); share it "
            "as a MONAI bundle."
        ) from None
    for key, value in texts.items():
        model.metadata_props.add(key=key, value=value)
    onnx.save(model, str(path))
    # Of another size than the one that was traced.
    edges = network.choose_edges((3, 2, 4))
    values = np.random.default_rng(1).normal(size=(1, 1, *edges)).astype(np.float32)
    expected, found = network.compute(values), run_onnx(path, values)
    difference = float(np.abs(expected - found).max())
    if not difference <= TOLERANCE * max(1.0, float(np.ptp(expected))):
        raise OutputError(
            f"The network computes something else as ONNX: its logits differ by {difference:.2g}; "
            "share it as a MONAI bundle."
        )


def run_onnx(path: Path, values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Compute logits with ONNX Runtime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    found: Any = session.run([OUTPUT], {INPUT: values})[0]
    return np.asarray(found, np.float32)


def trace_torchscript(network: PlainNetwork) -> bytes | None:
    """Return a network as TorchScript, or None where this torch or network has none."""
    buffer = io.BytesIO()
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # sizes are compared while tracing, which is meant
            traced = torch.jit.trace(network.module, network.example)  # type: ignore[no-untyped-call]
            torch.jit.save(traced, buffer)
    except Exception:  # noqa: BLE001 - what is going out of use may fail in any way
        return None
    return buffer.getvalue()


def _choose_edges(patch: Size3, multiple: Size3 | None, counts: Size3) -> Size3:
    if multiple is None:
        return patch
    return to_index(edge * count for edge, count in zip(multiple, counts, strict=True))
