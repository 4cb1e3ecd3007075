"""A network built from plain numbers: what the source beside shared weights offers."""

from __future__ import annotations

from typing import Any

from napari_surfseg.model.network import SurfaceUNet
from napari_surfseg.model.presets import Architecture

__all__ = ["build_network"]


def build_network(**numbers: Any) -> SurfaceUNet:
    """Build the network; its weights are to be loaded.

    Parameters
    ----------
    **numbers
        Fields of :class:`Architecture`; lists stand for tuples, as they come from JSON.
    """
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in numbers.items()
    }
    return SurfaceUNet(Architecture(**values))
