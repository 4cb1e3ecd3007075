import numpy as np
import pytest
from napari.layers import Image, Labels

from napari_surfseg.gui.controls.source_choice import SourceChoice
from napari_surfseg.gui.training.data_page import DataPage

IMAGE = Image(np.zeros((4, 4, 4), np.uint8), name="scan")
LABELS = Labels(np.zeros((4, 4, 4), np.uint8), name="sheet")


@pytest.fixture
def page(qtbot):
    page = DataPage()
    qtbot.addWidget(page)
    page.set_layers([IMAGE], [LABELS], [])
    return page


@pytest.fixture
def changes(page):
    changes = []
    page.pairs_changed.connect(lambda: changes.append(page.pairs()))
    return changes


def test_a_guess_is_shown_in_silence_and_a_choice_is_reported(page, changes):
    image, labels = SourceChoice.of_layer(IMAGE), SourceChoice.of_layer(LABELS)
    page.set_image(0, image)
    page.set_labels(0, labels)
    assert changes == []
    assert page.chosen_by_hand(0) == (False, False)
    page.choose(0, labels=labels)
    assert [(pair.image, pair.labels) for pair in changes[-1]] == [(image, labels)]
    assert page.chosen_by_hand(0) == (False, True)
    page.confirm()
    assert page.chosen_by_hand(0) == (True, True)


def test_a_role_and_a_way_out_are_offered_with_several_pairs_only(page, changes):
    (first,) = page.rows
    assert first.role.isHidden()
    second = page.add_pair()
    assert not first.role.isHidden()
    assert not second.remove.isHidden()
    assert len(page.more.rois) == 2
    second.remove.click()
    assert len(changes[-1]) == 1
    assert first.remove.isHidden()
    first.remove.click()
    assert len(page.pairs()) == 1


def test_a_chosen_layer_that_is_gone_is_named(page):
    page.choose(0, image=SourceChoice.of_layer(IMAGE))
    page.set_layers([], [LABELS], [])
    assert page.lost_layers() == [
        "The layer 'scan' is gone from the viewer; choose another volume."
    ]


def test_what_is_said_is_hidden_when_it_is_empty(page):
    page.say("The volume is large.")
    assert not page.note.isHidden()
    page.say("")
    assert page.note.isHidden()
