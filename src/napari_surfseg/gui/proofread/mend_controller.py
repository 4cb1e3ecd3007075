"""What a decision at a place does: mends the layer, writes it down, and can be taken back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from napari.layers import Labels
from qtpy.QtCore import QObject, Signal

from napari_surfseg.errors import DataError, SurfsegError
from napari_surfseg.gui.background.signals import disconnect
from napari_surfseg.gui.controls.debounce import Debounce
from napari_surfseg.gui.layers.layer_volume import take_layer
from napari_surfseg.gui.proofread.editable_copy import build_editable_layer, copy_voxels
from napari_surfseg.gui.proofread.listing import Listing
from napari_surfseg.gui.proofread.record_place import RECORD_KEY, find_record_path
from napari_surfseg.gui.proofread.result_layer import (
    ResultLayer,
    build_unsure_layer,
    require_editable,
)
from napari_surfseg.gui.window import preferences
from napari_surfseg.proofreading.edit import MEND_KINDS, Edit
from napari_surfseg.proofreading.mends import MENDS
from napari_surfseg.proofreading.record import Decision, MendRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel
    from napari.layers import Layer
    from numpy.typing import NDArray

    from napari_surfseg.gui.background.threads import Job, Jobs
    from napari_surfseg.gui.proofread.listing import State
    from napari_surfseg.proofreading.edit import MendKind

__all__ = ["MendController", "MendViewProtocol", "Mended"]

#: Of the newest mends, so many are looked at after an undo.
WATCHED = 20
#: An undo is looked for when the layer has not been drawn again for so long.
REST_MILLISECONDS = 150

WHAT_WAS_DONE = {
    "remove piece": "Removed",
    "fill hole": "Filled",
    "cut bridge": "Cut",
    "join ends": "Joined",
    "follow labels": "Made as labelled",
    "mark unsure": "Marked as unsure",
}


class MendViewProtocol(Protocol):
    """What the controller needs of the dock's widgets."""

    @property
    def action_clicked(self) -> Any:
        """Signal: a person wants something done at the place; carries the action."""

    @property
    def teach_clicked(self) -> Any:
        """Signal: a person wants the network to learn what was decided."""

    def current(self) -> int | None:
        """Return the index of the place that is shown, in the whole list."""

    def set_states(self, states: Sequence[State]) -> None:
        """Show what was decided at each place."""

    def select(self, index: int) -> None:
        """Go to a place of the whole list, if it is among those that are listed."""

    def go_on(self, index: int) -> None:
        """Go to the next open place after one of the whole list; from the last to the first."""

    def step(self, step: int) -> None:
        """Go to the row above or below."""

    def set_can_mend(self, *, place: bool, undo: bool, teach: bool, labels: bool) -> None:
        """Say which buttons can be pressed."""

    def set_can_copy(self, can: bool) -> None:
        """Offer to make a copy that can be mended, or not."""

    def set_mend_message(self, text: str) -> None:
        """Say what came of it; empty hides the line."""

    def show_error(self, message: str, field: str | None = None) -> None:
        """Show a sentence."""


@dataclass(frozen=True, eq=False)
class Mended:
    """What is mended, and what helps: layers that lie over each other voxel by voxel.

    Attributes
    ----------
    layer : Layer or None
        The result; None for a file.
    name : str
        What sentences call it.
    probabilities, labels : array-like, optional
        Of the same shape; labels with 1 on the surface, 0 beside it, 2 not annotated.
    """

    layer: Layer | None
    name: str
    probabilities: Any = None
    labels: Any = None


