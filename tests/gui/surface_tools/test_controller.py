"""What the dock "Surface tools" does; a stand-in for the view, no window."""

from unittest.mock import Mock

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Labels, Surface

from napari_surfseg.errors import CancelledError, ConfigError
from napari_surfseg.gui.controls.source_choice import SourceChoice
from napari_surfseg.gui.layers.layer_volume import take_layer
from napari_surfseg.gui.surface_tools import controller as module
from napari_surfseg.gui.surface_tools.controller import ToolsController, ToolsViewProtocol
from napari_surfseg.gui.surface_tools.running import ToolResult
from napari_surfseg.surface_tools.registry import find_tool
from napari_surfseg.surfaces.mesh_reading import MeshFile

PLACE = {"scale": (4, 2, 2), "translate": (8, 0, 2), "units": ("um",) * 3}


@pytest.fixture
def chosen():
    return {}


@pytest.fixture
def view(chosen):
    view = Mock(spec=ToolsViewProtocol)
    view.tool.return_value = find_tool("medial-surface")
    view.settings.return_value = {}
    view.threshold_value.return_value = 0.5
    view.folder.return_value = ""
    view.suggest.side_effect = lambda name, layer: chosen.update(
        {name: SourceChoice.of_layer(layer)}
    )
    view.source.side_effect = chosen.get
    return view


@pytest.fixture
def viewer():
    viewer = ViewerModel()
    mask = np.zeros((6, 8, 8), np.uint8)
    mask[2:5] = 1
    viewer.add_labels(mask, name="painted", **PLACE)
    viewer.add_image(mask, name="scan", **PLACE)
    viewer.add_image(
        mask, name="p", metadata={"surfseg": "prediction", "part": "probability"}, **PLACE
    )
    viewer.add_labels(
        mask, name="sheet", metadata={"surfseg": "prediction", "part": "surface"}, **PLACE
    )
    viewer.add_points(name="points")
    return viewer


@pytest.fixture
def controller(qapp, viewer, view, jobs):
    controller = ToolsController(viewer, view, jobs=jobs)
    yield controller
    controller.close()


@pytest.fixture
def ran(monkeypatch):
    """What was run, instead of in a process; ``error`` is raised, else ``result`` made."""
    calls = []

    def run(request, volumes, process):
        if run.error is not None:
            raise run.error
        calls.append((request, volumes))
        return run.result(next(iter(volumes.values())))

    run.error, run.calls = None, calls
    run.result = lambda volume: ToolResult(volume, np.ones((6, 8, 8), np.uint8), notes=["Mind."])
    monkeypatch.setattr(module, "run_layer_tool", run)
    return run


def said(view):
    return view.set_state.call_args.args[0]


@pytest.mark.parametrize(
    ("tool", "expected"),
    [
        ("medial-surface", {"surface": "sheet"}),
        ("cells-from-membranes", {"membranes": "p"}),
        ("score-against-labels", {"surface": "sheet", "labels": "painted"}),
    ],
)
def test_it_guesses_what_is_meant(controller, view, chosen, tool, expected):
    view.tool.return_value = find_tool(tool)
    chosen.clear()
    controller._on_layers()
    assert {name: choice.name for name, choice in chosen.items()} == expected
    offered = [layer.name for layer in view.set_layers.call_args.args[0]]
    assert offered == ["painted", "scan", "p", "sheet"]


def test_the_result_lies_over_its_layer_and_the_layer_stays(controller, viewer, view, ran):
    finished = []
    controller.finished.connect(finished.append)
    controller.run()
    made, source = viewer.layers[-1], viewer.layers["sheet"]
    assert isinstance(made, Labels)
    assert made.name == "sheet middle"
    for attribute in ("scale", "translate", "units"):
        assert np.all(getattr(made, attribute) == getattr(source, attribute))
    assert source.data.sum() == 3 * 64
    assert said(view) == "Added as 'sheet middle'. Mind."
    assert not controller.is_busy
    assert len(finished) == 1


