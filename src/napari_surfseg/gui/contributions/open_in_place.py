"""Opens a volume with its voxel size, place and kind, from napari's File menu.

napari's own reader leaves the voxel size out. If this plugin had a reader for every ``.zarr``
and ``.tif``, napari would ask at each of them which reader to use.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Layer
from napari.utils.notifications import show_info, show_warning
from qtpy.QtWidgets import QFileDialog

from napari_surfseg.data.formats.registry import list_patterns
from napari_surfseg.gui.background.threads import Jobs
from napari_surfseg.gui.contributions.menus import find_viewer
from napari_surfseg.gui.contributions.readers import (
    get_grid_reader,
    get_mesh_reader,
    get_run_reader,
    read_volume_layer,
)
from napari_surfseg.surfaces.mesh_writing import MESH_SUFFIXES

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_surfseg.errors import SurfsegError
    from napari_surfseg.gui.background.threads import Job
    from napari_surfseg.gui.layers.layer_data import LayerData

__all__ = ["open_file", "open_folder", "open_in_place"]

_jobs = Jobs()


def open_file() -> None:
    """Ask for a file and open it."""
    patterns = [*list_patterns(), *(f"*{suffix}" for suffix in MESH_SUFFIXES)]
    path, _ = QFileDialog.getOpenFileName(
        None,
        "Open in place",
        filter=f"Volumes and meshes ({' '.join(patterns)});;All (*)",
    )
    _open(path)


def open_folder() -> None:
    """Ask for a zarr, a folder of slices, a run folder or a grid of points and open it."""
    _open(QFileDialog.getExistingDirectory(None, "Open in place"))


def _open(path: str) -> None:
    viewer = find_viewer()
    if viewer is None:
        show_info("Open a napari window first.")
    elif path:
        open_in_place(viewer, path)


def open_in_place(viewer: ViewerModel, path: str, jobs: Jobs = _jobs) -> None:
    """Read a file in a thread and add its layers to a viewer."""

    def work(_job: Job) -> list[LayerData]:
        readers = (get_run_reader, get_mesh_reader, get_grid_reader)
        found = (get_reader(path) for get_reader in readers)
        reader = next((reader for reader in found if reader is not None), read_volume_layer)
        return reader(path)

    def done(layers: list[Any]) -> None:
        for data, about, kind in layers:
            viewer.add_layer(Layer.create(data, about, kind))

    def failed(error: SurfsegError) -> None:
        show_warning(str(error))

    jobs.start(f"open {Path(path).name}", work, done=done, failed=failed)
