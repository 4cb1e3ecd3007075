"""Make the pictures of the documentation from the real window, so that they are never stale.

Each is a grab of the screen under Qt's own event loop. Run it where there is a display, or under a
virtual one::

    xvfb-run -a -s "-screen 0 1280x800x24" python docs/make_screenshots.py

``--only proofread`` makes one story's pictures, ``--theme light`` puts them all in a light
window into ``build/images_light``, to be looked at.
"""

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from mouse_strokes import drag, find_background_lines, find_surface_lines
from scipy import ndimage

from napari_surfseg.gui.demo import Demo
from napari_surfseg.gui.window.screen import live

IMAGES = Path(__file__).parent / "images"
LIGHT_IMAGES = Path(__file__).parent.parent / "build" / "images_light"

#: For each story, which of its stages is which picture of the pages.
PICTURES = {
    "proofread": {"proofread": "proofread"},
    "strokes": {
        "strokes": "strokes",
        "strokes_first_prediction": "strokes_first_prediction",
        "strokes_learned": "strokes_learned",
    },
    "training": {
        "1_volume_and_labels": "data_page",
        "2_network": "network_page",
        "2_losses": "losses_page",
        "2_training": "training_page",
        "3_first_prediction": "first_prediction",
        "4_learning": "learning",
        "5_live_box_in_3d": "live_box_in_3d",
        "6_trained": "trained",
        "7_predicted": "predicted",
        "8_mesh": "mesh",
    },
}

#: Slices that are painted on: the one to be seen last.
SLICES = (24, 54, 39)


def make_flawed_prediction(labels: np.ndarray) -> np.ndarray:
    """Make a prediction of a labelled surface with every kind of error in it."""
    surface = labels == 1
    pred = surface.copy()
    z, y, x = np.indices(labels.shape, sparse=True)
    rng = np.random.default_rng(3)
    for place in rng.permutation(np.argwhere(surface))[:14]:  # tears
        radius = rng.uniform(2, 6)
        pred &= (z - place[0]) ** 2 + (y - place[1]) ** 2 + (x - place[2]) ** 2 > radius**2
    beside = ndimage.distance_transform_edt(~surface)
    for place in rng.permutation(np.argwhere((beside > 3) & (labels == 0)))[:10]:  # specks
        pred |= (z - place[0]) ** 2 + (y - place[1]) ** 2 + (x - place[2]) ** 2 < 5
    for z0, y0, x0 in rng.permutation(np.argwhere((beside > 4) & (labels == 0)))[:12]:  # bridges
        column = labels[z0, :, x0]
        above, below = np.flatnonzero(column[:y0] == 1), np.flatnonzero(column[y0:] == 1)
        if above.size and below.size and not (column[above[-1] : y0 + below[0]] == 2).any():
            pred[z0 : z0 + 3, above[-1] : y0 + below[0] + 1, x0 : x0 + 3] = True
    return pred.astype(np.uint8)


def play_proofread(demo: Demo, options: argparse.Namespace) -> None:
    """Compare a flawed prediction with its labels, and decide on the first errors."""
    viewer = demo.viewer
    labels = viewer.layers["inner face"]
    pred = make_flawed_prediction(np.asarray(labels.data))
    viewer.add_labels(
        pred,
        name="scroll surface",
        opacity=0.5,
        scale=labels.scale,
        units=labels.units,
        axis_labels=labels.axis_labels,
        metadata={"surfseg": "prediction", "part": "surface", "folder": tempfile.mkdtemp()},
    )
    labels.visible = False
    _dock, widget = viewer.window.add_plugin_dock_widget("napari-surfseg", "Proofread")
    demo.need(lambda: bool(widget.view.meanings()), options.patience, "the counts")
    widget.view.job.start.click()
    demo.need(lambda: widget.controller.is_busy, 10, "the comparison")
    demo.need(lambda: "hole" in widget.controller.shown.layers, options.patience, "the comparison")
    live(1.0)
    kinds = [error.name for error in widget.view.list.model.errors]
    for index in (kinds.index("extra component"), kinds.index("hole")):
        widget.view.list.select(index)
        widget.view.panel.buttons["reject"].click()
        demo.need(lambda: not widget.controller.mends.is_mending, 30, "the mend")
    widget.view.list.select(kinds.index("hole") + 1)
    demo.shoot("proofread")


