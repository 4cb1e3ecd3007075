from napari_surfseg.gui.strokes.brush import BrushButton
from napari_surfseg.gui.strokes.brush_buttons import BrushButtons

MAGENTA = (1.0, 0.0, 1.0, 1.0)
SHOWN = {
    "foreground": BrushButton(1, MAGENTA, "Surface", "Paint the surface."),
    "ignore": BrushButton(0, None, "Erase", "Erase."),
}


def test_each_meaning_has_a_button_with_its_colour(qtbot):
    buttons = BrushButtons()
    qtbot.addWidget(buttons)
    assert buttons.isHidden()
    buttons.set_buttons(SHOWN, "foreground")
    assert not buttons.isHidden()
    assert buttons.buttons["background"].isHidden()
    assert buttons.buttons["foreground"].isChecked()
    assert not buttons.buttons["foreground"].icon().isNull()
    assert buttons.buttons["ignore"].icon().isNull()
    with qtbot.waitSignal(buttons.chosen, check_params_cb=lambda value: value == 0):
        buttons.buttons["ignore"].click()
    buttons.set_buttons({}, None)
    assert buttons.isHidden()
