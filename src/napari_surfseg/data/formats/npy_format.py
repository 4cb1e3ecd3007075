"""NumPy's npy files, mapped into memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_surfseg.data.volume import ArrayVolume
from napari_surfseg.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

    from napari_surfseg.data.volume import Volume

__all__ = ["open_npy"]


def open_npy(path: Path, *, source: str) -> Volume:
    """Map an npy file; files with pickled objects are refused unread."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        if "Python objects" in str(error) or "allow_pickle" in str(error):
            raise DataError(
                f"{source} holds Python objects; integers, real numbers or booleans are needed."
            ) from error
        raise DataError(
            f"{source} is not a readable npy file; it seems to be damaged or incomplete."
        ) from error
    return ArrayVolume(array, name=path.name, source=source)
