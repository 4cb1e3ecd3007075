"""What painting needs of the page on which volumes and labels are chosen, and of the buttons.

The page belongs to the training dock, which is built on top of this folder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from napari_surfseg.gui.controls.source_choice import PairChoice, SourceChoice
    from napari_surfseg.gui.strokes.brush_buttons import StrokeTool

__all__ = ["BrushButtonsProtocol", "PaintedPageProtocol"]


class PaintedPageProtocol(Protocol):
    """The pairs of volume and labels that a run will learn from."""

    @property
    def paint_requested(self) -> Any:
        """Signal: a person wants to begin to paint."""

    @property
    def pairs_changed(self) -> Any:
        """Signal: a person chose another volume, labels or role."""

    @property
    def meanings_shown(self) -> Any:
        """Signal: label values or meanings on display are new."""

    def pairs(self) -> tuple[PairChoice, ...]:
        """Return the pairs as chosen."""

    def meanings(self) -> dict[int, str]:
        """Return what each label value means."""

    def add_pair(self) -> object:
        """Add an empty pair at the end."""

    def choose(
        self, number: int, *, image: SourceChoice | None = None, labels: SourceChoice | None = None
    ) -> None:
        """Choose for a pair as if a person had, with ``pairs_changed``."""

    def set_pairs_error(self, message: str) -> None:
        """Show what is wrong with the pairs; empty hides it."""

    def say(self, text: str) -> None:
        """Say something about the pairs that is no error; empty hides it."""


class BrushButtonsProtocol(Protocol):
    """A button for each meaning that can be painted."""

    @property
    def chosen(self) -> Any:
        """Signal: a person wants to paint a label value, which it carries."""

    def set_tools(self, tools: dict[str, StrokeTool], active: str | None) -> None:
        """Show what can be painted, by meaning, and which of it the brush paints now."""
