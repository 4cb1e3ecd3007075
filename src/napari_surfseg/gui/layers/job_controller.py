"""What the controllers of docks that do one job have in common; no widgets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal

from napari_surfseg.gui.background.process_job import JobView, ProcessJob
from napari_surfseg.gui.background.threads import Jobs
from napari_surfseg.gui.layers.layer_watch import LayerWatch, unwrap

if TYPE_CHECKING:
    from napari.components import ViewerModel

__all__ = ["JobController"]


class JobController(QObject):
    """Joins a view, the viewer and a process; the layers of the viewer are watched.

    Parameters
    ----------
    viewer : ViewerModel
        Where layers come from and results go.
    view : JobView
        Passive.
    jobs : Jobs, optional
        Starts threads; replaced in tests.
    module, what, title : str
        As for :class:`ProcessJob`.
    """

    finished = Signal(object)
    """Carries the result."""

    def __init__(
        self,
        viewer: ViewerModel,
        view: JobView,
        jobs: Jobs | None,
        *,
        module: str,
        what: str,
        title: str,
    ) -> None:
        super().__init__()
        self._viewer = unwrap(viewer)
        self._jobs = jobs or Jobs()
        self._job = ProcessJob(view, self._jobs, module=module, what=what, title=title)
        self._watch = LayerWatch(self._viewer, on_list=self._on_layers)

    @property
    def is_busy(self) -> bool:
        """Whether the job is under way."""
        return self._job.is_busy

    def cancel(self) -> None:
        """End the job."""
        self._job.cancel()

    def close(self) -> None:
        """Let go of the viewer; a job under way ends."""
        self.cancel()
        self._watch.close()

    def _on_layers(self) -> None:
        """Offer what is in the viewer; called when that changes."""