def test_a_mesh_and_a_table(controller, viewer, view, ran):
    corners = np.array([[0, 0, 0], [0, 1, 0], [0, 0, 1]], float)
    ran.result = lambda volume: ToolResult(
        volume, mesh=MeshFile(corners, np.array([[0, 1, 2]]), None, {})
    )
    controller.run()
    assert isinstance(viewer.layers[-1], Surface)
    assert (viewer.layers[-1].scale == (4, 2, 2)).all()
    table = [{"score": "dice", "value": 0.5}]
    ran.result = lambda volume: ToolResult(volume, table=table)
    number = len(viewer.layers)
    controller.run()
    assert view.set_table.call_args.args == (table, {})
    assert len(viewer.layers) == number
    assert said(view) == "Done."


def test_measures_become_features_of_the_labels_and_a_file(controller, viewer, view, ran, tmp_path):
    table = [{"label": 1, "area": 64.0, "holes": 0}]
    ran.result = lambda volume: ToolResult(volume, table=table)
    view.tool.return_value = find_tool("measure-sheets")
    controller.run()
    features = viewer.layers["sheet"].features
    assert features["index"].tolist() == [1]
    assert features["area"].tolist() == [64.0]
    controller.save_table(str(tmp_path / "m.csv"))
    assert (tmp_path / "m.csv").read_text().splitlines() == ["label,area,holes", "1,64.0,0"]
    controller.save_table(str(tmp_path / "gone" / "m.csv"))
    assert "gone" in view.show_error.call_args.args[0]


def test_an_error_is_shown_and_nothing_added(controller, viewer, view, ran):
    ran.error = ConfigError("No.", field="radius")
    number = len(viewer.layers)
    controller.run()
    view.show_error.assert_called_with("No.", "radius")
    assert said(view) == ""
    assert len(viewer.layers) == number
    assert not controller.is_busy


def test_a_cancelled_tool_is_no_error(controller, viewer, view, ran):
    ran.error = CancelledError("Stopped.")
    number = len(viewer.layers)
    controller.run()
    view.show_error.assert_called_once_with("")
    assert said(view) == "Cancelled; nothing was added."
    assert len(viewer.layers) == number
    assert not controller.is_busy


def test_without_a_layer_there_is_a_sentence(controller, view, chosen, ran):
    chosen.clear()
    controller.run()
    view.show_error.assert_called_with("Choose a volume: a layer or a file.", "surface")
    assert not ran.calls


def test_an_image_where_labels_are_needed_is_one_sentence(controller, viewer, view, chosen, ran):
    view.tool.return_value = find_tool("measure-sheets")
    chosen["surface"] = SourceChoice.of_layer(viewer.layers["p"])
    controller.run()
    sentence, field = view.show_error.call_args.args
    assert sentence.startswith("The layer 'p' is an image, but Measure sheets needs a labels layer")
    assert field == "surface"
    assert not ran.calls


def test_a_layer_that_is_gone_when_it_is_done_is_no_matter(controller, viewer, view, ran):
    """The result then lies where its volume said."""
    del viewer.layers["sheet"]
    volume = take_layer(viewer.layers["painted"])
    controller._show(find_tool("medial-surface"), ran.result(volume), None)
    assert (viewer.layers[-1].translate == (8, 0, 2)).all()
    assert (viewer.layers[-1].scale == (4, 2, 2)).all()


def test_a_row_of_the_table_selects_its_label(controller, viewer, view, ran):
    ran.result = lambda volume: ToolResult(volume, table=[{"label": 7, "area": 1.0}])
    view.tool.return_value = find_tool("measure-sheets")
    controller.run()
    controller.choose_row({"label": 7})
    assert viewer.layers["sheet"].selected_label == 7
    assert viewer.layers.selection.active is viewer.layers["sheet"]
    controller.choose_row({"score": "dice"})


