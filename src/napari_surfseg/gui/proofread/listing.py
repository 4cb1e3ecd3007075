"""The places of one list and what was decided at each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from napari_surfseg.metrics.error_table import TopologyError
from napari_surfseg.proofreading.mends import propose_mend
from napari_surfseg.proofreading.places import DoubtfulPlace
from napari_surfseg.proofreading.record import note_place

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_surfseg.proofreading.edit import MendKind
    from napari_surfseg.proofreading.record import DecidedPlace, Decision, MendRecord

__all__ = ["Listed", "Listing", "State", "count_names"]

Listed: TypeAlias = TopologyError | DoubtfulPlace
State = Literal["", "right", "mended", "unsure"]


class Listing:
    """A list of errors or of doubtful places, with the state of each.

    Parameters
    ----------
    places : sequence
        What matters most first.
    record : MendRecord, optional
        What was decided before.
    """

    def __init__(self, places: Sequence[Listed] = (), record: MendRecord | None = None) -> None:
        self.places: list[Any] = list(places)
        self.notes: list[DecidedPlace] = [note_place(place) for place in places]
        self.decisions: list[Decision | None] = [
            record.find(note) if record is not None else None for note in self.notes
        ]

    @property
    def states(self) -> list[State]:
        """Of each place."""
        return [_state_of(decision) for decision in self.decisions]

    @property
    def num_decided(self) -> int:
        """How many places are decided."""
        return sum(decision is not None for decision in self.decisions)

    def propose(self, index: int) -> MendKind:
        """Return the mend for a place, where it is wrong."""
        return propose_mend(self.places[index].name)

    def decide(self, index: int, decision: Decision) -> None:
        """Note what was decided at a place."""
        self.decisions[index] = decision

    def reopen(self, decision: Decision) -> int | None:
        """Open the place of a decision again; returns its index, if it is in the list."""
        for index, other in enumerate(self.decisions):
            if other is not None and other.id == decision.id:
                self.decisions[index] = None
                return index
        return None


def _state_of(decision: Decision | None) -> State:
    if decision is None:
        return ""
    if decision.is_unsure:
        return "unsure"
    return "right" if decision.choice == "accept" else "mended"


def count_names(places: Sequence[Listed]) -> dict[str, int]:
    """Count places by the name that is shown, the most frequent first."""
    counts: dict[str, int] = {}
    for place in places:
        counts[place.name] = counts.get(place.name, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: -item[1]))
