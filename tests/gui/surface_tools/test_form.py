"""A tool's settings as widgets: limits, units and help are those of its annotations."""

import pytest

from napari_surfseg.gui.surface_tools.form import ToolForm
from napari_surfseg.surface_tools.registry import TOOLS
from napari_surfseg.surface_tools.setting import check_settings


@pytest.mark.parametrize("tool", TOOLS.values(), ids=list(TOOLS))
def test_the_form_of_every_tool_gives_its_defaults(qtbot, tool):
    form = ToolForm(tool)
    qtbot.addWidget(form.native)
    assert form.values() == check_settings(tool.function, {})


def test_limits_units_and_help_come_from_the_annotations(qtbot):
    form = ToolForm(TOOLS["cells-from-membranes"])
    qtbot.addWidget(form.native)
    widgets = {widget.name: widget for widget in form._widgets}
    assert (widgets["min_wall"].min, widgets["min_wall"].max) == (0, 1)
    assert widgets["smoothing"].label == "Smoothing (voxels)"
    assert widgets["min_voxels"].label == "Min voxels"
    assert "weaker than this" in widgets["min_wall"].native.toolTip()
    assert widgets["keep_walls"].native.objectName() == "tool_cells_from_membranes_keep_walls"
    mesh = ToolForm(TOOLS["surface-mesh"])
    qtbot.addWidget(mesh.native)
    kind = next(widget for widget in mesh._widgets if widget.name == "kind")
    assert kind.choices == ("sheet", "closed")
