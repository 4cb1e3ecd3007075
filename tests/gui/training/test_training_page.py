from napari_surfseg.gui.training.training_page import TrainingPage


def test_the_length_is_in_minutes_or_in_epochs(qtbot):
    page = TrainingPage()
    qtbot.addWidget(page)
    assert page.values() == {
        "training.max_minutes": 10.0,
        "training.max_epochs": None,
        "training.train_iterations_per_epoch": 100,
    }
    with qtbot.waitSignal(page.length_changed):
        page.length_kind.setCurrentIndex(page.length_kind.findData("epochs"))
    page.length.setValue(0.4)
    assert page.values()["training.max_minutes"] is None
    assert page.values()["training.max_epochs"] == 1


def test_an_unknown_device_is_automatic(qtbot):
    page = TrainingPage()
    qtbot.addWidget(page)
    for device, shown in (("cuda", "cuda"), ("cpu", "cpu"), ("abacus", "auto")):
        page.set_device(device)
        assert page.device.currentData() == shown
