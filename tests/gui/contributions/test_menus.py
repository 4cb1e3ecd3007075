"""The entries of napari's Layers menu."""

from types import SimpleNamespace

import pytest

from napari_surfseg.gui.contributions import menus


@pytest.mark.parametrize(
    ("entry", "dock"),
    [
        (menus.open_training, "Surface training"),
        (menus.open_predict, "Predict surfaces"),
        (menus.open_curves, "Loss curves"),
        (menus.open_proofread, "Proofread"),
        (menus.open_tools, "Surface tools"),
    ],
)
def test_an_entry_opens_its_dock(monkeypatch, entry, dock):
    opened = []

    def add(*given):
        opened.append(given)
        return None, None

    window = SimpleNamespace(add_plugin_dock_widget=add)
    monkeypatch.setattr(menus, "find_viewer", lambda: SimpleNamespace(window=window))
    entry()
    assert opened == [("napari-surfseg", dock)]


def test_without_a_window_there_is_a_sentence(monkeypatch):
    texts = []
    monkeypatch.setattr(menus, "find_viewer", lambda: None)
    monkeypatch.setattr(menus, "show_info", texts.append)
    menus.open_predict()
    assert texts == ["Open a napari window first."]
