"""What the controllers of the training dock know of its view: setters, readers and signals.

A controller takes one of these and never a widget, so that its tests need no window: a
``Mock(spec=...)`` stands for the view. The widgets that satisfy them are ``view.py``, the pages
and ``run_panel.py``; signals are properties here so that a mock has them too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from napari_surfseg.gui.background.process_job import JobView
from napari_surfseg.gui.strokes.protocols import PaintedPageProtocol, StrokesPanelProtocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from napari.layers import Layer

    from napari_surfseg.geometry import Size3
    from napari_surfseg.gui.controls.source_choice import SourceChoice
    from napari_surfseg.gui.training.form import TrainingForm
    from napari_surfseg.gui.training.launcher_choice import LauncherChoice
    from napari_surfseg.gui.training.many_pairs import ManyChoice
    from napari_surfseg.runs.follow import RunSnapshot

__all__ = [
    "DataPageProtocol",
    "FirstLookProtocol",
    "Intent",
    "LossPageProtocol",
    "MeaningsProtocol",
    "NextStepsProtocol",
    "RunPanelProtocol",
    "TrainingViewProtocol",
]


class Intent(Protocol):
    """A signal of a view: what a person wants, or what changed by their hand."""

    def connect(self, slot: Callable[..., object], /) -> object:
        """Call a slot whenever it is emitted."""

    def disconnect(self, slot: Callable[..., object], /) -> object:
        """Call the slot no more."""

    def emit(self, *values: Any) -> None:
        """Call every slot."""


class MeaningsProtocol(Protocol):
    """What label values mean, and how often each occurs."""

    @property
    def is_manual(self) -> bool:
        """Whether a person said what values mean."""

    @property
    def counts(self) -> dict[int, int]:
        """Voxels of each value, as last counted; empty before."""

    @property
    def has_values(self) -> bool:
        """Whether any value is on display."""

    def meanings(self) -> dict[int, str]:
        """Return ``"foreground"``, ``"background"`` or ``"ignore"`` by value."""

    def scheme_name(self) -> str:
        """Return ``"dense"``, ``"strokes"`` or ``"custom"``."""

    def set_objects(self, counts: dict[int, int]) -> None:
        """Show that each value is an object of its own."""

    def forget_choice(self) -> None:
        """Take the meanings for a guess again."""

    def set_values(
        self,
        counts: dict[int, int],
        meanings: dict[int, str],
        colors: Mapping[int, tuple[float, float, float, float] | None],
    ) -> None:
        """Show the values that occur, how often, in which colour, and what they mean."""

    def set_counting(self, text: str) -> None:
        """Say what the counting is up to, or what was assumed; empty hides it."""

    def set_error(self, message: str) -> None:
        """Show what is wrong with the labels; empty hides it."""


class FirstLookProtocol(JobView, Protocol):
    """The offer to see what a network of the package finds."""

    @property
    def find_clicked(self) -> Intent:
        """Look for surfaces."""

    @property
    def cancel_clicked(self) -> Intent:
        """Look no more."""

    def offer(self, network: str | None) -> None:
        """Offer to look with a network of the package; None offers nothing."""


class DataPageProtocol(PaintedPageProtocol, Protocol):
    """The pairs of volume and labels, the validation box and the meanings of the labels."""

    @property
    def draw_box_requested(self) -> Intent:
        """A person wants to draw the validation box."""

    @property
    def many_changed(self) -> Intent:
        """Tables or patterns of pairs came or went."""

    def many_choices(self) -> tuple[ManyChoice, ...]:
        """Return the tables and patterns of pairs."""

    def set_many_state(
        self, choice: ManyChoice, text: str, *, error: str = "", labels: str = ""
    ) -> None:
        """Say how many pairs a table or pattern holds, and which labels are the first of them."""

    def many_labels(self) -> tuple[SourceChoice, ...]:
        """Return the first labels of each table or pattern."""

    @property
    def first_look(self) -> FirstLookProtocol:
        """The offer to see what a network of the package finds."""

    @property
    def labels(self) -> MeaningsProtocol:
        """What the label values mean."""

    def chosen_by_hand(self, number: int) -> tuple[bool, bool]:
        """Return whether a person chose a pair's volume and labels."""

    def set_image(self, number: int, choice: SourceChoice | None) -> None:
        """Show a guess of a pair's volume, without ``pairs_changed``."""

    def set_labels(self, number: int, choice: SourceChoice | None) -> None:
        """Show a guess of a pair's labels, without ``pairs_changed``."""

    def confirm(self) -> None:
        """Take every choice for a person's own."""

    def set_layers(
        self, images: Sequence[Layer], labels: Sequence[Layer], shapes: Sequence[Layer]
    ) -> None:
        """Offer these layers."""

    def lost_layers(self) -> list[str]:
        """Return a sentence for each chosen layer that is gone from the viewer."""

    def set_validation_box(self, choice: SourceChoice) -> None:
        """Choose the layer whose rectangle is the validation box."""


class LossPageProtocol(Protocol):
    """The weights of the loss terms."""

    @property
    def settled(self) -> Intent:
        """The weights have rested for a moment after a change; carries the weight of every term."""

    def weights(self) -> dict[str, float]:
        """Return the weight of every term; 0 for one switched off."""

    def set_weights(self, weights: dict[str, float]) -> None:
        """Show weights; what a person is changing right now stays."""


