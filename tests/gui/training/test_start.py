"""What Start does: settled from a form and the layers, carried out in a folder; no window."""

from dataclasses import replace

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_surfseg.config_files import load_experiment
from napari_surfseg.errors import CancelledError, RunError, SurfsegError
from napari_surfseg.gui.controls.source_choice import PairChoice, SourceChoice
from napari_surfseg.gui.training.form import TrainingForm
from napari_surfseg.gui.training.start import execute_plan, make_plan
from napari_surfseg.gui.training.validation_box import build_box_layer
from napari_surfseg.runs.folder import RunFolder

SHAPE = (40, 64, 64)
DENSE = {0: "background", 1: "foreground"}


@pytest.fixture
def viewer():
    viewer = ViewerModel()
    viewer.add_image(np.ones(SHAPE, np.uint8), name="scan", scale=(2, 1, 1))
    viewer.add_labels(np.ones(SHAPE, np.uint8), name="sheet", scale=(2, 1, 1))
    return viewer


@pytest.fixture
def form(viewer, tmp_path):
    image, labels = (SourceChoice.of_layer(layer) for layer in viewer.layers)
    return TrainingForm(
        pairs=(PairChoice(image, labels),),
        meanings=DENSE,
        settings={"data.patch_size": [32, 32, 32], "model.preset": "tiny"},
        name="first",
        folder=str(tmp_path),
    )


def test_a_plan_touches_no_disk(form, viewer, tmp_path):
    plan = make_plan(form, viewer, {0: 5, 1: 5})
    assert plan.run_dir == tmp_path / "first"
    assert list(tmp_path.iterdir()) == []
    (pair,) = plan.pairs
    assert (pair.image.name, pair.labels.name, pair.role) == ("scan", "sheet", "train")
    assert pair.image_layer is viewer.layers["scan"]
    assert plan.center is not None
    assert {place["name"] for place in plan.places.values()} == {"scan", "sheet"}


@pytest.mark.parametrize(
    ("change", "counts", "field", "said"),
    [
        ({"pairs": (PairChoice(None, None),)}, {}, "data.train", "Choose the volume."),
        ({"folder": ""}, {}, "run_dir", "Choose a folder"),
        ({"name": ""}, {}, "experiment.name", "must be a text"),
        ({"meanings": {0: "background"}}, {}, "data.labels", "No label value means surface"),
        ({}, {0: 5}, "data.labels", "No voxel is labelled as surface yet"),
        ({"validation": "pairs"}, {}, "data.validation", "No pair is marked"),
        ({"validation": "box"}, {}, "data.validation", "Press Draw"),
    ],
)
def test_what_is_wrong_names_its_field(form, viewer, change, counts, field, said):
    with pytest.raises(SurfsegError, match=said) as raised:
        make_plan(replace(form, **change), viewer, counts)
    assert raised.value.field == field


def test_a_box_that_is_typed_is_checked_beside_its_field(form, viewer, tmp_path):
    pairs = (replace(form.pairs[0], roi="0:64"),)
    with pytest.raises(SurfsegError, match="must be three ranges") as raised:
        make_plan(replace(form, pairs=pairs), viewer, {})
    assert raised.value.field == "data.train.0.roi"
    pairs = (replace(form.pairs[0], roi="0:64, 0:64, 0:64"),)
    plan = make_plan(replace(form, pairs=pairs), viewer, {})
    with pytest.raises(SurfsegError, match="0:64, 0:64, 0:64 reaches beyond the volume 'scan'"):
        execute_plan(plan, lambda _share: None, lambda *_a, **_o: 1)
    assert list(tmp_path.iterdir()) == []


def test_a_plan_becomes_a_run_folder_with_a_worker(form, viewer):
    layer = build_box_layer(viewer, viewer.layers["scan"])
    viewer.layers.append(layer)
    form = replace(form, validation="box", validation_layer=SourceChoice.of_layer(layer))
    plan = make_plan(form, viewer, {})
    launched, shares = [], []
    execute_plan(plan, shares.append, lambda *call, **options: launched.append((call, options)))
    assert launched == [((plan.run_dir,), {"device": "auto"})]
    assert shares[-1] == 1
    data = load_experiment(plan.run_dir / "config.yaml").data
    assert data.spacing == (2, 1, 1)
    assert data.train[0].roi[1][1] + 8 == data.validation[0].roi[1][0]
    assert plan.image_layers == {data.train[0].image: viewer.layers["scan"]}
    assert plan.label_layers == {data.train[0].labels: viewer.layers["sheet"]}


def test_nothing_is_left_of_a_start_that_fails_or_is_given_up(form, viewer, tmp_path):
    def refuse(*_call, **_options):
        raise RunError("The worker could not be started.")

    with pytest.raises(RunError):
        execute_plan(make_plan(form, viewer, {}), lambda _share: None, refuse)
    assert list(tmp_path.iterdir()) == []

    def give_up():
        raise CancelledError("The start was cancelled.")

    with pytest.raises(CancelledError):
        execute_plan(make_plan(form, viewer, {}), lambda _s: None, lambda *_a: 1, check=give_up)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_no_run_before_its_layers_are_copied(form, viewer):
    plan = make_plan(form, viewer, {})
    found = []
    execute_plan(
        plan,
        lambda _share: found.append(RunFolder(plan.run_dir).exists()),
        lambda *_call, **_options: found.append(RunFolder(plan.run_dir).exists()),
    )
    assert len(found) > 2
    assert found == [False] * (len(found) - 1) + [True]
