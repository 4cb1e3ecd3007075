"""Places, sizes and boxes in a volume: one name and one meaning each, everywhere.

All are ``(Z, Y, X)``. Plain tuples, so that they are written to YAML and JSON as they are,
compare by value and cost nothing.
"""

from __future__ import annotations

from typing import TypeAlias

__all__ = ["Box", "Index3", "Size3", "Spacing3"]

#: Place of a voxel, counted from the first one of its volume.
Index3: TypeAlias = tuple[int, int, int]
#: Numbers of voxels along the axes.
Size3: TypeAlias = tuple[int, int, int]
#: Voxel size, or a place, in the unit of the volume.
Spacing3: TypeAlias = tuple[float, float, float]
#: Start and stop corner, half open: ``start`` lies inside and ``stop`` does not.
Box: TypeAlias = tuple[Index3, Index3]
