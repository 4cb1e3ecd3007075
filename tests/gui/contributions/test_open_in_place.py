"""The entries of napari's File menu that open a volume or a run in place."""

from types import SimpleNamespace

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image

from napari_surfseg.gui.contributions import open_in_place as module
from napari_surfseg.gui.contributions.open_in_place import open_in_place
from napari_surfseg.gui.layers.copies import write_layer
from napari_surfseg.gui.layers.layer_volume import take_layer


def test_a_volume_and_a_run_are_opened_where_they_lie(tmp_path, jobs, run_dir, monkeypatch):
    scan = Image(np.ones((5, 6, 7), np.uint8), scale=(3, 2, 1), translate=(30, -20, 5), units="nm")
    write_layer(take_layer(scan), tmp_path / "scan.zarr")
    viewer = ViewerModel()
    open_in_place(viewer, str(tmp_path / "scan.zarr"), jobs)
    (layer,) = viewer.layers
    np.testing.assert_allclose(layer.data_to_world((1, 2, 3)), scan.data_to_world((1, 2, 3)))
    assert layer.units == scan.units
    open_in_place(viewer, str(run_dir), jobs)
    assert len(viewer.layers) == 2
    warnings = []
    monkeypatch.setattr(module, "show_warning", warnings.append)
    open_in_place(viewer, str(tmp_path / "nothing.tif"), jobs)
    assert warnings == [f"There is no file or folder {tmp_path / 'nothing.tif'}."]


def test_the_menu_asks_for_a_file(monkeypatch):
    opened = []
    viewer = SimpleNamespace()
    monkeypatch.setattr(module, "find_viewer", lambda: viewer)
    monkeypatch.setattr(module, "open_in_place", lambda *given: opened.append(given))
    monkeypatch.setattr(
        module.QFileDialog, "getOpenFileName", lambda *_args, **_options: ("a.tif", "")
    )
    monkeypatch.setattr(module.QFileDialog, "getExistingDirectory", lambda *_args: "")
    module.open_file()
    module.open_folder()
    assert opened == [(viewer, "a.tif")]
