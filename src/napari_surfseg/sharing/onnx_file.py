"""A network as one ONNX file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from napari_surfseg.model.checkpoint import describe_checkpoint
from napari_surfseg.sharing.facts import NetworkFacts
from napari_surfseg.sharing.traced_network import PlainNetwork, write_onnx_graph

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_surfseg.model.checkpoint import Checkpoint
    from napari_surfseg.sharing.settings import ShareSettings

__all__ = ["write_onnx"]


def write_onnx(
    path: Path,
    checkpoint: Checkpoint,
    settings: ShareSettings,
    report: Callable[[str, float], None] = lambda _stage, _share: None,
) -> None:
    """Write an ONNX file.

    Its input ``image`` is (1, 1, Z, Y, X) float32, normalised: ``(grey - low) / (high - low)``,
    cut to 0 to 1, less ``mean``, divided by ``std``. Its output ``logits`` has that shape. The
    numbers are texts in the file's properties.

    Parameters
    ----------
    path, checkpoint, settings, report
        As for :func:`~napari_surfseg.sharing.monai_bundle.write_bundle`.

    Raises
    ------
    OutputError
        If the network cannot be written so.
    """
    facts = NetworkFacts.of(checkpoint, settings)
    report("writing the network as ONNX", 0.0)
    texts = {
        "title": facts.title,
        "description": facts.description,
        "authors": ", ".join(facts.authors),
        "licence": facts.licence,
        "napari_surfseg": json.dumps(describe_checkpoint(checkpoint)),
    }
    write_onnx_graph(path, PlainNetwork.of(checkpoint), texts)
    report("writing the network as ONNX", 1.0)
