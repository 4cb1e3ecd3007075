"""What a tool gets that does a volume block by block, and tools that look no further than a margin.

A function by blocks takes one :class:`BlockWork`. It reads its inputs by boxes, writes labels
into the array that :meth:`BlockWork.create` gives or returns a table or a mesh, and keeps in
memory what does not grow with the volume, or little. The result is that of the same tool on the
whole volume, voxel by voxel, unless the page on tools says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from napari_surfseg.cancelling import raise_if_stopped
from napari_surfseg.geometry import box_slices, grow_box, iterate_blocks, to_index, whole_box

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import DTypeLike, NDArray

    from napari_surfseg.geometry import Box, Size3, Spacing3
    from napari_surfseg.surfaces.voxel_stores import VoxelReader, VoxelStore

__all__ = ["BLOCK", "BlockFunction", "BlockWork", "by_margin"]


#: Voxels done at once: those of a file of the result (``pyramid.SHARD``; importing that takes
#: zarr, which a window at its start has no need of).
BLOCK: Size3 = (128, 256, 256)


@dataclass(frozen=True)
class BlockWork:
    """A tool's work on a volume of any size.

    Attributes
    ----------
    inputs : mapping
        Each input by its name, read by slices; masks are cut already.
    settings : mapping
        All of the tool, checked.
    create : callable
        Makes the array of the result, all 0, of a dtype; once.
    scratch : Path
        A folder for what is kept meanwhile, on the disk of the result; it is removed.
    spacing : tuple of float
        Voxel size.
    block : tuple of int
        Voxels done at once: a file of the result.
    report : callable
        Called with the stage and its share.
    notes : list of str
        Sentences for the person; to be added to.
    """

    inputs: Mapping[str, VoxelReader]
    settings: Mapping[str, Any]
    create: Callable[[DTypeLike], VoxelStore]
    scratch: Path
    spacing: Spacing3 = (1.0, 1.0, 1.0)
    block: Size3 = BLOCK
    report: Callable[[str, float], None] = lambda _stage, _share: None
    notes: list[str] = field(default_factory=list)

    @property
    def first(self) -> VoxelReader:
        """The first input."""
        return next(iter(self.inputs.values()))

    def make_scratch(self, dtype: DTypeLike) -> VoxelStore:
        """Make an array for what is kept meanwhile, all 0, on the disk of the result."""
        from napari_surfseg.inference.pyramid import create_array

        number = len(list(self.scratch.glob("scratch*.zarr")))
        shape = to_index(self.first.shape)
        return create_array(self.scratch / f"scratch{number}.zarr", None, shape, dtype=dtype)

    def iterate(self, stage: str) -> Iterator[Box]:
        """Iterate over the blocks of the volume, reporting how far it is; ends when asked to."""
        boxes = list(iterate_blocks(whole_box(self.first.shape), self.block))
        for done, box in enumerate(boxes):
            self.report(stage, done / len(boxes))
            raise_if_stopped()
            yield box
        self.report(stage, 1.0)


#: Writes labels into what ``create`` gives, or returns a table or a mesh.
BlockFunction: TypeAlias = "Callable[[BlockWork], Any]"


def by_margin(
    function: Callable[..., NDArray[Any]],
    margin: Callable[[Mapping[str, Any]], int] = lambda _settings: 0,
) -> BlockFunction:
    """Make a tool by blocks of one of which a voxel depends on what is within a margin alone.

    Parameters
    ----------
    function : callable
        Arrays by name and settings in, an array of the same shape out.
    margin : callable
        Of the settings: how many voxels around a block decide about it.
    """

    def run(work: BlockWork) -> None:
        whole = whole_box(work.first.shape)
        around = margin(work.settings)
        target: VoxelStore | None = None
        for box in work.iterate("computing"):
            seen = grow_box(box, around, whole)
            arrays = {name: values[box_slices(seen)] for name, values in work.inputs.items()}
            found = function(**arrays, **work.settings)[box_slices(box, seen[0])]
            target = target if target is not None else work.create(found.dtype)
            if found.any():
                target[box_slices(box)] = found

    return run
