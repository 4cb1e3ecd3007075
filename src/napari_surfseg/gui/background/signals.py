"""Signals of Qt and events of napari."""

from __future__ import annotations

import contextlib
from typing import Any

__all__ = ["disconnect"]


def disconnect(signal: Any, slot: Any) -> None:
    """Disconnect a slot from a signal or event; nothing happens where it is not connected."""
    with contextlib.suppress(TypeError, ValueError, RuntimeError):
        signal.disconnect(slot)
