"""The dock "Predict surfaces" with its real process."""

import threading
import time

import numpy as np
import psutil
import pytest
from napari.components import ViewerModel
from qtpy.QtWidgets import QApplication

from napari_surfseg.gui.controls.source_choice import SourceChoice
from napari_surfseg.gui.predict.widget import PredictWidget


@pytest.mark.slow
def test_a_cancelled_prediction_ends_its_process_and_leaves_nothing(qtbot, tmp_path):
    import torch

    from napari_surfseg.config import Experiment
    from napari_surfseg.config_files import apply_overrides
    from napari_surfseg.model.checkpoint import Checkpoint, save_checkpoint
    from napari_surfseg.model.intensity import Intensity
    from napari_surfseg.model.network import build_unet

    torch.manual_seed(0)
    experiment = apply_overrides(Experiment(), ["model={preset: tiny}"])
    save_checkpoint(
        tmp_path / "best.pt",
        Checkpoint(
            experiment=experiment,
            weights=build_unet(experiment.model, device="cpu").state_dict(),
            intensity=Intensity(0.0, 255.0, 0.5, 0.3),
            patch_size=(32, 32, 32),
            spacing=(1.0, 1.0, 1.0),
        ),
    )
    viewer = ViewerModel()
    viewer.add_image(np.zeros((40, 40, 40), np.uint8), name="scan")
    rng = np.random.default_rng(0)
    viewer.add_image(rng.integers(0, 255, (160, 160, 160)).astype(np.uint8), name="large")
    widget = PredictWidget(viewer)
    qtbot.addWidget(widget)
    view, controller = widget.view, widget.controller
    view.set_folder(tmp_path / "predictions")
    view.inputs.source.set_choice(SourceChoice.of_layer(viewer.layers["large"]))
    view.set_checkpoint(str(tmp_path / "best.pt"))
    view.options.flips.setCurrentIndex(view.options.flips.findData(True))
    before = {child.pid for child in psutil.Process().children(recursive=True)}

    def wait_for(condition):
        end = time.monotonic() + 120
        while not condition() and time.monotonic() < end:
            QApplication.processEvents()
            time.sleep(0.01)
        assert condition(), view.job.state.text() + view.error.text()

    view.job.start.click()
    wait_for(lambda: view.job.state.text().startswith("Predicting"))
    (mine,) = [p for p in psutil.Process().children() if p.pid not in before]
    assert list((tmp_path / "predictions" / "large").iterdir())
    view.job.cancel.click()
    wait_for(lambda: not controller.is_busy)
    assert view.job.state.text() == "The prediction was cancelled; nothing of it is left."
    assert view.error.text() == ""
    assert list((tmp_path / "predictions").iterdir()) == []
    assert not mine.is_running() or mine.status() == psutil.STATUS_ZOMBIE
    assert set(viewer.layers) == {viewer.layers["scan"], viewer.layers["large"]}
    assert view.job.start.isEnabled()
    assert not [t for t in threading.enumerate() if t.name == "surfseg-prediction" and t.is_alive()]
    widget.session.close()
