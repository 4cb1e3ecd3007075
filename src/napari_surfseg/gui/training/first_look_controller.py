"""Shows what a network of the package finds in the chosen volume, before anything is trained.

::

    chosen volume ── the part that is looked at ──▶ prediction process ──▶ a layer over the volume
"""

from __future__ import annotations

import math
import tempfile
import weakref
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Image
from qtpy.QtCore import QObject

from napari_surfseg.errors import CancelledError, SurfsegError
from napari_surfseg.geometry import box_at, box_shape, grow_box, middle_of_box, whole_box
from napari_surfseg.gui.background.process_job import ProcessJob
from napari_surfseg.gui.layers.camera import compute_view_box
from napari_surfseg.gui.layers.chosen_volume import find_chosen_layer, take_chosen
from napari_surfseg.gui.layers.colormaps import build_found_colormap
from napari_surfseg.gui.layers.layer_volume import LayerVolume, take_file
from napari_surfseg.gui.layers.layer_watch import LayerWatch
from napari_surfseg.gui.predict.prediction import PredictForm, run_prediction
from napari_surfseg.networks.registry import find_network, is_network_name, list_networks
from napari_surfseg.wording import format_percent, format_size

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

    from napari_surfseg.geometry import Box, Size3
    from napari_surfseg.gui.background.processes import JobProcess
    from napari_surfseg.gui.background.threads import Jobs
    from napari_surfseg.gui.predict.prediction import Prediction
    from napari_surfseg.gui.training.protocols import TrainingViewProtocol

__all__ = ["FirstLookController", "choose_part", "predict_part"]

#: What is looked at once, some 160 x 160 x 160: half a minute on two cores.
MAX_VOXELS = 2**22
#: Slices of a large volume that is seen in 2-D, half of them on either side.
NUM_SLICES = 32
#: Read around the part, so that its border is not the border of what the network sees.
MARGIN = 16


class FirstLookController(QObject):
    """Joins the offer, the chosen volume and the process that predicts.

    Parameters
    ----------
    viewer : ViewerModel
        Takes the layer.
    view : TrainingViewProtocol
        Passive.
    jobs : Jobs
        Starts threads.
    """

    def __init__(self, viewer: ViewerModel, view: TrainingViewProtocol, jobs: Jobs) -> None:
        super().__init__()
        self._viewer = viewer
        self._view = view
        self._look = view.data.first_look
        self._shown: weakref.ref[Layer] | None = None
        self._job = ProcessJob(
            self._look,
            jobs,
            module="napari_surfseg.inference.prediction_process",
            what="first look",
            title="Looking for surfaces",
        )
        self._look.find_clicked.connect(self.find)
        self._look.cancel_clicked.connect(self._job.cancel)
        view.form_changed.connect(self.refresh)
        self._watch = LayerWatch(viewer, on_list=self.refresh)
        self.refresh()

    def close(self) -> None:
        """Let go of the viewer; a search under way ends."""
        self._watch.close()
        self._job.cancel()

    def hide(self) -> None:
        """Hide what was found: a run has begun, and shows what it finds itself."""
        layer = None if self._shown is None else self._shown()
        if layer is not None and layer in self._viewer.layers:
            layer.visible = False

    def refresh(self) -> None:
        """Offer it where a volume is chosen and a network is here."""
        form = self._view.form()
        has_volume = bool(form.pairs) and form.pairs[0].image is not None
        network = self._choose_network()
        self._look.offer(network if has_volume else None)

    def _choose_network(self) -> str | None:
        """Choose the network of the package that the form names, else the first that is here."""
        named = self._view.form().settings.get("model.start_from")
        known = [find_network(named)] if is_network_name(named) else list(list_networks())
        return next((network.name for network in known if network.is_at_hand), None)

    def find(self) -> None:
        """Look for surfaces in the chosen volume, in a thread and a process."""
        network = self._choose_network()
        pairs = self._view.data.pairs()
        if network is None or self._job.is_busy or not pairs:
            return
        self._view.clear_errors()
        try:
            volume = take_chosen(pairs[0].image, self._viewer)
        except SurfsegError as error:
            self._view.show_error(str(error), "data.train")
            return
        source = find_chosen_layer(pairs[0].image, self._viewer)
        seen = None
        if source is not None:
            size = (NUM_SLICES, NUM_SLICES, NUM_SLICES)
            seen = compute_view_box(self._viewer, source, size)
        form = self._view.form()
        device = "auto" if form.launcher else form.device  # it is looked for here

        def work(process: JobProcess) -> Prediction:
            return predict_part(network, volume, seen, device, process)

        def show(found: Prediction) -> None:
            self._job.end()
            self._show(found, source, network)

        self._job.start(work, done=show, failed=self._on_failed)

    def _show(self, found: Prediction, source: Layer | None, network: str) -> None:
        before = None if self._shown is None else self._shown()
        if before is not None and before in self._viewer.layers:
            self._viewer.layers.remove(before)
        layer = Image(
            found.arrays["probabilities"],
            name=f"{found.name} (found by {network})",
            contrast_limits=(0, 255),
            colormap=build_found_colormap(),
            blending="translucent",
            opacity=0.7,
            rendering="mip",
            metadata={"surfseg": "prediction", "part": "found", "network": network},
            **found.find_place(source, found.origin),
        )
        layers = self._viewer.layers
        selected, active = list(layers.selection), layers.selection.active
        place = layers.index(source) + 1 if source in layers else len(layers)
        layers.insert(place, layer)
        if selected:  # a brush stays in the hand
            layers.selection = selected
            layers.selection.active = active
        self._shown = weakref.ref(layer)
        share = format_percent(found.result["surface_fraction"])
        part = " of the volume"
        if found.box is not None and found.box != whole_box(found.shape or (0, 0, 0)):
            part = f" of the {format_size(box_shape(found.box))} voxels in view"
        warnings = found.result.get("warnings", [])
        self._look.set_state(
            " ".join(
                [
                    f"{network} found surface in {share}{part}: the green layer. It is no label of "
                    "yours. Predict surfaces makes labels of it; or label a little, and Start "
                    "improves on it.",
                    *warnings,
                ]
            )
        )

    def _on_failed(self, error: SurfsegError) -> None:
        self._look.set_state("")
        if not isinstance(error, CancelledError):
            self._view.show_error(str(error), "data.train")


