"""A launcher as the window offers it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["LauncherChoice"]


@dataclass(frozen=True)
class LauncherChoice:
    """A launcher as it is offered.

    Attributes
    ----------
    name, title : str
        By which it is found, and what a person calls it.
    error : str
        Why it cannot be chosen; empty if it can.
    """

    name: str
    title: str
    error: str = ""
