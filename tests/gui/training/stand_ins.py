"""Stand-ins for the views, the session and the threads: plain Python, no window, no Qt widgets."""

import sys
from dataclasses import replace
from types import SimpleNamespace
from unittest.mock import Mock

from napari_surfseg.errors import SurfsegError
from napari_surfseg.gui.controls.source_choice import PairChoice
from napari_surfseg.gui.run_session.session import Session


class FakeSignal:
    """A signal that calls its slots in place."""

    def __init__(self):
        self.slots = []

    def connect(self, slot):
        self.slots.append(slot)

    def disconnect(self, slot):
        self.slots.remove(slot)

    def emit(self, *values):
        for slot in list(self.slots):
            slot(*values)


def find_protocol(protocol, name):
    """Find the protocol that another one names as the type of a part."""
    return getattr(sys.modules[protocol.__module__], name)


def mock_view(protocol):
    """Make a mock of a view that knows nothing but its protocol, with signals that can be emitted.

    Its parts that have a protocol of their own are mocks of that.
    """
    view = Mock(spec=protocol)
    for name in dir(protocol):
        member = getattr(protocol, name)
        if not isinstance(member, property):
            continue
        kind = member.fget.__annotations__["return"]
        if kind in {"Intent", "Any"}:
            setattr(view, name, FakeSignal())
        elif kind.endswith("Protocol"):
            setattr(view, name, mock_view(find_protocol(protocol, kind)))
    return view


def mock_session(**values):
    """Make a mock of a session that follows no run, with signals that can be emitted."""
    session = Mock(spec=Session)
    for name in ("attached", "worker_replaced", "polled", "previews_changed", "follow_failed"):
        assert hasattr(Session, name)
        setattr(session, name, FakeSignal())
    session.configure_mock(
        **{
            "snapshot": None, "run_dir": None, "is_active": False, "is_own": True, "linked": (),
            **values,
        }
    )  # fmt: skip
    return session


class JobsInPlace:
    """Does in place what the window does in threads."""

    def start(self, _name, work, *, done, failed, progressed=None):
        job = SimpleNamespace(
            is_cancelled=lambda: False, report=progressed or (lambda _share: None)
        )
        try:
            outcome = work(job)
        except SurfsegError as error:
            failed(error)
        else:
            done(outcome)

    def cancel_all(self):
        """Nothing is under way."""


class Pairs:
    """The pairs that a mocked data page shows, as the real page would keep them."""

    def __init__(self, page):
        self.page = page
        self.shown = [PairChoice(None, None)]
        self.by_hand = (False, False)
        page.pairs.side_effect = lambda: tuple(self.shown)
        page.chosen_by_hand.side_effect = lambda _number: self.by_hand
        page.set_image.side_effect = lambda number, choice: self.change(number, image=choice)
        page.set_labels.side_effect = lambda number, choice: self.change(number, labels=choice)
        page.lost_layers.return_value = []
        page.many_choices.return_value = page.many_labels.return_value = ()

    def change(self, number, **changes):
        self.shown[number] = replace(self.shown[number], **changes)


def members_of(protocol):
    """List the public members of a protocol, inherited ones too."""
    return [name for name in dir(protocol) if not name.startswith("_")]


def parts_of(view, protocol):
    """List a widget with its protocol, and those of its parts that have one of their own."""
    yield view, protocol
    for name in members_of(protocol):
        member = getattr(protocol, name)
        kind = member.fget.__annotations__["return"] if isinstance(member, property) else ""
        if kind.endswith("Protocol"):
            yield from parts_of(getattr(view, name), find_protocol(protocol, kind))
