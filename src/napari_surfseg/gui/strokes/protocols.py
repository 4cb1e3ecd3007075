"""What the controllers of strokes need of their views; a mock of these takes part in their tests.

The page on which volumes are chosen belongs to the training dock, which is built on top of this
folder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from napari_surfseg.gui.controls.source_choice import PairChoice, SourceChoice
    from napari_surfseg.gui.strokes.brush import BrushButton

__all__ = ["BrushButtonsProtocol", "PaintedPageProtocol", "StrokesPanelProtocol"]


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

    def set_buttons(self, shown: dict[str, BrushButton], active: str | None) -> None:
        """Show what can be painted, by meaning, and which of it the brush paints now."""


class StrokesPanelProtocol(Protocol):
    """How strokes reach the run, as a person sees and steers it."""

    @property
    def brush(self) -> BrushButtonsProtocol:
        """What the brush paints."""

    @property
    def send_clicked(self) -> Any:
        """Signal: send what was painted now."""

    @property
    def open_clicked(self) -> Any:
        """Signal: open what the run learns from."""

    @property
    def automatic_toggled(self) -> Any:
        """Signal: send when the brush rests, or not; carries which."""

    def is_automatic(self) -> bool:
        """Whether strokes are to be sent when the brush rests."""

    def set_shown(self, shown: bool) -> None:
        """Show how strokes reach the run, or hide it."""

    def set_can_send(self, can_send: bool) -> None:
        """Offer to send, or not."""

    def set_can_open(self, can_open: bool, *, busy: bool = False) -> None:
        """Offer to open what the run learns from, or not."""

    def set_state(self, text: str) -> None:
        """Say where the strokes are."""

    def set_error(self, message: str) -> None:
        """Say why strokes were not taken; empty hides it."""
