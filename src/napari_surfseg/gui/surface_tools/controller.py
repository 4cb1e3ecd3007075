"""What the dock "Surface tools" does: it runs a tool on a layer and adds what comes out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from napari.layers import Image, Labels, Layer, Points

from napari_surfseg.errors import CancelledError, DataError, SurfsegError
from napari_surfseg.gui.background.process_job import JobView
from napari_surfseg.gui.layers.chosen_volume import find_chosen_layer, take_chosen
from napari_surfseg.gui.layers.job_controller import JobController
from napari_surfseg.gui.layers.layer_volume import is_volume
from napari_surfseg.gui.layers.mesh_colours import colour_mesh
from napari_surfseg.gui.layers.mesh_surface import MeshSurface
from napari_surfseg.gui.layers.metadata import kind_of, meanings_of, part_of
from napari_surfseg.gui.layers.placement import compute_placement, place_of
from napari_surfseg.gui.surface_tools.running import ToolRequest, ToolResult, run_layer_tool
from napari_surfseg.gui.window import preferences
from napari_surfseg.surface_tools.results import write_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel

    from napari_surfseg.gui.background.processes import JobProcess
    from napari_surfseg.gui.background.threads import Job, Jobs
    from napari_surfseg.gui.controls.source_choice import SourceChoice
    from napari_surfseg.surface_tools.registry import Tool
    from napari_surfseg.surface_tools.results import Table

__all__ = ["ToolsController", "ToolsViewProtocol"]


#: Inputs that others are scored against: there a voxel that is not annotated is known as such.
TRUTHS = frozenset({"labels", "truth"})
#: What a label value means that is surface.
SURFACE = "foreground"


class ToolsViewProtocol(JobView, Protocol):
    """What the controller needs of the dock's widgets."""

    @property
    def run_clicked(self) -> Any:
        """Signal: a person wants the tool run."""

    @property
    def cancel_clicked(self) -> Any:
        """Signal: a person wants to end it."""

    @property
    def tool_chosen(self) -> Any:
        """Signal: a person chose another tool."""

    @property
    def save_clicked(self) -> Any:
        """Signal: a person wants the table written; carries the file."""

    @property
    def row_chosen(self) -> Any:
        """Signal: a person chose a row of the table; carries it."""

    def tool(self) -> Tool:
        """Return the tool that is chosen."""

    def set_tool(self, name: str) -> None:
        """Choose a tool."""

    def set_layers(self, layers: Sequence[Layer]) -> None:
        """Offer these layers."""

    def choose(self, name: str, layer: Layer) -> None:
        """Choose a layer for an input, as if a person had."""

    def source(self, name: str) -> SourceChoice | None:
        """Return what is chosen for an input of the tool."""

    def suggest(self, name: str, layer: Layer) -> None:
        """Choose a layer for an input, unless a person has chosen."""

    def settings(self) -> dict[str, Any]:
        """Return the settings of the tool."""

    def threshold_value(self) -> float:
        """Return the probability above which a voxel is surface."""

    def folder(self) -> str:
        """Return where results go that are not loaded."""

    def set_folder(self, folder: str) -> None:
        """Show where such results go."""

    def set_table(self, table: Table, units: dict[str, str] | None = None) -> None:
        """Show the rows of a table, and the units of its columns; none hides it."""

    def show_error(self, message: str, field: str | None = None) -> None:
        """Show a sentence beside the input it is about, or below the buttons."""