def play_strokes(demo: Demo, options: argparse.Namespace) -> None:
    """Paint strokes with the mouse, start, and see what becomes of them."""
    viewer, view, session = demo.viewer, demo.training.view, demo.training.session
    truth = np.asarray(viewer.layers["inner face"].data)
    viewer.layers.remove("inner face")
    live(0.5)
    view.data.paint.click()
    live(0.5)
    viewer.reset_view()
    strokes = viewer.layers["scroll strokes"]
    for z in SLICES:
        viewer.dims.set_current_step(0, z)
        surface, background = truth[z] == 1, truth[z] == 0
        for meaning, lines in (
            ("foreground", find_surface_lines(surface, 5)),
            ("background", find_background_lines(surface, background, 6)),
        ):
            view.strokes.brush.buttons[meaning].click()
            for line in lines:
                live(0.1)
                drag(viewer, strokes, line)
    painted = {value: int((np.asarray(strokes.data) == value).sum()) for value in (1, 2)}
    demo.need(
        lambda: painted.items() <= view.data.labels.counts.items(), options.patience, "the counts"
    )
    demo.shoot("strokes")
    demo.start(minutes=options.minutes)
    shown = demo.training.live.layers
    demo.need(lambda: shown.prediction is not None, options.patience, "a live prediction")
    viewer.reset_view()  # the curves took a part of the canvas
    demo.shoot("strokes_first_prediction")
    # Until the live prediction is the network's alone.
    demo.need(
        lambda: not session.is_active or (shown.shown is not None and shown.shown.step > 200),
        60 * options.minutes + options.patience,
        "what the network learned",
    )
    demo.shoot("strokes_learned")
    if session.is_active:
        view.run.stop.click()
    demo.need(lambda: not session.is_active, options.patience, "the end")


def play_training(demo: Demo, options: argparse.Namespace) -> None:
    """Train, predict, and look at everything on the way."""
    demo.play(minutes=options.minutes, patience=options.patience)


STORIES = {
    "proofread": play_proofread,
    "strokes": play_strokes,
    "training": play_training,
}


def make_pictures(story: str, options: argparse.Namespace) -> None:
    """Play one story and put its pictures in place."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="scroll_") as folder:
        shots = Path(folder) / "shots"
        demo = Demo(Path(folder) / "runs", theme=options.theme, screenshots=shots)
        try:
            STORIES[story](demo, options)
        finally:
            if demo.training.session.is_active:
                demo.training.controller.stop()
                demo.wait(lambda: not demo.training.session.is_active, 60)
            demo.close()
        for stage, name in PICTURES[story].items():
            print(shutil.copy(shots / f"{stage}.png", options.output / f"{name}.png"))
    print(f"{story}: {time.monotonic() - begun:.0f} s", flush=True)


def main() -> int:
    """Make the pictures of every story."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=2.0, help="length of the training")
    parser.add_argument("--theme", choices=("dark", "light"), default="dark")
    parser.add_argument("--output", type=Path, help="folder of the pictures")
    parser.add_argument("--patience", type=float, default=120.0, help="seconds to wait for a stage")
    parser.add_argument("--only", choices=tuple(STORIES), help="make this story's pictures alone")
    options = parser.parse_args()
    options.output = options.output or (IMAGES if options.theme == "dark" else LIGHT_IMAGES)
    options.output.mkdir(parents=True, exist_ok=True)
    for story in [options.only] if options.only else STORIES:
        make_pictures(story, options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
