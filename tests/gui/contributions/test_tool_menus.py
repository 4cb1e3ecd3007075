"""The entries of napari's Layers menu for single tools."""

from types import SimpleNamespace
from unittest.mock import Mock

import pytest

from napari_surfseg.gui.contributions import menus, tool_menus


def test_an_entry_opens_the_dock_with_its_tool(monkeypatch):
    widget = Mock()
    widget.parentWidget.return_value = None  # else it has parents without end
    window = SimpleNamespace(add_plugin_dock_widget=lambda *_given: (None, widget))
    monkeypatch.setattr(menus, "find_viewer", lambda: SimpleNamespace(window=window))
    tool_menus.open_fill_holes()
    widget.controller.choose_tool.assert_called_once_with("fill-holes")


def test_what_is_no_tool_is_no_entry():
    for name in ("open_iron", "fill_holes"):
        with pytest.raises(AttributeError, match=name):
            getattr(tool_menus, name)
