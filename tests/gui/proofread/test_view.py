"""The widgets of "Proofread": what is chosen, and the list."""

import numpy as np
import pytest
from napari.layers import Labels

from napari_surfseg.gui.proofread.controller import ProofreadViewProtocol
from napari_surfseg.gui.proofread.view import ProofreadView


@pytest.fixture
def view(qtbot):
    view = ProofreadView()
    qtbot.addWidget(view)
    return view


def test_the_view_is_what_its_controller_needs(satisfies):
    assert satisfies(ProofreadView, ProofreadViewProtocol)


def test_the_list_is_filtered_and_stepped_through(view, errors):
    chosen = []
    view.error_chosen.connect(chosen.append)
    view.list.step(1)
    assert chosen == []
    view.set_result({"score": 0.5, "topo_matched_1": 2.0}, errors, "found")
    assert view.list.model.rowCount() == len(errors)
    assert "<b>score 0.500</b>" in view.scores.text()
    sizes = [view.list.model.index(row, 1).data() for row in range(len(errors))]
    assert sizes == [f"{error.size:,}" for error in errors]
    view.list.next.click()
    view.list.next.click()
    view.list.previous.click()
    assert chosen == [0, 1, 0]
    assert not view.list.previous.isEnabled()
    assert view.list.place.text() == f"1 / {len(errors)}"
    view.list.kind.setCurrentIndex(view.list.kind.findData("hole"))
    holes = [i for i, error in enumerate(errors) if error.name == "hole"]
    assert view.list.kind.currentText() == f"hole ({len(holes)})"
    assert view.list.model.rowCount() == len(holes)
    view.list.step(1)
    assert chosen[-1] == holes[0]
    for _ in errors:
        view.list.step(1)
    assert chosen[-1] == holes[-1]
    assert not view.list.next.isEnabled()


def test_a_suggestion_replaces_nothing(view):
    first, second = (Labels(np.zeros((2, 2, 2), np.uint8)) for _ in range(2))
    view.set_layers([first, second])
    assert view.suggest("labels", first)
    assert not view.suggest("labels", second)
    assert view.source("labels").layer is first
    assert view.source("prediction") is None


def test_a_threshold_is_read_only_for_probabilities(view):
    assert view.threshold_value() is None
    view.inputs.is_probability.setChecked(True)
    assert view.threshold_value() == 0.5


def test_a_sentence_stands_beside_its_field(view):
    view.show_error("Which one?", "labels")
    assert view.inputs.labels_error.text() == "Which one?"
    view.show_error("It failed.")
    assert (view.inputs.labels_error.text(), view.error.text()) == ("", "It failed.")
