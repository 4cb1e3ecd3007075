"""A prediction that is cancelled, and where its voxels lie."""

import json
from dataclasses import replace
from pathlib import Path

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
from napari_surfseg.inference.prediction_folder import PredictionFolder, PredictionPlan

FORM = PredictForm(
    checkpoint="",
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
    folder="",
)


def test_cancelling_while_a_layer_is_copied_leaves_nothing(tmp_path):
    (tmp_path / "best.pt").write_bytes(b"")
    form = replace(FORM, checkpoint=str(tmp_path / "best.pt"), folder=str(tmp_path / "predictions"))
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


@pytest.mark.parametrize("found_by", ["", "sheets-tiny"])
def test_layers_say_where_only_the_package_was_at_work(tmp_path, found_by):
    prediction = Prediction(tmp_path, {}, "scan", found_by=found_by)
    after = " (found by sheets-tiny)" if found_by else ""
    assert prediction.name_layer("surface") == f"scan surface{after}"


def test_a_network_of_the_package_predicts_by_its_name(tmp_path, registry):
    registry.add()
    asked = {}

    class Process:
        ask = None

        def report(self, *_):
            """Nobody looks."""

        check_cancelled = report

        def run(self, job, _names):
            asked.update(json.loads(Path(job).read_text()))
            np.save(Path(job).parent / "probabilities.npy", np.zeros((4, 5, 6), np.uint8))
            np.save(Path(job).parent / "surface.npy", np.zeros((4, 5, 6), np.uint8))
            return {"probabilities": "probabilities.npy", "surface": "surface.npy"}

    form = replace(FORM, checkpoint="sheets-tiny", folder=str(tmp_path / "predictions"))
    volume = take_layer(Image(np.zeros((4, 5, 6), np.uint8), name="scan"))
    made = run_prediction(form, volume, Process())
    assert asked["checkpoint"] == made.found_by == "sheets-tiny"
    assert made.checkpoint is None


def test_what_is_finished_when_cancelled_is_gone_on_with(tmp_path):
    (tmp_path / "best.pt").write_bytes(b"")
    form = replace(FORM, checkpoint=str(tmp_path / "best.pt"), folder=str(tmp_path / "predictions"))
    image = Image(np.zeros((40, 5, 6), np.uint8), name="scan")
    asked = []

    class Process:
        ask = None

        def report(self, *_):
            """Nobody looks."""

        check_cancelled = report

        def run(self, job, _names):
            asked.append(json.loads(Path(job).read_text()))
            folder = PredictionFolder(Path(asked[-1]["blocks"]))
            shape = (40, 5, 6)
            plan = folder.create(
                PredictionPlan({}, shape, (8, 5, 6), 0.25, False, "float32", {}, None, (1, 1, 1))
            )
            if len(asked) > 1:
                folder.write_block(plan, (0, 0, 0), None)
            raise CancelledError("The prediction was cancelled.")

    with pytest.raises(CancelledError, match=r"^The prediction was cancelled\.$"):
        run_prediction(form, take_layer(image), Process())
    first = ((10, 0, 0), (20, 5, 6))
    for _ in range(2):
        with pytest.raises(CancelledError, match="1 finished blocks of scan are kept"):
            run_prediction(form, take_layer(image), Process(), first=first)
    assert asked[0]["blocks"] == asked[2]["blocks"]
    assert asked[2]["first"] == [list(corner) for corner in first]
    assert [path.name for path in (tmp_path / "predictions").iterdir()] == [".unfinished"]
    with pytest.raises(CancelledError):
        run_prediction(replace(form, overlap=0.5), take_layer(image), Process())
    assert asked[3]["blocks"] != asked[2]["blocks"]
