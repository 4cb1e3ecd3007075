"""Which chunks of a zarr array are stored, the inner ones of a sharded array among them."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any

import numpy as np
from zarr.abc.store import RangeByteRequest, SuffixByteRequest
from zarr.codecs import BytesCodec, Crc32cCodec, ShardingCodec
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync

from napari_surfseg.cancelling import raise_if_stopped
from napari_surfseg.data.formats.chunk_listing import (
    ChunkNames,
    collect_chunks,
    find_ranges,
    list_inner_chunks,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_surfseg.data.formats.axes import AxisOrder
    from napari_surfseg.data.formats.zarr_store import ZarrTree
    from napari_surfseg.data.stored_chunks import StoredChunks
    from napari_surfseg.geometry import Box, Size3

__all__ = ["ZarrChunks"]

#: Shards whose own lists are read; of more, each counts as a whole.
MAX_SHARDS = 20_000
#: Lists that are read at once.
SHARDS_AT_ONCE = 64
#: Where a shard's list says that an inner chunk is missing.
MISSING = 2**64 - 1


class ZarrChunks:
    """Finds the chunks of one array.

    Parameters
    ----------
    tree : ZarrTree
        What it is part of.
    path : str
        Where it lies there.
    array : zarr.Array
        Itself.
    """

    def __init__(self, tree: ZarrTree, path: str, array: Any) -> None:
        self._tree, self._path, self._array = tree, path, array

    def find(self, shape: Size3, order: AxisOrder, box: Box) -> StoredChunks | None:
        """List the chunks under a box of a volume read in some order of axes."""
        array = self._array
        outer = order.pick(array.shards or array.chunks)
        found = self._tree.find_chunks(
            self._path, self._name_chunks(), find_ranges(order, box, outer)
        )
        if found is None:
            return None
        fill = array.fill_value
        made = collect_chunks(found, order, shape, outer, 0.0 if fill is None else float(fill))
        if made is None:
            return None
        if array.shards is None or len(made) > MAX_SHARDS:
            return made
        return list_inner_chunks(made, order.pick(array.chunks), self._read_lists(made, order))

    def _name_chunks(self) -> ChunkNames:
        metadata = self._array.metadata
        if metadata.zarr_format == 2:
            return ChunkNames("", metadata.dimension_separator, self._array.ndim)
        encoding = metadata.chunk_key_encoding
        prefix = "" if encoding.name == "v2" else f"c{encoding.separator}"
        return ChunkNames(prefix, encoding.separator, self._array.ndim)

    def _read_lists(self, shards: StoredChunks, order: AxisOrder) -> list[NDArray[np.bool_] | None]:
        """Read which inner chunks each shard holds; None where it cannot be read."""
        codec = self._array.metadata.codecs[0]
        kinds = [type(each) for each in codec.index_codecs] if _is_sharding(codec) else []
        if kinds not in ([BytesCodec], [BytesCodec, Crc32cCodec]):
            return [None] * len(shards)
        if str(getattr(codec.index_codecs[0].endian, "value", "little")) != "little":
            return [None] * len(shards)
        per = [a // b for a, b in zip(self._array.shards, self._array.chunks, strict=True)]
        num_bytes = 16 * math.prod(per)
        at_end = str(codec.index_location.value) == "end"
        whole = num_bytes + (4 if len(kinds) == 2 else 0)
        wanted = SuffixByteRequest(whole) if at_end else RangeByteRequest(0, num_bytes)
        keys = []
        for place in shards.indices.tolist():
            index = [0] * order.num_axes
            for axis, number in zip(order.zyx, place, strict=True):
                index[axis] = number
            keys.append(self._array.metadata.encode_chunk_key(tuple(index)))
        rest = [axis for axis in range(order.num_axes) if axis not in order.zyx]
        lists: list[NDArray[np.bool_] | None] = []
        for begin in range(0, len(keys), 16 * SHARDS_AT_ONCE):
            raise_if_stopped()
            part = keys[begin : begin + 16 * SHARDS_AT_ONCE]
            for data in sync(_read_ends(self._array.store_path, part, wanted)):
                if data is None or len(data) < num_bytes:
                    lists.append(None)
                    continue
                entries = np.frombuffer(data[:num_bytes], "<u8").reshape(*per, 2)
                there = entries[..., 1] != MISSING
                lists.append(
                    there.transpose(*order.zyx, *rest).reshape(*order.pick(per), -1)[..., 0]
                )
        return lists


def _is_sharding(codec: Any) -> bool:
    return isinstance(codec, ShardingCodec)


async def _read_ends(place: Any, keys: list[str], wanted: Any) -> list[bytes | None]:
    """Read a part of some files, several at once; None for one that cannot be read."""
    slots = asyncio.Semaphore(SHARDS_AT_ONCE)

    async def read(key: str) -> bytes | None:
        async with slots:
            try:
                found = await (place / key).get(default_buffer_prototype(), byte_range=wanted)
            except Exception:  # noqa: BLE001  whoever reads its voxels reports it
                return None
        return None if found is None else found.to_bytes()

    return await asyncio.gather(*map(read, keys))
