import pytest

from napari_surfseg.gui.training.validation_panel import ValidationPanel


@pytest.mark.parametrize(
    ("mode", "shown"),
    [
        ("automatic", {"fraction"}),
        ("none", set()),
        ("box", {"box_layer", "draw_box"}),
        ("pairs", set()),
    ],
)
def test_each_way_to_validate_shows_what_it_needs(qtbot, mode, shown):
    panel = ValidationPanel()
    qtbot.addWidget(panel)
    panel.mode.setCurrentIndex(panel.mode.findData(mode))
    controls = ("fraction", "box_layer", "draw_box")
    assert {name for name in controls if not getattr(panel, name).isHidden()} == shown
