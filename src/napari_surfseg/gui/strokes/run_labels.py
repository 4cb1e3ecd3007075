"""The layers that show the labels of the session's run: found in the viewer, or opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.utils.notifications import show_info
from qtpy.QtCore import QObject, Signal

from napari_surfseg.gui.layers.layer_watch import LayerWatch
from napari_surfseg.gui.run_session.run_layers import find_layer, open_volumes, read_run_layers

if TYPE_CHECKING:
    from pathlib import Path

    from napari.components import ViewerModel
    from napari.layers import Layer

    from napari_surfseg.errors import SurfsegError
    from napari_surfseg.gui.background.threads import Job, Jobs
    from napari_surfseg.gui.run_session.run_layers import OpenedVolume, RunLayers
    from napari_surfseg.gui.run_session.session import Session

__all__ = ["RunLabels"]

#: Layers of as many volumes are opened at once; a run may have hundreds.
MOST_OPENED = 8


class RunLabels(QObject):
    """Knows which labels a run learns from, and by which layers they are shown.

    From Start on the session knows which layer shows which labels; a layer that was opened from
    the run's own copy is found by its file. So any window that follows the run can paint.

    Parameters
    ----------
    viewer : ViewerModel
        Where the layers are.
    session : Session
        Whose run.
    jobs : Jobs
        Reads from the disk, in a thread.
    """

    found = Signal(object)
    """The layers that can be painted on, by the path of the run's copy."""
    changed = Signal()
    """What is known of the run's labels, or whether they are being opened."""
    failed = Signal(str)
    """Why the volume and labels could not be opened."""

    def __init__(self, viewer: ViewerModel, session: Session, jobs: Jobs) -> None:
        super().__init__()
        self._viewer = viewer
        self._session = session
        self._jobs = jobs
        self._run: RunLayers | None = None
        self.is_opening = False
        self._watch = LayerWatch(viewer, on_list=self._find)

    def close(self) -> None:
        """Disconnect from the viewer."""
        self._watch.close()

    @property
    def is_known(self) -> bool:
        """Whether it was read what the run learns from."""
        return self._run is not None

    @property
    def copies(self) -> tuple[str, ...]:
        """Paths of the labels that are the run's own, and so take strokes."""
        return self._run.copies if self._run is not None else ()

    def forget(self) -> None:
        """Drop what is known: another run is followed."""
        self._run = None

    def read(self) -> None:
        """Read in a thread what the run learns from, and find its layers."""
        run_dir = self._session.run_dir
        if run_dir is None:
            return

        def work(_job: Job) -> tuple[Path, RunLayers]:
            return run_dir, read_run_layers(run_dir)

        self._jobs.start("run_layers", work, done=self._on_read, failed=self._on_unread)

    def _on_read(self, outcome: tuple[Path, RunLayers]) -> None:
        run_dir, run = outcome
        if run_dir == self._session.run_dir:
            self._run = run
            self._find()

    def _on_unread(self, _error: SurfsegError) -> None:
        self._run = None  # the run panel says what is wrong with the folder
        self.changed.emit()

    def _find(self) -> None:
        if self._run is None:
            return
        found: dict[str, Layer] = {}
        for path in self._run.copies:
            layer = find_layer(self._viewer, self._session, path)
            if layer is not None and hasattr(layer.events, "paint"):
                found[path] = layer
        for path in self._run.images:
            layer = find_layer(self._viewer, self._session, path)
            if layer is not None:
                self._session.link_layer(path, layer)
        self.found.emit(found)

    def open_missing(self) -> None:
        """Open the volumes and labels of the run that are not in the viewer."""
        run = self._run
        if run is None or self.is_opening:
            return
        wanted = _choose_opened(run)
        missing = [path for path in wanted if find_layer(self._viewer, self._session, path) is None]
        num_others = len(run.images) + len(run.copies) - len(wanted)
        if num_others:
            show_info(
                f"The run has {len(run.images)} volumes; {num_others} of them and of their labels "
                "are not opened here."
            )

        def work(_job: Job) -> tuple[RunLayers, list[OpenedVolume]]:
            return run, open_volumes(run, missing)

        self.is_opening = True
        self.changed.emit()
        self._jobs.start("open_run", work, done=self._on_opened, failed=self._on_not_opened)

    def _on_opened(self, outcome: tuple[RunLayers, list[OpenedVolume]]) -> None:
        self.is_opening = False
        run, volumes = outcome
        if run is not self._run:
            return
        for volume in volumes:
            layer = volume.build()
            self._session.link_layer(volume.path, layer)
            self._viewer.layers.append(layer)
            if volume.seen_from is not None and 0 not in self._viewer.dims.displayed:
                start = layer.data_to_world((volume.seen_from, 0, 0))
                self._viewer.dims.set_point(0, start[0])
        self._find()

    def _on_not_opened(self, error: SurfsegError) -> None:
        self.is_opening = False
        self.failed.emit(str(error))
        self.changed.emit()


def _choose_opened(run: RunLayers) -> list[str]:
    """Choose what is opened: all of a few volumes; of hundreds, first what takes strokes."""
    painted = [image for image, labels in run.pairs if labels in run.copies]
    images = list(dict.fromkeys([*painted, *run.images]))[:MOST_OPENED]
    return [*images, *run.copies[:MOST_OPENED]]