class MendController(QObject):
    """Carries decisions out; it needs no window.

    Parameters
    ----------
    viewer : ViewerModel
        Where the layers are.
    view : MendViewProtocol
        Passive.
    jobs : Jobs
        Computes mends, in a thread.
    """

    changed = Signal()
    """Something was decided, or taken back."""

    def __init__(self, viewer: ViewerModel, view: MendViewProtocol, jobs: Jobs) -> None:
        super().__init__()
        self._viewer = viewer
        self._view = view
        self._jobs = jobs
        self.listing = Listing()
        self.record: MendRecord | None = None
        self.what: Mended | None = None
        self.result: ResultLayer | None = None
        self._unsure: ResultLayer | None = None
        #: Decisions of this session that can be taken back, and those that were, the newest last.
        self._done: list[Decision] = []
        self._taken_back: list[Decision] = []
        self._is_mending = False
        self._is_copying = False
        self._is_changing = False
        self._rest = Debounce(self, REST_MILLISECONDS, self._look_for_undo)
        view.action_clicked.connect(self.act)

    def close(self) -> None:
        """Let go of the layers."""
        self._rest.stop()
        self._jobs.cancel("copy")
        self._leave()

    @property
    def is_mending(self) -> bool:
        """Whether a mend is being computed."""
        return self._is_mending

    # -- the list ------------------------------------------------------------------

    def begin(self, places: Sequence[Any], what: Mended) -> str:
        """Take a new list; what was decided before stays decided.

        Returns
        -------
        str
            A sentence about what was decided before, or ``""``.
        """
        self._leave()
        self.what, self.record = what, None
        self._view.set_can_copy(False)
        self._done, self._taken_back = [], []
        said = ""
        if what.layer is not None:
            folder = preferences.read_preferences().runs_path / "proofreading"
            try:
                self.record = MendRecord(find_record_path(what.layer, folder))
            except SurfsegError as error:
                self._view.show_error(str(error))
            self._follow(what.layer)
            said = self._repeat()
        self.listing = Listing(places, self.record)
        self._done = [one for one in self.listing.decisions if one is not None]
        self._done.sort(key=lambda decision: decision.time)
        self._show()
        chosen = self._viewer.layers.selection.active
        if self.result is not None and not isinstance(chosen, Labels):
            # So that Ctrl+Z undoes mends; who paints on another layer goes on with that.
            self._viewer.layers.selection.active = self.result.layer
        if places and self.listing.num_decided < len(places):
            self._view.go_on(-1)
        return said

    def _follow(self, layer: Layer) -> None:
        try:
            labels = require_editable(layer, layer.name)
        except DataError:
            self._view.set_can_copy(isinstance(layer, Labels))
            return  # said when a mend is wanted
        self.result = ResultLayer(labels)
        # An undo shows only in the slice being drawn again.
        labels.events.set_data.connect(self._on_redrawn)

    def _leave(self) -> None:
        if self.result is not None:
            disconnect(self.result.layer.events.set_data, self._on_redrawn)
        self.result = self._unsure = None

    def _repeat(self) -> str:
        """Make the mends of an earlier session again in a layer that does not have them."""
        if self.record is None or self.result is None:
            return ""
        edits = [one.edit for one in self.record.decisions if one.edit is not None]
        missing = [
            edit
            for edit in edits
            if edit.kind != "mark unsure" and self.result.has(edit, before=True)
        ]
        self._change(self.result, missing)
        unsure = [edit for edit in edits if edit.kind == "mark unsure"]
        if unsure:
            self._change(self._find_unsure(), unsure)
        if not missing:
            return ""
        count = len(missing)
        return f"{count} {'mend' if count == 1 else 'mends'} of an earlier session made again."

    # -- deciding ------------------------------------------------------------------

    def act(self, action: str) -> None:
        """Do what a button or key says."""
        if action in ("next", "previous"):
            self._view.step(1 if action == "next" else -1)
        elif action == "undo":
            self.undo()
        elif action == "copy":
            self.copy_result()
        elif action == "accept":
            self.accept()
        elif action == "reject":
            index = self._view.current()
            if index is not None:
                self.mend(self.listing.propose(index))
        elif action in MEND_KINDS:
            self.mend(action)

    def accept(self) -> None:
        """Say that the surface is right at the place, and go on."""
        index = self._find_current()
        if index is None or self._is_mending:
            return
        if self._decide(index, Decision(self.listing.notes[index], "accept")):
            self._view.set_mend_message("")
            self._view.go_on(index)

    def mend(self, kind: MendKind) -> None:
        """Mend the place, in a thread, and go on."""
        index = self._find_current()
        if index is None or self._is_mending or self.what is None:
            return
        self._view.show_error("")
        what = self.what
        try:
            labels = require_editable(self._find_layer(), what.name)
            if self.result is None:
                self._follow(labels)
            if kind == "follow labels" and what.labels is None:
                raise DataError("No labels are chosen, so there is nothing to follow.")
        except DataError as error:
            self._view.show_error(str(error), error.field)
            return
        result = self.result
        if result is None:
            return
        data, place = result.data, self.listing.places[index]
        help_ = what.labels if kind == "follow labels" else what.probabilities

        def work(_job: Job) -> Edit:
            return MENDS[kind](data, place, help_)

        def done(edit: Edit) -> None:
            self._is_mending = False
            self._apply(index, edit)

        def failed(error: SurfsegError) -> None:
            self._is_mending = False
            self._view.set_mend_message("")
            self._view.show_error(str(error))

        self._is_mending = True
        self._jobs.start("mend", work, done=done, failed=failed)

    def _apply(self, index: int, edit: Edit) -> None:
        result = self._find_unsure() if edit.kind == "mark unsure" else self.result
        if result is None or index >= len(self.listing.notes):
            return  # the layer or the list went meanwhile
        if edit.kind != "mark unsure" and not result.has(edit, before=True):
            self._view.show_error("The layer was changed meanwhile; try again.")
            return
        if not self._decide(index, Decision(self.listing.notes[index], "mend", edit)):
            return
        self._change(result, [edit])
        count = edit.num_changed
        self._view.set_mend_message(
            f"{WHAT_WAS_DONE[edit.kind]}: {count:,} {'voxel' if count == 1 else 'voxels'} at "
            f"{', '.join(map(str, edit.location))}."
        )
        self._view.go_on(index)

    def _decide(self, index: int, decision: Decision) -> bool:
        """Write a decision down; one that the place had before is taken back first."""
        if self.record is None:
            self._view.show_error("Choose a layer as the prediction to decide on its places.")
            return False
        earlier = self.listing.decisions[index]
        try:
            if earlier is not None:
                self._take_back(earlier)
            self.record.add(decision)
        except SurfsegError as error:
            self._view.show_error(str(error))
            self._show()
            return False
        self.listing.decide(index, decision)
        self._done.append(decision)
        self._taken_back = []
        self._show()
        return True

    # -- taking back ---------------------------------------------------------------

    def undo(self) -> None:
        """Take the newest decision back, and go to its place."""
        if not self._done or self._is_mending:
            return
        self._view.show_error("")
        decision = self._done[-1]
        try:
            index = self._take_back(decision)
        except SurfsegError as error:
            self._view.show_error(str(error))
            return
        self._view.set_mend_message("Taken back.")
        self._show()
        if index is not None:
            self._view.select(index)

    def _take_back(self, decision: Decision) -> int | None:
        """Undo a decision in the record, the list and the layer."""
        if self.record is None:
            return None
        self.record.undo(decision)
        self._done = [one for one in self._done if one.id != decision.id]
        edit = decision.edit
        if edit is not None:
            result = self._find_unsure() if edit.kind == "mark unsure" else self.result
            if result is not None and result.holds(edit.box):
                self._is_changing = True
                try:
                    result.revert(edit)
                finally:
                    self._is_changing = False
        return self.listing.reopen(decision)

    def _on_redrawn(self, _event: Any = None) -> None:
        if not self._is_changing and (self._done or self._taken_back):
            self._rest.start()

    def _look_for_undo(self) -> None:
        """See whether napari's undo or redo took a mend back, or made one again."""
        result, record = self.result, self.record
        if result is None or record is None:
            return
        changed: int | None = None
        try:
            for decision in [one for one in self._done[-WATCHED:] if _edits_result(one)]:
                if decision.edit is not None and result.has(decision.edit, before=True):
                    record.undo(decision)
                    self._done.remove(decision)
                    self._taken_back.append(decision)
                    changed = self.listing.reopen(decision)
            for decision in self._taken_back[-WATCHED:]:
                if decision.edit is not None and result.has(decision.edit):
                    record.add(decision)
                    self._taken_back.remove(decision)
                    self._done.append(decision)
                    if decision.place in self.listing.notes:
                        index = self.listing.notes.index(decision.place)
                        self.listing.decide(index, decision)
        except SurfsegError as error:
            self._view.show_error(str(error))
        self._show()
        if changed is not None:
            self._view.select(changed)

    # -- layers --------------------------------------------------------------------

    def copy_result(self) -> None:
        """Make a copy of a layer that cannot be mended, in a thread, and go on with that."""
        what, record = self.what, self.record
        layer = what.layer if what is not None else None
        if what is None or layer is None or record is None or self._is_copying:
            return
        self._view.show_error("")
        volume = take_layer(layer)
        path = record.path.with_name(f"{record.path.name.removesuffix('.jsonl')}.npy")

        def work(job: Job) -> NDArray[Any]:
            return copy_voxels(volume, path, job)

        def done(voxels: NDArray[Any]) -> None:
            self._is_copying = False
            copy = build_editable_layer(layer, voxels)
            copy.metadata[RECORD_KEY] = str(record.path)
            layer.visible = False
            self._viewer.layers.append(copy)
            said = self.begin(self.listing.places, replace(what, layer=copy, name=copy.name))
            self._view.set_mend_message(f"{copy.name!r} can be mended. {said}".strip())

        def failed(error: SurfsegError) -> None:
            self._is_copying = False
            self._view.set_mend_message("")
            self._view.show_error(str(error))

        def progressed(share: float) -> None:
            self._view.set_mend_message(f"Copying the layer… {share:.0%}")

        self._is_copying = True
        self._jobs.start("copy", work, done=done, failed=failed, progressed=progressed)

    def _change(self, result: ResultLayer, edits: list[Edit]) -> None:
        self._is_changing = True
        try:
            result.apply(edits)
        finally:
            self._is_changing = False

    def _find_layer(self) -> Labels | None:
        layer = self.what.layer if self.what is not None else None
        return layer if layer is not None and layer in self._viewer.layers else None

    def _find_unsure(self) -> ResultLayer:
        """Return the layer of what is unsure, made at first use and again when it was deleted."""
        if self._unsure is None or self._unsure.layer not in self._viewer.layers:
            if self.result is None:
                raise DataError("There is no layer to mark anything on.")
            active = self._viewer.layers.selection.active
            layer = build_unsure_layer(self.result.layer)
            self._viewer.layers.append(layer)
            # The new layer would take the brush and the keys.
            self._viewer.layers.selection.active = active
            self._unsure = ResultLayer(layer)
        return self._unsure

    def unsure_voxels(self) -> Any:
        """Return the mask of what is unsure; None where nothing is."""
        unsure = self._unsure
        if unsure is None or not np.any(unsure.data):
            return None
        return unsure.data

    def _find_current(self) -> int | None:
        index = self._view.current()
        return index if index is not None and index < len(self.listing.places) else None

    def show(self) -> None:
        """Bring the view up to date: another place is shown."""
        self._show()

    def _show(self) -> None:
        self._view.set_states(self.listing.states)
        has_labels = self.what is not None and self.what.labels is not None
        self._view.set_can_mend(
            place=self._find_current() is not None and self.record is not None,
            undo=bool(self._done),
            teach=self.listing.num_decided > 0 or bool(self._done),
            labels=has_labels,
        )
        self.changed.emit()


def _edits_result(decision: Decision) -> bool:
    return decision.edit is not None and decision.edit.kind != "mark unsure"
