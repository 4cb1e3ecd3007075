"""Where the decisions on a layer are kept: beside what it was read from."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from napari_surfseg.gui.layers.metadata import file_of
from napari_surfseg.proofreading.record import RECORD_NAME

if TYPE_CHECKING:
    from napari.layers import Layer

__all__ = ["RECORD_KEY", "find_record_path"]

#: Under which a layer's metadata keep where the decisions are, once they have a place.
RECORD_KEY = "surfseg_record"


def find_record_path(layer: Layer, folder: Path) -> Path:
    """Find the file of the decisions on a layer.

    Parameters
    ----------
    layer : Layer
        The result that is mended.
    folder : Path
        Where those go that belong to no file: each layer gets a folder in it.

    Returns
    -------
    Path
        In the folder of its prediction; else beside its file, under the file's name. The same
        for the same layer as long as it is open.
    """
    known = layer.metadata.get(RECORD_KEY)
    if not known:
        known = layer.metadata[RECORD_KEY] = str(_choose(layer, folder))
    return Path(known)


def _choose(layer: Layer, folder: Path) -> Path:
    made_in = layer.metadata.get("folder")
    if made_in:
        return Path(made_in) / RECORD_NAME
    file = file_of(layer)
    if file and "://" not in file:
        path = Path(file.partition("::")[0])
        if (path.parent / RECORD_NAME).exists() or list(path.parent.glob("probabilities.*")):
            return path.parent / RECORD_NAME
        return path.with_name(f"{path.stem}.{RECORD_NAME}")
    name = "".join(sign if sign.isalnum() else "_" for sign in layer.name)
    return folder / f"{name}_{time.strftime('%Y%m%d_%H%M%S')}" / RECORD_NAME