class ToolsController(JobController):
    """Joins the view, the viewer and the process; it needs no window.

    Parameters
    ----------
    viewer : ViewerModel
        Where the layers are and results go.
    view : ToolsViewProtocol
        Passive.
    jobs : Jobs
        Starts threads; replaced in tests.
    """

    def __init__(
        self, viewer: ViewerModel, view: ToolsViewProtocol, *, jobs: Jobs | None = None
    ) -> None:
        super().__init__(
            viewer,
            view,
            jobs,
            module="napari_surfseg.surface_tools.process",
            what="tool",
            title="Surface tools",
        )
        self._view = view
        self._table: Table = []
        self._measured: Layer | None = None
        self._known: list[Layer] = []
        self._units: dict[str, str] = {}
        view.set_folder(str(preferences.read_preferences().runs_path / "tools"))
        view.run_clicked.connect(self.run)
        view.cancel_clicked.connect(self.cancel)
        view.tool_chosen.connect(self._on_tool)
        view.save_clicked.connect(self.save_table)
        view.row_chosen.connect(self.choose_row)
        self._on_layers()

    def _on_layers(self) -> None:
        layers = [layer for layer in self._viewer.layers if _is_offered(layer)]
        self._view.set_layers(layers)
        known, self._known = self._known, layers
        for name, kind in self._view.tool().inputs.items():
            found = _guess(layers, grey=kind == "grey", made=name not in TRUTHS)
            # What a tool works on stays when its result arrives; a newer prediction takes over.
            is_chosen = find_chosen_layer(self._view.source(name), self._viewer) is not None
            if found is not None and not (is_chosen and found in known):
                self._view.suggest(name, found)

    def _on_tool(self) -> None:
        """Take the selected layer, so that one tool goes on with what another one made."""
        self._known = []
        self._on_layers()
        inputs, chosen = self._view.tool().inputs, self._viewer.layers.selection.active
        if len(inputs) != 1 or chosen is None or not _is_offered(chosen):
            return
        ((name, kind),) = inputs.items()
        wanted = "probability" if kind == "grey" else "surface"
        is_ours = kind_of(chosen) is not None
        if (isinstance(chosen, Labels) and (kind != "grey" or part_of(chosen) != "surface")) or (
            is_ours and part_of(chosen) == wanted
        ):
            self._view.suggest(name, chosen)

    def choose_tool(self, name: str) -> None:
        """Choose a tool, and the layer that is selected as what it works on."""
        view = self._view
        view.set_tool(name)
        tool, chosen = view.tool(), self._viewer.layers.selection.active
        first = next(iter(tool.inputs), None)
        if chosen is None or first is None:
            return
        if not _is_offered(chosen):
            view.show_error(_explain_refused(chosen, tool), first)
        elif tool.inputs[first] != "labels" or isinstance(chosen, Labels):
            view.choose(first, chosen)

    def run(self) -> None:
        """Run the tool on what is chosen, in a thread and a process."""
        view, tool = self._view, self._view.tool()
        view.show_error("")
        view.set_table([])
        volumes = {}
        left_out = {}
        for name, kind in tool.inputs.items():
            try:
                volumes[name] = take_chosen(view.source(name), self._viewer)
                chosen = find_chosen_layer(view.source(name), self._viewer)
                if kind == "labels" and isinstance(chosen, Image):
                    raise DataError(
                        f"The layer {chosen.name!r} is an image, but {tool.title} needs a labels "
                        "layer; Number pieces makes one of a surface."
                    )
            except SurfsegError as error:
                view.show_error(str(error), name)
                return
            if name not in TRUTHS and (values := _find_left_out(chosen)):
                left_out[name] = values
        request = ToolRequest(
            tool, view.settings(), view.threshold_value(), view.folder(), left_out
        )
        # Another layer may be chosen, or this one removed, before it is done.
        source = None
        if tool.inputs:
            source = find_chosen_layer(view.source(next(iter(tool.inputs))), self._viewer)

        def work(process: JobProcess) -> ToolResult:
            return run_layer_tool(request, volumes, process)

        def done(result: ToolResult) -> None:
            self._show(tool, result, source)

        self._job.start(work, done=done, failed=self._on_failed)

    def save_table(self, path: str) -> None:
        """Write the table that is shown, whole, in a thread."""
        table, units = self._table, self._units

        def work(_job: Job) -> None:
            write_table(Path(path), table, units)

        def done(_nothing: None) -> None:
            self._view.set_state(f"The table is in {path}.")

        self._jobs.start("table", work, done=done, failed=self._on_failed)

    def choose_row(self, row: dict[str, Any]) -> None:
        """Select the label that a row is about in the layer that was measured."""
        layer = self._measured
        if isinstance(layer, Labels) and layer in self._viewer.layers and "label" in row:
            layer.selected_label = row["label"]
            self._viewer.layers.selection.active = layer

    def _show(self, tool: Tool, result: ToolResult, source: Layer | None) -> None:
        self._job.end()
        self._table, self._units, self._measured = result.table, result.units, source
        self._view.set_table(result.table, result.units)
        added = _build_layers(tool, result, source)
        for layer in added:
            self._viewer.add_layer(layer)
        said = "Done."
        if added:
            said = f"Added as {', '.join(repr(layer.name) for layer in added)}."
        elif _add_features(source, result.table):
            said = "Done; the values are shown where the pointer is on the layer, too."
        if result.path is not None:
            said += f" It lies in {result.path}."
        self._view.set_state(" ".join([said, *result.notes]))
        self.finished.emit(result)

    def _on_failed(self, error: SurfsegError) -> None:
        if isinstance(error, CancelledError):
            self._view.set_state("Cancelled; nothing was added.")
            return
        self._view.set_state("")
        self._view.show_error(str(error), error.field)


