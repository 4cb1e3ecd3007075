"""The live preview of a part of a volume: a prediction, its skeleton and its doubt, as files."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from napari_surfseg.cancelling import is_stop_wanted, raise_if_stopped
from napari_surfseg.events import PreviewWritten, SetPreview
from napari_surfseg.files import remove_file, written_aside
from napari_surfseg.geometry import box_at, box_shape, to_index
from napari_surfseg.inference.predict_region import predict_region
from napari_surfseg.proofreading.places import write_places
from napari_surfseg.surfaces.medial import compute_medial_surface
from napari_surfseg.training.live_places import LivePlaces
from napari_surfseg.wording import format_size

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import torch
    from numpy.typing import NDArray

    from napari_surfseg.config import Preview
    from napari_surfseg.data.cache import VolumeCache
    from napari_surfseg.data.checked_pair import CheckedPair
    from napari_surfseg.geometry import Box, Size3
    from napari_surfseg.inference.settings import PredictionSettings
    from napari_surfseg.training.stroke_start import StrokeStart


__all__ = ["Previewer"]

#: Previews may take at most this share of the running time: training comes first. In the first
#: minute a person watches the network learn, so they may take more.
TIME_SHARE, FIRST_TIME_SHARE = 0.05, 0.2
FIRST_MINUTE_SECONDS = 60.0

#: The first preview comes this soon, so that a person sees at once that something happens.
FIRST_SECONDS = 1.0

#: A preview that could not be made is tried again after this.
FAILED_SECONDS = 10.0

#: Of a region that is shown, 512 x 512 x 512: minutes of training on a CPU.
MAX_VOXELS = 2**27

#: Of neighbouring windows: less than a prediction's, since a preview must be quick.
OVERLAP = 0.2


class Previewer:
    """Makes previews when they are due, of the place that is asked for.

    Parameters
    ----------
    pairs : sequence of CheckedPair
        Volumes that can be looked at, training ones first.
    cache : VolumeCache
        Shared with the loader.
    folder : Path
        Where the arrays go.
    settings : PredictionSettings
        How the network is slid over the region; its overlap is not used.
    preview : Preview
        Time between previews (0 turns them off), region shown, earlier ones kept.
    first_index : int
        Number of the next preview, for a resumed run.
    """

    def __init__(
        self,
        pairs: Sequence[CheckedPair],
        cache: VolumeCache,
        folder: Path,
        settings: PredictionSettings,
        preview: Preview,
        *,
        first_index: int = 0,
    ) -> None:
        self._pairs = {pair.image.source: pair for pair in reversed(pairs)}
        self._views = {
            source: cache.view(pair.open_image(settings.known_intensity))
            for source, pair in self._pairs.items()
        }
        self._places = LivePlaces(self._pairs, cache)
        self._folder = folder
        self._settings = replace(settings, overlap=OVERLAP)
        self._seconds = preview.seconds
        self._size = preview.size
        self._keep = preview.keep
        self._index = first_index
        # Looked at first: where the labels of the first volume are, so that one can compare.
        first = pairs[0]
        self._image = first.image.source
        self._center = to_index((a + b) // 2 for a, b in zip(*first.roi, strict=True))
        self._begun = time.monotonic()
        self._due = self._begun + FIRST_SECONDS
        self._last_seconds = 0.0

    def use_window(self, window: Size3) -> None:
        """Begin with another window than the patch of the configuration."""
        self._settings = replace(self._settings, window=window)

    def apply(self, command: SetPreview) -> str | None:
        """Show another place, another size, or more or less often, from now on.

        Returns
        -------
        str or None
            Why the command cannot be carried out.
        """
        if command.image is not None and command.image not in self._pairs:
            return (
                f"The volume {command.image} is not part of this run; a preview can show "
                f"{', '.join(self._pairs)}."
            )
        if command.size is not None and min(command.size) < 1:
            return f"The preview size is {list(command.size)}, but every edge must be at least 1."
        image = self._image if command.image is None else command.image
        size = self._size if command.size is None else command.size
        shown = [min(pair) for pair in zip(size, self._views[image].shape, strict=True)]
        if math.prod(shown) > MAX_VOXELS:
            return (
                f"The preview would show {format_size(shown)} voxels, but training would wait too "
                f"long for more than {MAX_VOXELS:,}; choose a smaller one."
            )
        if command.seconds is not None and command.seconds < 0:
            return f"The time between previews is {command.seconds}, but must not be below 0."
        was_off = self._seconds == 0
        moved = command.image is not None or command.center is not None or command.size is not None
        self._image = self._image if command.image is None else command.image
        self._center = self._center if command.center is None else command.center
        self._size = self._size if command.size is None else command.size
        self._seconds = self._seconds if command.seconds is None else command.seconds
        if moved or was_off:
            self._due = time.monotonic() + self._rest() / 2
        return None

    def as_command(self) -> SetPreview:
        """Return the command that would bring another previewer to show the same."""
        return SetPreview(
            image=self._image, center=self._center, size=self._size, seconds=self._seconds
        )

    def hurry(self) -> None:
        """Let the next preview be due now: there is something new to see."""
        self._due = time.monotonic()

    @property
    def is_on(self) -> bool:
        """Whether previews are wanted."""
        return self._seconds > 0

    def is_due(self) -> bool:
        """Whether it is time for the next one."""
        return self.is_on and time.monotonic() >= self._due

    def write(
        self,
        network: torch.nn.Module,
        *,
        threshold: float,
        epoch: int,
        leading: tuple[StrokeStart, float] | None = None,
    ) -> PreviewWritten:
        """Predict the region and put the arrays in place.

        Parameters
        ----------
        network : Module
            What learns.
        threshold : float
            Probability above which the skeleton is made.
        epoch : int
            For the event.
        leading : tuple, optional
            A pixel classifier that knows more than the network as yet, and its share.

        Raises
        ------
        CancelledError
            If work should end; nothing is written then.
        """
        # Where this fails, the next one is not due at once.
        self._due = time.monotonic() + max(self._seconds, FAILED_SECONDS)
        box = self._region()
        pair = self._pairs[self._image]
        lead, share = leading or (None, 0.0)
        first = None if lead is None else lead.predict(self._image, *box)
        # Not counted: the classifier computes each place once, and the next preview need not wait
        # twenty times as long for that.
        begun = time.monotonic()
        if first is not None and share >= 1:
            probabilities = np.rint(first * 255).astype(np.uint8)
        else:
            probabilities = self._predict(network, box)
            if first is not None:
                mixed = (1 - share) * probabilities + share * 255 * first
                probabilities = np.rint(mixed).astype(np.uint8)
        raise_if_stopped()
        skeleton = compute_medial_surface(probabilities > threshold * 255, pair.spacing)
        self._folder.mkdir(exist_ok=True)  # not its parents: a drive may be away
        index = self._index
        self._index += 1
        names = (f"{index:06d}_probabilities.npy", f"{index:06d}_skeleton.npy")
        for name, array in zip(names, (probabilities, skeleton.astype(np.uint8)), strict=True):
            self._write_array(name, array)
        self._drop_old(index - self._keep)
        self._last_seconds = time.monotonic() - begun
        places = self._write_places(index, box, probabilities, threshold)
        self._due = time.monotonic() + max(self._seconds, self._rest())
        return PreviewWritten(
            index=index,
            probabilities=f"{self._folder.name}/{names[0]}",
            skeleton=f"{self._folder.name}/{names[1]}",
            places=places,
            image=self._image,
            origin=box[0],
            shape=box_shape(box),
            epoch=epoch,
            seconds=self._last_seconds,
        )

    def _predict(self, network: torch.nn.Module, box: Box) -> NDArray[np.uint8]:
        view = self._views[self._image]
        settings = replace(self._settings, resampling=self._pairs[self._image].resampling)
        return predict_region(
            network, view.read, box, settings, bounds=view.box, should_stop=is_stop_wanted
        )

    def _write_places(
        self, index: int, box: Box, probabilities: NDArray[np.uint8], threshold: float
    ) -> str | None:
        """Write where to paint next; None where it is not time to look for that."""
        places = self._places.find(self._image, box, probabilities, threshold)
        if places is None:
            return None
        name = f"{index:06d}_places.csv"
        with written_aside(self._folder / name) as temporary:
            write_places(temporary, places)
        return f"{self._folder.name}/{name}"

    def _rest(self) -> float:
        """Seconds to leave to training after a preview that took as long as the last."""
        is_new = time.monotonic() - self._begun < FIRST_MINUTE_SECONDS
        return self._last_seconds * (1 / (FIRST_TIME_SHARE if is_new else TIME_SHARE) - 1)

    def _region(self) -> Box:
        """Place the region around the centre, moved inside the volume."""
        shape = self._views[self._image].shape
        sizes = [min(size, edge) for size, edge in zip(self._size, shape, strict=True)]
        start = [
            min(max(0, center - size // 2), edge - size)
            for center, size, edge in zip(self._center, sizes, shape, strict=True)
        ]
        return box_at(start, sizes)

    def _write_array(self, name: str, array: NDArray[np.uint8]) -> None:
        with written_aside(self._folder / name) as temporary, temporary.open("wb") as file:
            np.save(file, array)

    def _drop_old(self, before: int) -> None:
        for path in (*self._folder.glob("*.npy"), *self._folder.glob("*.csv")):
            number = path.name.partition("_")[0]
            if number.isdigit() and int(number) <= before:
                remove_file(path)  # a viewer may hold it open; the next preview tries again