@pytest.mark.parametrize(
    ("layer", "sentence"),
    [
        ("points", "The layer 'points' is a points layer, but Medial surface needs an image or"),
        ("mesh", "is a surface layer"),
        ("flat", "has 2 axes"),
        ("movie", "has 4 axes"),
    ],
)
def test_a_tool_of_the_menu_takes_the_selected_layer_or_says_why_not(
    controller, viewer, view, layer, sentence
):
    viewer.add_surface((np.eye(3), np.array([[0, 1, 2]])), name="mesh")
    viewer.add_labels(np.zeros((4, 4), np.uint8), name="flat")
    viewer.add_labels(np.zeros((2, 4, 4, 4), np.uint8), name="movie")
    viewer.layers.selection.active = viewer.layers["painted"]
    controller.choose_tool("medial-surface")
    view.set_tool.assert_called_with("medial-surface")
    view.choose.assert_called_with("surface", viewer.layers["painted"])
    view.choose.reset_mock()
    viewer.layers.selection.active = viewer.layers[layer]
    controller.choose_tool("medial-surface")
    assert sentence in view.show_error.call_args.args[0]
    assert view.show_error.call_args.args[1] == "surface"
    view.choose.assert_not_called()


@pytest.mark.parametrize(
    ("tool", "selected", "expected"),
    [
        ("order-sheets", "painted", "painted"),
        ("medial-surface", "painted", "painted"),
        ("medial-surface", "scan", "sheet"),
        ("cells-from-membranes", "sheet", "p"),
        ("split-touching-sheets", "painted", "painted"),
        ("score-against-labels", "painted", "sheet"),
    ],
)
def test_another_tool_takes_the_selected_layer_where_it_fits(
    controller, viewer, view, chosen, tool, selected, expected
):
    viewer.layers.selection.active = viewer.layers[selected]
    view.tool.return_value = find_tool(tool)
    chosen.clear()
    controller._on_tool()
    assert chosen[next(iter(find_tool(tool).inputs))].name == expected


@pytest.mark.parametrize(
    ("tool", "name", "expected"),
    [
        ("medial-surface", "surface", {"surface": [2]}),
        ("score-against-labels", "labels", {}),
    ],
)
def test_what_is_not_annotated_is_no_surface(
    controller, viewer, view, chosen, ran, tool, name, expected
):
    painted = viewer.layers["painted"]
    painted.metadata["surfseg_labels"] = {0: "background", 1: "foreground", 2: "ignore"}
    view.tool.return_value = find_tool(tool)
    controller._on_layers()
    chosen[name] = SourceChoice.of_layer(painted)
    controller.run()
    assert ran.calls[-1][0].left_out == expected


def test_the_result_of_a_tool_does_not_change_what_it_works_on(
    controller, viewer, view, chosen, ran
):
    viewer.layers.selection.active = viewer.layers["painted"]
    view.tool.return_value = find_tool("order-sheets")
    chosen.clear()
    controller._on_tool()
    controller.run()
    assert viewer.layers[-1].name == "painted in order"
    assert chosen["sheets"].name == "painted"
    newer = {"surfseg": "prediction", "part": "surface"}
    viewer.add_labels(np.ones((6, 8, 8), np.uint8), name="newer", metadata=newer, **PLACE)
    assert chosen["sheets"].name == "newer"


def test_meshes_of_sheets_leave_the_slider_on_the_voxels(controller, viewer, view, ran):
    corners = np.array([[-0.5, -0.5, -0.5], [5.5, 7.5, 7.5], [5.5, -0.5, 7.5]])
    mesh = ((corners, np.array([[0, 1, 2]])), {"name": "sheet_0001"}, "surface")
    ran.result = lambda volume: ToolResult(volume, opened=[mesh])
    before = viewer.dims.range
    controller.run()
    assert isinstance(viewer.layers["sheet_0001"], Surface)
    assert viewer.dims.range == before
