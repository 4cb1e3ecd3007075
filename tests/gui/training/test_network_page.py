from napari_surfseg.config import MONAI_NETWORKS
from napari_surfseg.config_files import build_experiment
from napari_surfseg.gui.training.form import nest_settings
from napari_surfseg.gui.training.network_page import NetworkPage


def test_the_values_are_by_configuration_key(qtbot):
    page = NetworkPage()
    qtbot.addWidget(page)
    assert page.values() == {
        "data.patch_size": [64, 64, 64],
        "model.preset": "auto",
        "model.start_from": "auto",
    }
    with qtbot.waitSignal(page.changed):
        page.set_preset("tiny")
    page.patch[1].setValue(96)
    page.start_from.set_value("none")
    assert page.values() == {
        "data.patch_size": [64, 96, 64],
        "model.preset": "tiny",
        "model.start_from": "none",
    }


def test_the_arrows_move_by_what_the_network_divides_by(qtbot):
    page = NetworkPage()
    qtbot.addWidget(page)
    page.set_patch_step(16)
    page.patch[0].stepUp()
    assert page.patch[0].value() == 80


def test_a_network_of_monai_is_named_and_given_arguments(qtbot):
    page = NetworkPage()
    qtbot.addWidget(page)
    assert page.network.isHidden()
    page.set_preset("monai")
    assert not page.network.isHidden()
    assert [page.network.itemText(row) for row in range(page.network.count())] == [*MONAI_NETWORKS]
    with qtbot.waitSignal(page.changed):
        page.network.setCurrentText("UNet")
    page.arguments.setText("channels: [8, 16], strides: [2]")
    with qtbot.waitSignal(page.changed):
        page.arguments.editingFinished.emit()
    assert page.values() | {"data.patch_size": None} == page.values() | {
        "data.patch_size": None,
        "model.preset": "monai",
        "model.network": "UNet",
        "model.arguments": {"channels": [8, 16], "strides": [2]},
    }
    page.set_preset("tiny")
    assert page.network.isHidden()
    assert not {"model.network", "model.arguments"} & set(page.values())


def test_no_arguments_are_monais_own(qtbot):
    page = NetworkPage()
    qtbot.addWidget(page)
    page.set_preset("monai")
    assert build_experiment(nest_settings(page.values()), source="the form").model.arguments is None
