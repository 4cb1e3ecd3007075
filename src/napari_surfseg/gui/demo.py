"""The window half of the demo: napari on the phantom, docked, training.

``python -m napari_surfseg.gui.demo`` opens napari and starts. With
``--screenshots FOLDER`` it also plays the part of the person (under a virtual
display, say), keeps a picture of every stage, predicts, and closes.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from napari_surfseg.runs.folder import RunFolder, RunState

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_surfseg.gui.training import SurfaceTrainingWidget

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
        self.training.view.name.setText("scroll")

    @property
    def state(self) -> RunState | None:
        """State of the run."""
        snapshot = self.training.session.snapshot
        return None if snapshot is None else snapshot.state

    def start(self, *, minutes: float = 2.0) -> None:
        """Press Start, as a person would."""
        view = self.training.view
        view.length.setValue(minutes)
        view.steps.setValue(50)
        view.run.start.click()

    def turn(self, seconds: float) -> None:
        """Let the window live for a while."""
        self.wait(lambda: False, seconds)

    def wait(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Let the window live until something is so; returns whether it came to be."""
        from qtpy.QtWidgets import QApplication

        end = time.monotonic() + seconds
        while time.monotonic() < end:
            QApplication.processEvents()
            if condition():
                return True
            time.sleep(0.01)
        return condition()

    def shoot(self, name: str) -> None:
        """Keep a picture of the whole window."""
        if self._screenshots is None:
            return
        self.turn(0.5)
        path = self._screenshots / f"{name}.png"
        self.viewer.screenshot(str(path), canvas_only=False, flash=False)

    def play(self, *, minutes: float, patience: float = 300.0) -> Path:
        """Train and predict, with a picture of every stage; returns the run folder.

        Raises
        ------
        RuntimeError
            If a stage does not come within ``patience`` seconds.
        """
        view, session = self.training.view, self.training.session
        self.turn(1.0)
        self.shoot("1_volume_and_labels")
        for index, name in ((1, "network"), (2, "losses"), (3, "training")):
            view.tabs.setCurrentIndex(index)
            self.shoot(f"2_{name}")
        view.tabs.setCurrentIndex(0)
        self.start(minutes=minutes)
        live = self.training.live.layers
        self._need(lambda: live.prediction is not None, patience, "a live prediction")
        self.shoot("3_first_prediction")
        view.tabs.setCurrentIndex(2)
        self._need(
            lambda: session.snapshot is not None and session.snapshot.progress > 0.6,
            60 * minutes + patience,
            "the training",
        )
        self.shoot("4_learning")
        over = {RunState.COMPLETED, RunState.FAILED, RunState.STOPPED, RunState.VANISHED}
        self._need(lambda: self.state in over, 60 * minutes + patience, "the end")
        self.shoot("5_trained")
        if session.run_dir is None or self.state is not RunState.COMPLETED:
            raise RuntimeError(f"The run did not complete: {view.run.state.text()}")
        self.predict(session.run_dir, patience)
        return session.run_dir

    def predict(self, run_dir: Path, patience: float) -> None:
        """Predict the whole volume and show its mesh."""
        self.training.view.run.live.setChecked(False)
        dock, predict = self.viewer.window.add_plugin_dock_widget(
            "napari-surfseg", "Predict surfaces", tabify=True
        )
        dock.raise_()
        predict.view.set_folder(run_dir.parent / "predictions")
        predict.view.set_checkpoint(str(run_dir))
        predict.view.predict.click()
        self._need(lambda: not predict.controller.is_busy, patience, "the prediction")
        for name in ("live prediction", "live skeleton"):
            if name in self.viewer.layers:
                self.viewer.layers.remove(name)
        for layer in self.viewer.layers:
            layer.visible = layer.name in {"scroll", "scroll surface"}
        self.shoot("6_predicted")
        for layer in self.viewer.layers:
            layer.visible = layer.name == "scroll mesh"
        self.viewer.dims.ndisplay = 3
        self.viewer.reset_view()
        self.shoot("7_mesh")
        self.viewer.dims.ndisplay = 2

    def _need(self, condition: Callable[[], bool], seconds: float, what: str) -> None:
        if not self.wait(condition, seconds):
            said = self.training.view.run.state.text()
            raise RuntimeError(f"Waited {seconds:.0f} s in vain for {what}. {said}")

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
