"""What a person sets once, from napari's Preferences and from the file of older napari."""

import builtins

import pytest
import yaml
from npe2 import PluginManifest

from napari_surfseg.gui.run_table.controller import RunsController
from napari_surfseg.gui.run_table.view import RunsView
from napari_surfseg.gui.window import preferences as module
from napari_surfseg.gui.window.preferences import Preferences, find_preferences_file

REAL = module.read_preferences  # the tests' own stand-in takes its place


@pytest.fixture
def warnings_shown(monkeypatch):
    shown = []
    monkeypatch.setattr(module, "show_warning", shown.append)
    return shown


@pytest.fixture
def old_napari(monkeypatch, tmp_path):
    """Napari without settings for plugins, and a home of its own."""
    real = builtins.__import__

    def without_settings(name, *args, **kwargs):
        if name == "napari.settings" and "get_plugin_settings" in (args[2] or ()):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_settings)
    path = tmp_path / "config" / "preferences.yaml"
    monkeypatch.setattr(module, "find_preferences_file", lambda: path)
    return path


def test_the_manifest_offers_what_is_read():
    page = PluginManifest.from_distribution("napari-surfseg").contributions.configurations
    properties = page[module.PAGE].properties
    assert {name: made.default for name, made in properties.items()} == Preferences().model_dump()
    schema = Preferences.model_json_schema()["properties"]
    for name, made in properties.items():
        assert made.title
        assert made.description
        assert (made.minimum, made.maximum) == (
            schema[name].get("minimum"),
            schema[name].get("maximum"),
        )
        assert made.enum == schema[name].get("enum")


def test_napari_knows_them(monkeypatch, tmp_path):
    from napari import settings

    if not hasattr(settings, "get_plugin_settings"):
        pytest.skip("napari before 0.9 has no settings for plugins")
    monkeypatch.setattr(settings, "_PLUGIN_SETTINGS", {})
    page = settings.get_plugin_settings("napari-surfseg", tmp_path).training
    assert REAL() == Preferences()
    page.runs_folder = "/somewhere"
    page.live_box_z = 64
    page.device = "cpu"
    page.ask_before_closing = False
    found = REAL()
    assert str(found.runs_path) == "/somewhere"
    assert found.live_box == (64, 128, 128)
    assert (found.device, found.ask_before_closing) == ("cpu", False)


def test_older_napari_has_a_file(old_napari):
    assert REAL() == Preferences()
    assert yaml.safe_load(old_napari.read_text()) == Preferences().model_dump()
    old_napari.write_text("runs_folder: /elsewhere\nlive_box_y: 64\n")
    assert str(REAL().runs_path) == "/elsewhere"
    assert REAL().live_box == (32, 64, 128)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("live_box_z: 4\ndevice: cpu\n", "live_box_z is 4, but it must be at least 8."),
        ("devise: cpu\ndevice: cpu\n", "There is no setting 'devise'; did you mean device?"),
        ("device: [\n", "cannot be read"),
        ("- 1\n", "must be a mapping"),
    ],
)
def test_what_cannot_be_used_is_said(old_napari, warnings_shown, text, said):
    old_napari.parent.mkdir()
    old_napari.write_text(text)
    expected = Preferences(device="cpu") if "device: cpu" in text else Preferences()
    assert REAL() == expected
    assert len(warnings_shown) == 1
    assert said in warnings_shown[0]


def test_the_file_lies_where_the_platform_keeps_such_files():
    path = find_preferences_file()
    assert path.name == "preferences.yaml"
    assert "napari-surfseg" in path.parts


def test_the_forms_start_with_them(qtbot, session, jobs, monkeypatch, tmp_path):
    from napari.components import ViewerModel

    from napari_surfseg.gui.predict.controller import PredictController
    from napari_surfseg.gui.predict.view import PredictView
    from napari_surfseg.gui.training.controller import TrainingController
    from napari_surfseg.gui.training.view import TrainingView

    preferred = Preferences(runs_folder=str(tmp_path), device="cpu", live_box_x=64)
    monkeypatch.setattr(module, "read_preferences", lambda: preferred)
    training, predict, runs = TrainingView(), PredictView(), RunsView()
    for view in (training, predict, runs):
        qtbot.addWidget(view)
    controllers = [
        TrainingController(ViewerModel(), training, session, ask=lambda *_: True, jobs=jobs),
        PredictController(ViewerModel(), predict, session, jobs=jobs),
        RunsController(runs, session, jobs=jobs),
    ]
    form = training.form()
    assert (form.folder, form.device) == (str(tmp_path), "cpu")
    assert form.settings["preview.size"] == [32, 128, 64]
    assert predict.form().device == "cpu"
    assert predict.form().folder == str(tmp_path / "predictions")
    assert runs.folder.text() == str(tmp_path)
    for controller in controllers:
        controller.close()
