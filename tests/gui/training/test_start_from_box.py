import pytest
from qtpy.QtCore import Qt

from napari_surfseg.gui.training.start_from_box import StartFromBox

TIP = Qt.ItemDataRole.ToolTipRole
RUNS = [("/runs/walls-2", "walls-2 (surface Dice 0.93)"), ("/runs/walls-1", "walls-1")]


@pytest.fixture
def box(qtbot, registry):
    registry.add()
    registry.add("sheets-small", model={"preset": "tiny", "base_channels": 4})
    box = StartFromBox()
    qtbot.addWidget(box)
    box.set_meaning("sheets-tiny")
    return box


def activate(box, value):
    """Choose an entry as a person does."""
    index = box.findData(value)
    assert index >= 0, value
    box.setCurrentIndex(index)
    box.activated.emit(index)


def test_the_default_is_shown_as_what_it_means(box):
    assert box.value() == "auto"
    assert box.currentText() == "sheets-tiny"
    assert box.itemData(box.currentIndex(), TIP) == "sheets-tiny (shipped: sheets)"
    box.set_meaning(None)
    assert (box.value(), box.currentText()) == ("auto", "From scratch")


@pytest.mark.parametrize("value", ["sheets-small", "none", "/runs/walls-1"])
def test_what_a_person_takes_is_the_value(box, qtbot, value):
    box.set_recent(RUNS)
    with qtbot.waitSignal(box.chosen):
        activate(box, value)
    assert box.value() == value
    assert box.currentData() == value


def test_taking_what_is_shown_already_changes_nothing(box, qtbot):
    with qtbot.assertNotEmitted(box.chosen):
        activate(box, "sheets-tiny")
    assert box.value() == "auto"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/runs/first/checkpoints/best.pt", "best.pt of first"),
        ("/shared/membranes.safetensors", "membranes.safetensors"),
        ("/runs/first", "first"),
    ],
)
def test_a_path_stands_in_the_list_by_its_name(box, path, text):
    box.set_value(path)
    assert (box.value(), box.currentText()) == (path, text)
    box.set_value("none")
    assert box.findData(path) == -1


@pytest.mark.parametrize("entry", ["a file", "a folder"])
def test_a_file_or_folder_is_asked_for(box, qtbot, monkeypatch, entry):
    asked = []
    monkeypatch.setattr(box, "ask_path", lambda *, folder: asked.append(folder) or "/x/net.pt")
    with qtbot.waitSignal(box.chosen):
        activate(box, entry)
    assert (box.value(), asked) == ("/x/net.pt", [entry == "a folder"])
    monkeypatch.setattr(box, "ask_path", lambda *, folder: "")
    with qtbot.assertNotEmitted(box.chosen):
        activate(box, entry)
    assert box.currentText() == "net.pt"


def test_recent_runs_come_and_go_and_the_choice_stays(box):
    box.set_recent(RUNS)
    activate(box, "/runs/walls-2")
    assert box.currentText() == "walls-2 (surface Dice 0.93)"
    box.set_recent([])
    assert (box.value(), box.currentText()) == ("/runs/walls-2", "walls-2")


def test_without_networks_there_is_from_scratch(qtbot, registry):
    box = StartFromBox()
    qtbot.addWidget(box)
    assert (box.value(), box.currentText()) == ("auto", "From scratch")
