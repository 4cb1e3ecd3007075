"""What is read, and written, by slices: an array, or a volume that is larger than memory."""

from __future__ import annotations

from typing import Any, Protocol

__all__ = ["VoxelReader", "VoxelStore"]


class VoxelReader(Protocol):
    """Read by slices."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Z, Y, X."""

    @property
    def dtype(self) -> Any:
        """Of the voxels."""

    def __getitem__(self, key: Any, /) -> Any: ...


class VoxelStore(VoxelReader, Protocol):
    """Read and written by slices: a NumPy or a zarr array."""

    def __setitem__(self, key: Any, value: Any, /) -> None: ...
