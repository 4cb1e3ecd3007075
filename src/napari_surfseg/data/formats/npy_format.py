"""NumPy's npy files, mapped into memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_surfseg.data.volume import ArrayVolume
from napari_surfseg.errors import DataError

if TYPE_CHECKING:
    from napari_surfseg.data.source import Source
    from napari_surfseg.data.volume import Volume

__all__ = ["open_npy"]


def open_npy(source: Source) -> Volume:
    """Map an npy file; files with pickled objects are refused unread."""
    try:
        array = np.load(source.path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        if "Python objects" in str(error) or "allow_pickle" in str(error):
            raise DataError(
                f"{source.text} holds Python objects; integers, real numbers or booleans are "
                "needed."
            ) from error
        raise DataError(
            f"{source.text} is not a readable npy file; it seems to be damaged or incomplete."
        ) from error
    return ArrayVolume(array, name=source.path.name, source=source.text)