def _find_left_out(layer: Layer | None) -> list[int]:
    """Find the values of labels that mean no surface, where the layer says what they mean."""
    if not isinstance(layer, Labels):
        return []
    return sorted(value for value, what in meanings_of(layer).items() if value and what != SURFACE)


def _is_offered(layer: Layer) -> bool:
    return isinstance(layer, Image | Labels) and is_volume(layer)


def _explain_refused(layer: Layer, tool: Tool) -> str:
    """Say why a tool does not work on a layer."""
    if isinstance(layer, Image | Labels):
        found = f"has {layer.ndim} axes"
    else:
        # Marks are a kind of points layer of our own.
        kind = Points if isinstance(layer, Points) else type(layer)
        found = f"is a {kind.__name__.lower()} layer"
    return (
        f"The layer {layer.name!r} {found}, but {tool.title} needs an image or labels with the "
        "three axes Z, Y, X."
    )


def _guess(layers: Sequence[Layer], *, grey: bool, made: bool) -> Layer | None:
    """Guess the layer that is meant: the newest that the plugin made, or else a person's own."""
    wanted = {"probability"} if grey else {"surface"}
    ours = [layer for layer in layers if kind_of(layer) is not None and part_of(layer) in wanted]
    if made and ours:
        return ours[-1]
    own = [layer for layer in layers if kind_of(layer) is None and isinstance(layer, Labels)]
    return own[-1] if own else None


def _build_layers(tool: Tool, result: ToolResult, source: Layer | None) -> list[Layer]:
    """Make the layers of a result, exactly over the layer it was made from."""
    volume = result.source
    if volume is None:
        return [Layer.create(*data) for data in result.opened]
    place = (
        compute_placement(source, (0, 0, 0))
        if source is not None
        else place_of(volume.spacing, volume.translate, volume.units)
    )
    # Surfaces are in voxels: a layer that is turned has them turned as it is.
    opened = [
        MeshSurface(data, **(about | place))
        if kind == "surface"
        else Layer.create(data, about, kind)
        for data, about, kind in result.opened
    ]
    name = f"{volume.name.rstrip('/').rpartition('/')[2]} {tool.suffix}"
    about: dict[str, Any] = {"name": name, "metadata": {"surfseg": "tool", "part": tool.name}}
    if result.path is not None:
        about["metadata"]["surfseg_file"] = str(result.path)
    if result.labels is not None:
        multiscale = isinstance(result.labels, list)
        return [*opened, Labels(result.labels, multiscale=multiscale, **about, **place)]
    if result.mesh is not None:
        vertices, faces, units, values = result.mesh
        data, colours, said = colour_mesh(vertices, faces, values, units)
        about["metadata"] |= colours.pop("metadata", {})
        about["name"] += f": {said}" if said else ""
        return [*opened, MeshSurface(data, **colours, **about, **place)]
    return opened


def _add_features(layer: Layer | None, table: Table) -> bool:
    """Give a labels layer the measures of its labels; returns whether it has them."""
    labels = [row.get("label") for row in table]
    if not isinstance(layer, Labels) or not labels or None in labels:
        return False
    columns = {name: [row[name] for row in table] for name in table[0] if name != "label"}
    layer.features = {"index": labels, **columns}
    return True
