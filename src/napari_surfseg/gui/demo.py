"""The window half of the demo: napari on the phantom, docked, training.

``python -m napari_surfseg.gui.demo`` opens napari and starts. With
``--screenshots FOLDER`` it also plays the part of the person (under a virtual
display, say), keeps a picture of the screen at every stage, predicts, and closes.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from napari_surfseg.gui.layers.camera import camera_of
from napari_surfseg.gui.layers.metadata import kind_of, part_of
from napari_surfseg.gui.predict.widget import PredictWidget
from napari_surfseg.gui.window.dock_layout import show_dock
from napari_surfseg.gui.window.main_window import find_main_window
from napari_surfseg.gui.window.screen import grab_screen, live, settle
from napari_surfseg.runs.folder import RunFolder, RunState

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.layers import Layer
    from qtpy.QtWidgets import QMainWindow

    from napari_surfseg.gui.training.widget import SurfaceTrainingWidget

__all__ = ["Demo", "main"]

#: The smallest screen on which everything must be readable.
WINDOW_SIZE = (1280, 800)


class Demo:
    """A napari window with the phantom and the training widget, driven by a script.

    Parameters
    ----------
    runs : Path
        Where the run is made.
    theme : str
        ``dark`` or ``light``.
    sample : str
        ``scroll_dense`` or ``scroll_strokes``.
    screenshots : Path, optional
        Folder of the pictures.
    """

    def __init__(
        self,
        runs: Path,
        *,
        theme: str = "dark",
        sample: str = "scroll_dense",
        screenshots: Path | None = None,
    ) -> None:
        import napari

        self.viewer = napari.Viewer(title="Surface segmentation", show_welcome_screen=False)
        self.viewer.theme = theme
        self.viewer.window.resize(*WINDOW_SIZE)
        self.viewer.open_sample("napari-surfseg", sample)
        self._screenshots = screenshots
        if screenshots is not None:
            screenshots.mkdir(parents=True, exist_ok=True)
        _dock, widget = self.viewer.window.add_plugin_dock_widget(
            "napari-surfseg", "Surface training"
        )
        self.training: SurfaceTrainingWidget = widget
        self.training.view.set_folder(runs)
        self.training.view.training.name.setText("scroll")
        if screenshots is not None:
            self.window.move(0, 0)  # without a window manager nothing else puts it in full view

    @property
    def window(self) -> QMainWindow:
        """The main window of napari."""
        window = find_main_window(self.training)
        if window is None:
            raise RuntimeError("The widget is in no window.")
        return window

    @property
    def state(self) -> RunState | None:
        """State of the run."""
        snapshot = self.training.session.snapshot
        return None if snapshot is None else snapshot.state

    def start(self, *, minutes: float = 2.0) -> None:
        """Press Start, as a person would."""
        view = self.training.view
        view.training.length.setValue(minutes)
        view.training.steps.setValue(50)
        view.run.start.click()

    def wait(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Run the event loop until a condition holds; returns whether it does."""
        return live(seconds, until=condition)

    def need(self, condition: Callable[[], bool], seconds: float, what: str) -> None:
        """Run the event loop until a condition holds.

        Raises
        ------
        RuntimeError
            If it does not hold within so many seconds.
        """
        if not self.wait(condition, seconds):
            said = self.training.view.run.state.text()
            raise RuntimeError(f"Waited {seconds:.0f} s for {what}. {said}")

    def shoot(self, name: str) -> None:
        """Keep a picture of the window as the screen shows it.

        Raises
        ------
        RuntimeError
            If the platform lets no program look at the screen, or the disk takes no picture.
        """
        if self._screenshots is None:
            return
        settle()
        path = self._screenshots / f"{name}.png"
        picture = grab_screen(self.window)
        if picture.isNull():
            raise RuntimeError(
                "This platform lets no program take pictures of the screen; run it under a virtual "
                "display (xvfb-run)."
            )
        if not picture.save(str(path)):
            raise RuntimeError(f"The picture {path} cannot be written.")

    def play(self, *, minutes: float, patience: float = 300.0) -> Path:
        """Train and predict, with a picture of every stage; returns the run folder.

        Raises
        ------
        RuntimeError
            If a stage does not come within ``patience`` seconds.
        """
        view, session = self.training.view, self.training.session
        self.need(lambda: bool(view.data.labels.counts), patience, "the counts")
        self.shoot("1_volume_and_labels")
        for index, name in ((1, "network"), (2, "losses"), (3, "training")):
            view.tabs.setCurrentIndex(index)
            self.shoot(f"2_{name}")
        view.tabs.setCurrentIndex(0)
        self.start(minutes=minutes)
        shown = self.training.live.layers
        self.need(lambda: shown.prediction is not None, patience, "a live prediction")
        self.viewer.reset_view()  # the curves took a part of the canvas
        self.shoot("3_first_prediction")
        view.tabs.setCurrentIndex(2)
        self._need_progress(0.6, 60 * minutes + patience)
        labels = view.data.pairs()[0].labels
        layer = labels.layer if labels is not None else None
        if layer is not None:
            layer.visible = False  # they would hide what they are to be compared with
        self.shoot("4_learning")
        self._look_in_3d()
        if layer is not None:
            layer.visible = True
        over = {RunState.COMPLETED, RunState.FAILED, RunState.STOPPED, RunState.VANISHED}
        self.need(lambda: self.state in over, 60 * minutes + patience, "the end")
        view.tabs.setCurrentIndex(0)
        self.shoot("6_trained")
        if session.run_dir is None or self.state is not RunState.COMPLETED:
            raise RuntimeError(f"The run did not complete: {view.run.state.text()}")
        self.predict(session.run_dir, patience)
        return session.run_dir

    def _need_progress(self, share: float, seconds: float) -> None:
        session = self.training.session
        self.need(
            lambda: session.snapshot is not None and session.snapshot.progress > share,
            seconds,
            "the training",
        )

    def _look_in_3d(self) -> None:
        """Keep a picture of the live box in 3-D, without the volume in front of it."""
        layers = self.viewer.layers
        hidden = [x for x in layers if x.visible and x.metadata.get("surfseg") != "live"]
        self._turn_to_3d(hidden)
        self.shoot("5_live_box_in_3d")
        self.viewer.dims.ndisplay = 2
        for layer in hidden:
            layer.visible = True
        self.viewer.reset_view()

    def _turn_to_3d(self, hidden: list[Layer]) -> None:
        for layer in hidden:
            layer.visible = False
        self.viewer.dims.ndisplay = 3
        self.viewer.reset_view()
        camera_of(self.viewer).angles = (10.0, -30.0, 60.0)

    def predict(self, run_dir: Path, patience: float) -> None:
        """Predict the whole volume and show its mesh."""
        self.training.view.run.live.setChecked(False)
        dock = show_dock(PredictWidget, self.viewer, self.training)
        predictor = dock.controller
        dock.view.set_folder(run_dir.parent / "predictions")
        self.training.view.run.next_steps.predict_volume.click()
        self.need(lambda: predictor.is_busy or predictor.last is not None, 10, "the prediction")
        self.need(lambda: not predictor.is_busy, patience, "the prediction")
        made = [layer for layer in self.viewer.layers if kind_of(layer) == "prediction"]
        parts = {part_of(layer): layer for layer in made}
        for layer in self.viewer.layers:
            layer.visible = layer in (predictor.last_source, parts["surface"])
        self.shoot("7_predicted")
        self._turn_to_3d([layer for layer in self.viewer.layers if layer is not parts["mesh"]])
        parts["mesh"].visible = True
        self.shoot("8_mesh")
        self.viewer.dims.ndisplay = 2

    def close(self) -> None:
        """Close the window; a run under way goes on."""
        self.training.session.close()
        self.viewer.close()


def main(arguments: list[str] | None = None) -> int:
    """Run the demo; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of the run")
    parser.add_argument("--minutes", type=float, default=2.0, help="length of the training")
    parser.add_argument("--theme", choices=("dark", "light"), default="dark")
    parser.add_argument("--screenshots", type=Path, help="play it alone and keep pictures here")
    options = parser.parse_args(arguments)
    demo = Demo(options.runs.resolve(), theme=options.theme, screenshots=options.screenshots)
    if options.screenshots is None:
        import napari

        demo.start(minutes=options.minutes)
        napari.run()
        return 0
    try:
        run_dir = demo.play(minutes=options.minutes)
        demo.wait(lambda: RunFolder(run_dir).report_path.exists(), 60)
    except RuntimeError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    finally:
        demo.close()
    said = [f"pictures of each stage: {options.screenshots}"]
    if RunFolder(run_dir).report_path.exists():
        said.append(f"report: {RunFolder(run_dir).report_path}")
    sys.stdout.write("\n".join(said) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
