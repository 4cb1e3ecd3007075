"""Show volumes of the stream in one picture: look at them before a network learns from them.

    python tools/pretrain/contact_sheet.py tools/pretrain/surfaces-tiny.yaml sheet.png

A column is a volume: a plane across Z, the same with the surfaces in red, and a plane across Y.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image
from stream import Stream
from train import read_settings


def main() -> None:
    """Make some volumes of each kind of the settings."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("settings", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--count", type=int, default=10, help="of each kind")
    parser.add_argument("--kinds", nargs="+")
    arguments = parser.parse_args()
    settings = read_settings(arguments.settings, [])
    rows = []
    for kind in arguments.kinds or settings.shares:
        stream = Stream(settings.seed, settings.volume, {kind: 1.0}, settings.recorded)
        columns = []
        for number in range(arguments.count):
            pair = stream.make(number)
            middle = pair.image.shape[0] // 2
            across_z = np.stack([pair.image[middle]] * 3, axis=-1)
            marked = across_z.copy()
            marked[pair.labels[middle] == 1] = 255, 0, 0
            across_y = np.stack([pair.image[:, pair.image.shape[1] // 2]] * 3, axis=-1)
            columns.append(np.vstack([across_z, marked, across_y]))
        rows.append(np.hstack(columns))
    picture = Image.fromarray(np.vstack(rows))
    picture.resize((2 * picture.width, 2 * picture.height), Image.Resampling.NEAREST).save(
        arguments.picture
    )


if __name__ == "__main__":
    main()
