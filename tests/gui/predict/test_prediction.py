"""A prediction that is cancelled, and where its voxels lie."""

import numpy as np
import pytest
from napari.layers import Image

from napari_surfseg.errors import CancelledError
from napari_surfseg.gui.background.processes import JobProcess
from napari_surfseg.gui.layers.layer_volume import take_layer
from napari_surfseg.gui.predict.prediction import (
    PredictForm,
    Prediction,
    run_prediction,
)


def test_cancelling_while_a_layer_is_copied_leaves_nothing(tmp_path):
    (tmp_path / "best.pt").write_bytes(b"")
    form = PredictForm(
        checkpoint=str(tmp_path / "best.pt"),
        newest=False,
        source=None,
        threshold=None,
        min_voxels=None,
        overlap=0.25,
        flips="auto",
        device="cpu",
        sheets=True,
        skeleton=True,
        mesh=True,
        folder=str(tmp_path / "predictions"),
    )
    reported = []

    def report(stage, _share):
        reported.append(stage)
        process.cancel()

    process = JobProcess("napari_surfseg.inference.prediction_process", "prediction", report=report)
    volume = take_layer(Image(np.zeros((200, 64, 64), np.uint8), name="long"))
    with pytest.raises(CancelledError, match="was cancelled"):
        run_prediction(form, volume, process)
    assert reported == ["copying the layer"]
    assert list((tmp_path / "predictions").iterdir()) == []


def test_a_box_of_a_file_lies_where_the_file_says(tmp_path):
    result = {"spacing": (3, 2, 1), "translate": (30, -20, 5.5), "units": "nanometer"}
    box = ((1, 2, 3), (4, 5, 6))
    prediction = Prediction(tmp_path, result, "scan", box=box)
    place = prediction.find_place(None, prediction.origin)
    assert place == {
        "scale": (3.0, 2.0, 1.0), "translate": (33.0, -16.0, 8.5), "units": "nanometer",
    }  # fmt: skip
