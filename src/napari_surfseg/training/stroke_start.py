"""What a run does where labels are strokes: a pixel classifier leads until the network can.

::

    strokes ──▶ pixel classifier ──▶ filled targets ──▶ patches ──▶ network
                       └──────────▶ live preview ◀─────────────────────┘

Twelve strokes are some hundred voxels of millions. A network that learns from them alone takes
minutes to predict anything sensible, and then it predicts slabs; the classifier predicts sensible,
thin sheets within a second or two. So the network learns from what the classifier finds around
the strokes besides the strokes themselves, and the live preview passes from the one to the
other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_surfseg.data.strokes.annotation import gather_annotation
from napari_surfseg.data.strokes.density import DENSE_SHARE, measure_density
from napari_surfseg.data.strokes.filled_targets import FilledTargets
from napari_surfseg.data.strokes.pixel_classifier import PixelClassifier

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from napari_surfseg.data.cache import VolumeCache
    from napari_surfseg.data.checked_pair import CheckedPair
    from napari_surfseg.geometry import Index3
    from napari_surfseg.model.intensity import Intensity

__all__ = ["STROKES_POS_WEIGHT", "StrokeStart", "open_stroke_start"]

#: Steps over which the live preview passes from the classifier to the network.
HANDOVER_STEPS = 200
#: Share of the classifier in the preview right after new strokes; the network knows the old.
SHARE_AFTER_STROKES = 0.5
#: Weight of a surface voxel in the cross entropy. Filled targets are as thin as the surface, and
#: a higher weight, meant for rare surface, would thicken it again.
STROKES_POS_WEIGHT = 1.0


def open_stroke_start(
    pairs: Sequence[CheckedPair],
    cache: VolumeCache,
    intensity: Intensity,
    *,
    wanted: bool | str,
    seed: int,
) -> StrokeStart | None:
    """Prepare for strokes, if that is wanted and the labels are strokes; else None.

    Parameters
    ----------
    pairs : sequence of CheckedPair
        What is trained on.
    cache, intensity
        The run's.
    wanted : bool or "auto"
        ``data.pseudo_labels``.
    seed : int
        The run's.
    """
    if wanted is False:
        return None
    if wanted == "auto" and measure_density(pairs, seed=seed) >= DENSE_SHARE:
        return None
    return StrokeStart(pairs, cache, intensity, seed=seed)


class StrokeStart:
    """The pixel classifier of a run, and how much it still has to say.

    Parameters
    ----------
    pairs : sequence of CheckedPair
        What is trained on.
    cache, intensity
        The run's.
    seed : int
        The run's.
    """

    def __init__(
        self,
        pairs: Sequence[CheckedPair],
        cache: VolumeCache,
        intensity: Intensity,
        *,
        seed: int,
    ) -> None:
        self._cache = cache
        self._intensity = intensity
        self._seed = seed
        self._learned_at = 0
        self._first_share = 1.0
        self._shown: tuple[object, NDArray[np.float32]] | None = None
        self._learn(pairs)

    def _learn(self, pairs: Sequence[CheckedPair]) -> None:
        targets = [self._cache.view(pair.open_targets(self._cache)) for pair in pairs]
        blocks = gather_annotation(targets, [pair.census for pair in pairs], seed=self._seed)
        self._sources = {pair.image.source: i for i, pair in reversed(list(enumerate(pairs)))}
        self._classifier = PixelClassifier(
            [self._cache.view(pair.open_image(self._intensity, self._cache)) for pair in pairs],
            [pair.spacing for pair in pairs],
            [pair.image.box for pair in pairs],
            blocks,
            seed=self._seed,
        )
        self._filled = [
            FilledTargets(
                targets[index],
                self._classifier,
                index,
                pair.roi,
                image=self._cache.view(pair.image),
                void_value=pair.void_value,
                held_out=pair.held_out,
            )
            for index, pair in enumerate(pairs)
        ]
        self._shown = None

    @property
    def filled(self) -> list[FilledTargets]:
        """Targets of each pair to cut patches from."""
        return self._filled

    def describe(self) -> str:
        """Say to a person what is done."""
        return (
            "The labels are strokes, so a quick classifier trained on "
            f"{self._classifier.num_points:,} voxels shows the first prediction and fills in what "
            "nobody annotated near them; the network learns from both and takes over, and "
            f"loss.pos_weight counts as {STROKES_POS_WEIGHT:g} in this run."
        )

    def learn_again(self, pairs: Sequence[CheckedPair], step: int) -> None:
        """Take new strokes in.

        Parameters
        ----------
        pairs : sequence of CheckedPair
            As at first, with the new labels counted.
        step : int
            Optimizer steps taken so far.
        """
        # Before the handover the network has no say that the classifier should wait for.
        self._first_share = max(self.share(step), SHARE_AFTER_STROKES)
        self._learned_at = step
        self._learn(pairs)

    def begin_at(self, step: int, *, has_learned: bool) -> None:
        """Begin beside a network that took so many steps, or has learned in another run."""
        self._learned_at = step
        self._first_share = SHARE_AFTER_STROKES if step or has_learned else 1.0

    def as_dict(self) -> dict[str, float]:
        """Where the handover is, for ``last.pt``."""
        return {"learned_at": self._learned_at, "first_share": self._first_share}

    def restore(self, values: Mapping[str, float]) -> None:
        """Go on from :meth:`as_dict`."""
        self._learned_at = int(values["learned_at"])
        self._first_share = float(values["first_share"])

    def share(self, step: int) -> float:
        """Share of the classifier in a preview, from 1 before the first step down to 0."""
        passed = min(1.0, (step - self._learned_at) / HANDOVER_STEPS)
        return self._first_share * (1 - passed**2)  # the first steps teach a network the least

    def predict(self, image: str, start: Index3, stop: Index3) -> NDArray[np.float32] | None:
        """Give the classifier's probabilities in a box; None for an image it does not know."""
        source = self._sources.get(image)
        if source is None:
            return None
        place = (image, start, stop)
        if self._shown is None or self._shown[0] != place:
            found = self._classifier.predict_quickly(source, start, stop)
            self._shown = (place, found)
        return self._shown[1]
