"""Make the pictures of the documentation from the real window, so that they are never stale.

Run it where there is a display, or under a virtual one::

    xvfb-run -a -s "-screen 0 1280x800x24" python docs/make_screenshots.py
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

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
    "5_trained": "trained",
    "6_predicted": "predicted",
    "7_mesh": "mesh",
}


def main() -> int:
    """Play the demo and put its pictures in place."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=3.0, help="length of the training")
    parser.add_argument("--theme", choices=("dark", "light"), default="dark")
    parser.add_argument("--output", type=Path, default=IMAGES)
    parser.add_argument("--patience", type=float, default=300.0, help="seconds to wait for a stage")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
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
