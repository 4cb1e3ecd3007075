"""What a checkpoint's file says of its contents, checked before anything of that size is allocated.

torch reads a tensor as a size, strides and a piece of storage, and believes all three. A file of
10 kB can so ask for any amount of memory: by strides of 0, by storages that are longer than their
record, by records that are compressed or lie upon each other, or by lists that hold one another.
The contents are therefore first read with stand-ins for tensors, which take no memory.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import zipfile
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["UnsafeArchiveError", "check_archive"]

ITEM_BYTES = {
    "BFloat16Storage": 2,
    "BoolStorage": 1,
    "ByteStorage": 1,
    "CharStorage": 1,
    "DoubleStorage": 8,
    "FloatStorage": 4,
    "HalfStorage": 2,
    "IntStorage": 4,
    "LongStorage": 8,
    "ShortStorage": 2,
}
#: What ``torch.save`` uses for tensors and plain values; others could ask for memory by themselves.
OPCODES = {
    "APPEND", "APPENDS", "BINFLOAT", "BINGET", "BININT", "BININT1", "BININT2", "BINPERSID",
    "BINPUT", "BINUNICODE", "BUILD", "EMPTY_DICT", "EMPTY_LIST", "EMPTY_TUPLE", "GLOBAL", "LONG1",
    "LONG_BINGET", "LONG_BINPUT", "MARK", "NEWFALSE", "NEWTRUE", "NONE", "PROTO", "REDUCE",
    "SETITEM", "SETITEMS", "STOP", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3",
}  # fmt: skip
#: Tensors may share storage, as tied weights do, but not so that copies of all are much larger.
MAX_SHARING = 4
#: Values that a checkpoint holds besides its tensors, with the characters of its texts; and how
#: deeply they lie in each other.
MAX_VALUES, MAX_DEPTH = 1_000_000, 50


class UnsafeArchiveError(ValueError):
    """The file is not what ``torch.save`` makes of tensors and plain values; says why."""


@dataclass(frozen=True)
class _Storage:
    num_bytes: int
    item_bytes: int


@dataclass(frozen=True)
class _Tensor:
    num_bytes: int


def check_archive(path: Path, *, with_numbers: bool = False) -> None:
    """Refuse a file from which torch would read more than it holds.

    Parameters
    ----------
    path : Path
        The file.
    with_numbers : bool
        Let numbers of numpy and names of devices through as well, which other programs leave
        beside their tensors.

    Raises
    ------
    UnsafeArchiveError
        With the reason, as the end of a sentence.
    OSError
        If the file cannot be read.
    """
    with path.open("rb") as file:
        size = file.seek(0, 2)
        try:
            with zipfile.ZipFile(file) as archive:
                records = _check_records(archive, size)
                name = next((name for name in records if name.endswith("/data.pkl")), None)
                if name is None:
                    raise UnsafeArchiveError("there is no list of tensors in it")
                content = archive.read(name)
        except UnsafeArchiveError:
            raise
        except Exception as error:  # noqa: BLE001 - a damaged archive can raise anything
            kind = type(error).__name__
            raise UnsafeArchiveError(f"it is no archive as torch writes it ({kind})") from None
    _check_opcodes(content)
    reader = _Reader(
        content, name.removesuffix("data.pkl"), records, NUMBERS if with_numbers else {}
    )
    try:
        values = reader.load()
    except UnsafeArchiveError:
        raise
    except Exception as error:  # noqa: BLE001 - what is no pickle can raise anything
        raise UnsafeArchiveError(f"its contents cannot be read ({type(error).__name__})") from None
    _check_values(values, size)


def _check_records(archive: zipfile.ZipFile, size: int) -> dict[str, int]:
    """Return the bytes of each record: stored as they are, each once, in one folder."""
    records: dict[str, int] = {}
    for info in archive.infolist():
        if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
            raise UnsafeArchiveError(f"its record {info.filename!a} is compressed")
        if info.filename in records:
            raise UnsafeArchiveError(f"its record {info.filename!a} is there twice")
        records[info.filename] = info.file_size
    if sum(records.values()) > size:
        raise UnsafeArchiveError("its records lie upon each other")
    if len({name.partition("/")[0] for name in records}) != 1:
        raise UnsafeArchiveError("its records lie in more than one folder")
    return records


def _check_opcodes(content: bytes) -> None:
    try:
        for opcode, argument, _ in pickletools.genops(content):
            if opcode.name not in OPCODES:
                raise UnsafeArchiveError("it holds something other than tensors and plain values")
            # A place in the reader's memory: the reader makes that many.
            if opcode.name == "LONG_BINPUT" and (argument or 0) > len(content):
                raise UnsafeArchiveError("its contents are damaged")
    except UnsafeArchiveError:
        raise
    except Exception as error:  # noqa: BLE001 - what is no pickle can raise anything
        raise UnsafeArchiveError(f"its contents cannot be read ({type(error).__name__})") from None


class _Reader(pickle.Unpickler):
    """Reads the contents with stand-ins for storages and tensors; runs nothing of the file's.

    The file can name three functions, all of them stand-ins of this module or an empty mapping;
    any other name ends the reading, and so did any opcode that could make an object by itself
    (:data:`OPCODES`). What is used afterwards is read by torch with ``weights_only=True``.
    """

    def __init__(
        self,
        content: bytes,
        folder: str,
        records: dict[str, int],
        further: dict[tuple[str, str], Callable[..., object]],
    ) -> None:
        super().__init__(io.BytesIO(content))
        self._folder, self._records, self._further = folder, records, further

    def find_class(self, module: str, name: str) -> Any:
        known: dict[tuple[str, str], Callable[..., object]] = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
            ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
            **self._further,
        }
        if module == "torch" and name in ITEM_BYTES:
            return name
        if (module, name) not in known:
            raise UnsafeArchiveError("it holds something other than tensors and plain values")
        return known[module, name]

    def persistent_load(self, identity: Any) -> _Storage:
        kind, storage, key, _, length = identity
        texts = isinstance(storage, str) and isinstance(key, str) and isinstance(length, int)
        if kind != "storage" or not texts or storage not in ITEM_BYTES:
            raise UnsafeArchiveError("it holds something other than tensors and plain values")
        num_bytes = self._records.get(f"{self._folder}data/{key}")
        if num_bytes is None or num_bytes != length * ITEM_BYTES[storage]:
            raise UnsafeArchiveError(f"its storage {key!a} is not as long as it says")
        return _Storage(num_bytes, ITEM_BYTES[storage])


def _rebuild_tensor(
    storage: _Storage, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: object
) -> _Tensor:
    numbers = (offset, *size, *stride)
    if len(size) != len(stride) or not all(isinstance(n, int) and n >= 0 for n in numbers):
        raise UnsafeArchiveError("it holds a tensor without a proper size")
    count = math.prod(size)
    last = offset + sum((edge - 1) * step for edge, step in zip(size, stride, strict=True))
    held = storage.num_bytes // storage.item_bytes
    if count > held or (count and last >= held):
        raise UnsafeArchiveError(
            f"it holds a tensor of {count:,} values with a storage of only {held:,}"
        )
    return _Tensor(count * storage.item_bytes)


def _rebuild_parameter(tensor: _Tensor, *_: object) -> _Tensor:
    return tensor


class _Number:
    """Stands for a number of numpy, its type or a device: they take no memory to speak of."""

    def __init__(self, *_: object) -> None: ...

    def __setstate__(self, _state: object) -> None: ...


#: What names numbers of numpy and devices in a file.
NUMBERS: dict[tuple[str, str], Callable[..., object]] = {
    ("numpy.core.multiarray", "scalar"): _Number,
    ("numpy._core.multiarray", "scalar"): _Number,
    ("numpy", "dtype"): _Number,
    ("_codecs", "encode"): _Number,
    ("torch", "device"): _Number,
}


def _check_values(values: object, size: int) -> None:
    """Bound what the values take where each is copied, wherever it is referred to."""
    cost, tensor_bytes = 0, 0
    waiting: list[tuple[object, int]] = [(values, 0)]
    while waiting:
        value, depth = waiting.pop()
        cost += 1
        if isinstance(value, str):
            cost += len(value)
        elif isinstance(value, _Tensor):
            tensor_bytes += value.num_bytes
        elif isinstance(value, dict):
            waiting += [(item, depth + 1) for pair in value.items() for item in pair]
        elif isinstance(value, list | tuple):
            waiting += [(item, depth + 1) for item in value]
        if depth > MAX_DEPTH or cost + len(waiting) > MAX_VALUES:
            _refuse_size()
    if tensor_bytes > MAX_SHARING * size:
        _refuse_size()


def _refuse_size() -> NoReturn:
    raise UnsafeArchiveError("its contents would take far more memory than the file")