class NextStepsProtocol(Protocol):
    """What a run that has ended offers."""

    @property
    def predict_volume_clicked(self) -> Intent:
        """Predict the whole volume."""

    @property
    def predict_view_clicked(self) -> Intent:
        """Predict what is on the canvas."""

    @property
    def use_as_labels_clicked(self) -> Intent:
        """Make labels of the prediction."""

    @property
    def start_from_clicked(self) -> Intent:
        """Start the next run from this network."""

    @property
    def longer_clicked(self) -> Intent:
        """Train longer; carries how much, and ``"minutes"`` or ``"epochs"``."""

    def set_message(self, text: str) -> None:
        """Say what came of a step; empty hides it."""

    def set_error(self, message: str) -> None:
        """Say why a step was not taken; empty hides it."""


class RunPanelProtocol(Protocol):
    """The buttons, how far the run is, and how good."""

    @property
    def start_clicked(self) -> Intent:
        """Start a run."""

    @property
    def cancel_clicked(self) -> Intent:
        """Give up a start that is still copying."""

    @property
    def pause_clicked(self) -> Intent:
        """Pause the run."""

    @property
    def resume_clicked(self) -> Intent:
        """Continue a paused or ended run."""

    @property
    def stop_clicked(self) -> Intent:
        """Stop the run."""

    @property
    def save_clicked(self) -> Intent:
        """Write a checkpoint."""

    @property
    def preview_chosen(self) -> Intent:
        """Show an earlier preview; carries its index, or None for the newest."""

    @property
    def next_steps(self) -> NextStepsProtocol:
        """What a run that has ended offers."""

    def set_state(self, text: str) -> None:
        """Say how the run is."""

    def set_error(self, message: str) -> None:
        """Show what went wrong; empty hides it."""

    def set_can_cancel(self, can: bool) -> None:
        """Offer to give up what the window itself is doing."""

    def set_busy_progress(self, share: float) -> None:
        """Show how far the window's own work is."""

    def set_previews(self, indices: list[int]) -> None:
        """Offer these previews."""

    def set_shown_preview(self, text: str, tip: str = "") -> None:
        """Say which preview is on display, or why there is none."""

    def set_box_size(self, size: Size3) -> None:
        """Show the size of the live box."""

    def box_size(self) -> Size3:
        """Return Z, Y, X voxels of the live box."""


class TrainingViewProtocol(Protocol):
    """The whole of the training dock."""

    @property
    def form_changed(self) -> Intent:
        """Any setting but the length changed."""

    @property
    def length_changed(self) -> Intent:
        """A person changed how long to train."""

    @property
    def live_setting_changed(self) -> Intent:
        """A setting that a running training takes changed; carries its key."""

    @property
    def data(self) -> DataPageProtocol:
        """The page "Data"."""

    @property
    def loss(self) -> LossPageProtocol:
        """The page "Losses"."""

    @property
    def run(self) -> RunPanelProtocol:
        """The run panel."""

    @property
    def strokes(self) -> StrokesPanelProtocol:
        """What the brush paints, and whether the run has it."""

    def form(self) -> TrainingForm:
        """Read everything."""

    def setting(self, key: str) -> Any:
        """Read one of the settings behind "More"."""

    def set_folder(self, folder: Path) -> None:
        """Show where runs are made."""

    def set_device(self, device: str) -> None:
        """Show where to train."""

    @property
    def launchers_wanted(self) -> Intent:
        """A person looks at the choice of machines."""

    def set_launchers(self, choices: Sequence[LauncherChoice]) -> None:
        """Offer other machines to train on."""

    def set_launcher(self, name: str) -> None:
        """Choose another machine to train on."""

    def set_estimate(self, text: str) -> None:
        """Show what the network will be and need."""

    def set_patch_step(self, divisor: int) -> None:
        """Let the arrows of the patch size move by what the network divides by."""

    def set_network_error(self, message: str, field: str | None = None) -> None:
        """Show beside its control why the network cannot be built; empty hides it."""

    def set_patch_error(self, message: str) -> None:
        """Show why the patch does not fit the network; empty hides it."""

    def set_start_from(self, checkpoint: str, preset: str) -> None:
        """Let the network start from a checkpoint, with the preset that fits, and show both."""

    def set_automatic_start(self, network: str | None) -> None:
        """Say which network of the package a run starts from that names none."""

    def set_recent_starts(self, runs: Sequence[tuple[str, str]]) -> None:
        """Offer runs to start from: the folder and the name of each."""

    def set_start_note(self, text: str) -> None:
        """Say what is taken of the network that is started from."""

    def show_data_page(self) -> None:
        """Turn to the page with the volumes and labels."""

    def set_snapshot(self, snapshot: RunSnapshot | None, *, busy: str = "") -> None:
        """Show a run and fix what it does not let change."""

    def has_place_for(self, field: str) -> bool:
        """Whether a control of its own stands for a setting."""

    def show_error(self, message: str, field: str | None = None) -> None:
        """Show a sentence beside the control it concerns."""

    def clear_errors(self) -> None:
        """Take all sentences away."""
