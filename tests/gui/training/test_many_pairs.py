"""Tables and patterns of pairs in the window: one row each, with the number of pairs."""

import time
from dataclasses import replace
from unittest.mock import Mock

import numpy as np
import pytest
from napari.components import ViewerModel
from tests.gui.training.stand_ins import JobsInPlace, mock_view

from napari_surfseg.gui.controls.source_choice import PairChoice, SourceChoice
from napari_surfseg.gui.training.form import TrainingForm
from napari_surfseg.gui.training.many_controller import ManyController
from napari_surfseg.gui.training.many_pairs import ManyChoice, ManyDialog
from napari_surfseg.gui.training.protocols import TrainingViewProtocol
from napari_surfseg.gui.training.start import execute_plan, make_plan
from napari_surfseg.gui.training.view import TrainingView
from napari_surfseg.runs.folder import RunFolder


@pytest.fixture
def lab(tmp_path):
    """Make a folder of 200 volumes, which hold nothing, and a table of them."""
    rows = ["image,labels,split"]
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    for number in range(200):
        name = f"v{number}.npy"
        for folder in ("images", "labels"):
            (tmp_path / folder / name).touch()
        rows.append(f"images/{name},labels/{name},{'val' if number % 10 == 0 else 'train'}")
    (tmp_path / "pairs.csv").write_text("\n".join(rows))
    return tmp_path


@pytest.fixture
def view(qtbot):
    view = TrainingView()
    qtbot.addWidget(view)
    return view


def test_two_hundred_pairs_are_one_row_with_their_number(view, lab):
    controller = ManyController(view, JobsInPlace())
    assert controller is not None
    began = time.process_time()
    view.data.many.add(ManyChoice(str(lab / "pairs.csv")))
    pattern = ManyChoice(str(lab / "images" / "*.npy"), str(lab / "labels" / "{name}.npy"))
    view.data.many.add(pattern)
    view.data.many.add(pattern)
    assert time.process_time() - began < 2
    states = [row.state.text() for row in view.data.many.rows]
    assert states == ["180 pairs for training, 20 for validation.", "200 pairs for training."]
    assert [choice.path for choice in view.data.many_labels()] == [
        str(lab / "labels" / "v1.npy"),
        str(lab / "labels" / "v0.npy"),
    ]
    assert view.form().many == view.data.many_choices()
    view.data.many.rows[0].remove.click()
    assert view.form().many == (pattern,)
    assert len(view.data.many_labels()) == 1
    view.set_locked(True)
    assert not view.data.many.add_button.isEnabled()


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (ManyChoice("{lab}/none.csv"), "There is no table"),
        (ManyChoice("{lab}/images"), "it must be a list of pairs, a table"),
        (ManyChoice("{lab}/images/v1.npy", "{lab}/labels/{name}.npy"), "holds no *"),
        (ManyChoice("{lab}/images/*.tif", "{lab}/labels/{name}.tif"), "nothing fits the pattern"),
    ],
)
def test_what_is_wrong_is_said_in_its_row(view, lab, choice, said):
    _controller = ManyController(view, JobsInPlace())
    choice = ManyChoice(
        *(text.replace("{lab}", str(lab)) for text in (choice.image, choice.labels))
    )
    view.data.many.add(choice)
    (row,) = view.data.many.rows
    assert said in row.error.text()
    assert not row.state.text()


def test_a_start_writes_all_pairs_into_the_configuration(lab):
    viewer = ViewerModel()
    form = TrainingForm(
        pairs=(Mock(image=None, labels=None),),
        many=(ManyChoice(str(lab / "pairs.csv")),),
        settings={"data.patch_size": [32, 32, 32], "model.preset": "tiny"},
        folder=str(lab / "runs"),
    )
    plan = make_plan(form, viewer, {})
    execute_plan(plan, lambda _share: None, Mock())
    data = RunFolder(plan.run_dir).read_experiment().data
    assert (len(data.train), len(data.validation)) == (180, 20)
    assert data.spacing is None
    (lab / "images" / "v7.npy").unlink()
    plan = make_plan(replace(form, name="again"), viewer, {})
    with pytest.raises(Exception, match=r"row 9: there is no file .*v7\.npy"):
        execute_plan(plan, lambda _share: None, Mock())
    assert not plan.run_dir.exists()


def test_layers_of_different_voxel_sizes_keep_their_own(tmp_path):
    viewer = ViewerModel()
    pairs = []
    for number, scale in enumerate(((3, 1, 1), (2, 1, 1))):
        image = viewer.add_image(np.ones((8, 8, 8), np.uint8), name=f"i{number}", scale=scale)
        labels = np.zeros((8, 8, 8), np.uint8)
        labels[4] = 1
        drawn = viewer.add_labels(labels, name=f"l{number}", scale=scale)
        pairs.append(PairChoice(SourceChoice.of_layer(image), SourceChoice.of_layer(drawn)))
    form = TrainingForm(
        pairs=tuple(pairs),
        settings={"data.patch_size": [32, 32, 32], "model.preset": "tiny"},
        folder=str(tmp_path),
    )
    plan = make_plan(form, viewer, {})
    execute_plan(plan, lambda _share: None, Mock())
    data = RunFolder(plan.run_dir).read_experiment().data
    assert data.spacing is None
    assert [pair.spacing for pair in data.train] == [(3, 1, 1), (2, 1, 1)]


def test_the_dialog_takes_a_table_or_two_patterns(qtbot):
    dialog = ManyDialog()
    qtbot.addWidget(dialog)
    assert dialog.choice() is None
    assert not dialog.add.isEnabled()
    dialog.image.setText("/a/*.tif")
    assert not dialog.add.isEnabled()
    dialog.labels.setText("/b/{name}.tif")
    assert dialog.choice() == ManyChoice("/a/*.tif", "/b/{name}.tif")
    dialog.table.setText("pairs.csv")
    assert dialog.choice() == ManyChoice("pairs.csv")
    assert not dialog.image.isEnabled()


def test_only_what_is_new_is_counted(lab):
    view = mock_view(TrainingViewProtocol)
    first = ManyChoice(str(lab / "pairs.csv"))
    view.data.many_choices.return_value = (first,)
    controller = ManyController(view, JobsInPlace())
    view.data.many_changed.emit()
    view.data.many_changed.emit()
    controller.count()
    view.data.set_many_state.assert_called_once()
    view.data.many_choices.return_value = ()
    controller.count()
    view.data.many_choices.return_value = (first,)
    controller.count()
    assert view.data.set_many_state.call_count == 2