def predict_part(
    network: str, volume: LayerVolume | str, seen: Box | None, device: str, process: JobProcess
) -> Prediction:
    """Predict all of a small volume, or a part of a large one; waits for the disk and the process.

    Only the part is read, and nothing of it stays on the disk.

    Parameters
    ----------
    network : str
        Of the package.
    volume : LayerVolume or str
        The volume, or the path of its file.
    seen : (start, stop), optional
        Voxels that are on the canvas.
    device : str
        ``auto``, ``cpu`` or ``cuda``.
    process : JobProcess
        Reports the stages.

    Raises
    ------
    SurfsegError
        If it fails or is cancelled.
    """
    taken = take_file(volume) if isinstance(volume, str) else volume
    name = Path(taken.name.rstrip("/")).stem if isinstance(volume, str) else taken.name
    box = choose_part(taken.shape, seen)
    read = grow_box(box, MARGIN, whole_box(taken.shape))
    process.report("reading the volume", 0.0)
    values = taken.read(*read)
    part = replace(
        taken, name=name, data=values, shape=box_shape(read), dtype=values.dtype, path=None
    )
    with tempfile.TemporaryDirectory(prefix="surfseg-look-") as folder:
        form = PredictForm(
            checkpoint=network,
            newest=False,
            source=None,
            threshold=None,
            min_voxels=None,
            overlap=0.25,
            flips=False,
            device=device,
            sheets=False,
            skeleton=False,
            mesh=False,
            folder=folder,
        )
        found = run_prediction(
            form, part, process, box_at(np.subtract(box[0], read[0]), box_shape(box))
        )
    return replace(found, name=name, box=box, shape=taken.shape)


def choose_part(shape: Size3, seen: Box | None) -> Box:
    """Choose what is looked at: all of a small volume, the middle of what is seen of a large one.

    Parameters
    ----------
    shape : tuple of int
        Z, Y, X voxels of the volume.
    seen : (start, stop), optional
        Those on the canvas; None stands for all.
    """
    whole = whole_box(shape)
    if math.prod(shape) <= MAX_VOXELS or seen is None:
        seen = whole
    return middle_of_box(seen, MAX_VOXELS)
