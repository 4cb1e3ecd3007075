"""A process that computes the gradients of its part of each batch for the one that leads.

    python -m napari_surfseg.training.follower      with the environment that torchrun sets

It opens the same volumes, cuts the patches that fall to it, and waits for orders. It writes
nothing: no events, no checkpoints; what goes wrong here is reported by the process that leads.
"""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING, Any

from napari_surfseg.training.rank_place import find_place, quiet_libraries

if TYPE_CHECKING:
    from napari_surfseg.training.part import Part
    from napari_surfseg.training.ranks import Ranks

__all__ = ["follow"]

#: Ctrl-C reaches all processes of a terminal: the one that leads decides what becomes of it.
LEFT_TO_THE_LEADER = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")


def follow() -> int:
    """Follow the process that leads until it ends; return an exit code."""
    quiet_libraries()
    place = find_place()
    if place is None or place.leads:
        return 2
    # Imported only here: torch takes seconds to import.
    from napari_surfseg.training.rank_processes import find_device, find_store
    from napari_surfseg.training.ranks import RankLostError, Ranks

    for name in LEFT_TO_THE_LEADER:
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    try:
        ranks = Ranks(place, find_store())
        try:
            ranks.answer("here")
            ranks.connect(find_device(ranks.next_order()["device"], place))
            _carry_out_orders(ranks)
        finally:
            ranks.close()
    except RankLostError:  # the one that leads has said why, or is gone
        return 1
    return 0


def _carry_out_orders(ranks: Ranks) -> None:
    from napari_surfseg.errors import SurfsegError
    from napari_surfseg.training.part import Part

    order = ranks.next_order()
    if order["kind"] == "end":
        return
    try:
        part = Part(ranks, order)
    except Exception as error:  # noqa: BLE001 - the one that leads reports it
        is_known = isinstance(error, SurfsegError)
        ranks.answer("ready", str(error) if is_known else f"{type(error).__name__}: {error}")
        while ranks.next_order()["kind"] != "end":
            pass
        return
    ranks.answer("ready")
    with part:
        while (order := ranks.next_order())["kind"] != "end":
            _carry_out(part, order)


def _carry_out(part: Part, order: dict[str, Any]) -> None:
    if order["kind"] == "step":
        part.take_step(order)
    elif order["kind"] == "strokes":
        part.take_strokes(order)


if __name__ == "__main__":
    sys.exit(follow())
