"""What a person changed while a run went on, kept in ``last.pt`` for when it is resumed.

Between two versions of a setting the later decision wins: what was changed while the run went on
holds until the configuration itself is changed, by ``--set`` or by "Train longer".
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from napari_surfseg.training.schedule import Bounds
from napari_surfseg.vocabulary import LOSS_TERMS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_surfseg.config import Experiment

__all__ = ["KeptSettings"]

#: What the configuration decides, too; the bounds only together, since the nearer one ends a run.
CONFIGURED = (
    ("loss_weights",),
    ("max_epochs", "max_minutes"),
    ("foreground_shares",),
    ("preview_size",),
    ("preview_seconds",),
    ("patch_size", "patches_at_once", "largest_window"),
)


@dataclass(frozen=True)
class KeptSettings:
    """The settings in use.

    Attributes
    ----------
    loss_weights : dict
        Weight of each term.
    max_epochs, max_minutes : optional
        Bounds of the training.
    foreground_shares : list of [int, float]
        Share of the patches centred on the surface, each from a patch of the stream on.
    preview_size, preview_seconds
        Region shown by the live preview, and time between two.
    preview_image, preview_center : optional
        Which place it shows.
    rate_scale : float
        Factor on the scheduled learning rate.
    is_paused : bool
        Waiting for a person.
    patch_size, patches_at_once
        Where the run is on the ladder that it goes down where memory runs out; files of earlier
        versions do not say (empty, 0).
    largest_window : optional
        The largest window of validation and previews, once one did not fit.
    """

    loss_weights: dict[str, float]
    max_epochs: int | None
    max_minutes: float | None
    foreground_shares: list[list[float]]
    preview_size: list[int]
    preview_seconds: float
    preview_image: str | None = None
    preview_center: list[int] | None = field(default=None)
    rate_scale: float = 1.0
    is_paused: bool = False
    patch_size: list[int] = field(default_factory=list)
    patches_at_once: int = 0
    largest_window: list[int] | None = None

    @staticmethod
    def of(experiment: Experiment) -> KeptSettings:
        """Return what a configuration says."""
        return KeptSettings(
            loss_weights=dict(experiment.loss.weights),
            max_epochs=experiment.training.max_epochs,
            max_minutes=experiment.training.max_minutes,
            foreground_shares=[[0, experiment.data.foreground_share]],
            preview_size=list(experiment.preview.size),
            preview_seconds=experiment.preview.seconds,
            patch_size=list(experiment.data.patch_size),
            patches_at_once=experiment.training.train_batch_size,
        )

    def bounds(self, iterations: int) -> Bounds:
        """Return the end of the training, with epochs of so many steps."""
        return Bounds.of(self.max_epochs, self.max_minutes, iterations)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for ``last.pt``."""
        return asdict(self)

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> KeptSettings:
        """Go on from :meth:`as_dict`.

        Raises
        ------
        KeyError, TypeError, ValueError
            If something is missing, unknown or of the wrong kind.
        """
        kept = KeptSettings(**values)
        return replace(
            kept,
            loss_weights={term: float(kept.loss_weights[term]) for term in LOSS_TERMS},
            foreground_shares=[[int(i), float(share)] for i, share in kept.foreground_shares],
            patch_size=[int(edge) for edge in kept.patch_size],
            patches_at_once=max(0, int(kept.patches_at_once)),
        )

    def updated(self, then: Experiment, now: Experiment) -> KeptSettings:
        """Take from the configuration what was changed in it since these were kept.

        Parameters
        ----------
        then, now : Experiment
            The configuration with which they were kept, and the one of the resumed run; both with
            everything settled.
        """
        before, after = KeptSettings.of(then), KeptSettings.of(now)
        names = [
            name
            for group in CONFIGURED
            if any(getattr(before, name) != getattr(after, name) for name in group)
            for name in group
        ]
        return replace(self, **{name: getattr(after, name) for name in names})
