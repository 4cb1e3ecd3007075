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
