"""What the widgets of "Predict surfaces" read and show."""

import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_surfseg.gui.predict.controller import PredictViewProtocol
from napari_surfseg.gui.predict.view import PredictView


@pytest.fixture
def view(qtbot):
    view = PredictView()
    qtbot.addWidget(view)
    return view


def test_the_view_is_what_its_controller_needs(satisfies):
    assert satisfies(PredictView, PredictViewProtocol)


def test_by_default_everything_comes_from_the_checkpoint(view):
    form = view.form()
    assert form.threshold is None
    assert form.min_voxels is None
    assert form.flips == "auto"
    assert view.options.threshold.text() == view.options.min_voxels.text() == "–"
    assert not view.options.threshold.isEnabled()


def test_what_was_tuned_is_shown_until_a_person_sets_another(view):
    view.set_tuned(0.34, 30)
    assert view.options.threshold.text() == "0.34"
    assert view.options.min_voxels.text() == "30 vox"
    view.options.threshold_row.tuned.setChecked(False)
    view.options.threshold.setValue(0.6)
    view.set_tuned(0.41, 0)
    assert view.options.threshold.text() == "0.60"
    assert view.options.min_voxels.text() == "0 vox"
    assert view.form().threshold == 0.6
    assert view.form().min_voxels is None
    view.options.threshold_row.tuned.setChecked(True)
    assert view.options.threshold.text() == "0.41"
    assert view.form().threshold is None


def test_flips_are_automatic_on_or_off(view):
    found = []
    for index in range(view.options.flips.count()):
        view.options.flips.setCurrentIndex(index)
        found.append(view.form().flips)
    assert found == ["auto", True, False]


def test_best_or_newest_can_be_chosen_where_there_are_both(view):
    changes = []
    view.weights_changed.connect(lambda: changes.append(view.form().newest))
    assert not view.inputs.weights.isEnabled()
    view.set_weights({"best": "step 100", "newest": "step 1,400"})
    titles = [view.inputs.weights.itemText(index) for index in range(view.inputs.weights.count())]
    assert titles == ["best: step 100", "newest: step 1,400"]
    view.inputs.weights.setCurrentIndex(1)
    assert changes == [True]
    view.set_weights({"best": "step 100", "newest": "step 1,500"})
    assert view.form().newest
    # Another run begins with its best again only where there is no newest.
    view.set_weights({"best": "step 3"})
    assert not view.form().newest
    assert not view.inputs.weights.isEnabled()
    assert changes == [True]


def test_one_of_predict_and_cancel_can_be_pressed(view):
    assert view.job.start.isEnabled()
    assert not view.job.cancel.isEnabled()
    view.set_busy(True)
    assert not view.job.start.isEnabled()
    assert view.job.cancel.isEnabled()
    view.set_state("Predicting…", 0.5)
    assert view.job.state.text() == "Predicting…"
    assert view.job.progress.value() == 500


def test_a_network_of_the_package_is_taken_from_the_list_or_a_path_typed(qtbot, registry):
    registry.add()
    view = PredictView()
    qtbot.addWidget(view)
    field = view.inputs.network
    assert view.form().checkpoint == ""
    assert field.itemText(0) == "sheets-tiny (shipped: sheets)"
    with qtbot.waitSignal(view.checkpoint_changed) as changed:
        field.activated.emit(0)
    assert changed.args == ["sheets-tiny"]
    assert view.form().checkpoint == "sheets-tiny"
    field.line.clear()
    with qtbot.waitSignal(view.checkpoint_changed) as changed:
        QTest.keyClicks(field.line, "/runs/first")
        QTest.keyClick(field.line, Qt.Key.Key_Return)
    assert changed.args == ["/runs/first"]
    assert view.form().checkpoint == "/runs/first"
    assert field.count() == 1
