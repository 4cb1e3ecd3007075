"""Make the pictures of the documentation from the real window, so that they are never stale.

Run it where there is a display, or under a virtual one::

    xvfb-run -a -s "-screen 0 1280x800x24" python docs/make_screenshots.py

``--only topology_errors`` makes that one, for which nothing is trained.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
from scipy import ndimage

from napari_surfseg.gui.demo import Demo

IMAGES = Path(__file__).parent / "images"

#: Which stage of the demo is which picture of the pages.
PICTURES = {
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
}


#: The picture that needs no training.
TOPOLOGY = "topology_errors"


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


def shoot_topology_errors(output: Path, theme: str, patience: float) -> Path:
    """Compare a flawed prediction with its labels, and fly to one of the errors."""
    with tempfile.TemporaryDirectory() as folder:
        demo = Demo(Path(folder) / "runs", theme=theme, screenshots=Path(folder))
        try:
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
                metadata={"surfseg": "prediction"},
            )
            labels.visible = False
            dock, widget = viewer.window.add_plugin_dock_widget(
                "napari-surfseg", "Topology errors", tabify=True
            )
            dock.raise_()
            if not demo.wait(lambda: bool(widget.view.meaning_rows), patience):
                raise RuntimeError("The label values were not counted.")
            widget.view.compute.click()
            if not demo.wait(lambda: not widget.controller.is_busy, patience):
                raise RuntimeError("The comparison did not end.")
            kinds = [error.name for error in widget.view.model.errors]
            widget.view.table.selectRow(kinds.index("hole") + 1)
            demo.shoot(TOPOLOGY)
            return Path(shutil.copy(Path(folder) / f"{TOPOLOGY}.png", output))
        finally:
            demo.close()


def main() -> int:
    """Play the demo and put its pictures in place."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=3.0, help="length of the training")
    parser.add_argument("--theme", choices=("dark", "light"), default="dark")
    parser.add_argument("--output", type=Path, default=IMAGES)
    parser.add_argument("--patience", type=float, default=300.0, help="seconds to wait for a stage")
    parser.add_argument("--only", choices=(TOPOLOGY,), help="make this picture alone")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    print(shoot_topology_errors(options.output, options.theme, options.patience))
    if options.only:
        return 0
    with tempfile.TemporaryDirectory() as folder:
        shots = Path(folder) / "shots"
        demo = Demo(Path(folder) / "runs", theme=options.theme, screenshots=shots)
        try:
            demo.play(minutes=options.minutes, patience=options.patience)
        finally:
            demo.close()
        for stage, name in PICTURES.items():
            shutil.copy(shots / f"{stage}.png", options.output / f"{name}.png")
            print(options.output / f"{name}.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
