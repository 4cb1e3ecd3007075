"""Copies of layers for a worker: how large they are, whether a person agrees, and writing them."""

from __future__ import annotations

import shutil
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from napari_surfseg.errors import CancelledError, DataError, OutputError, SurfsegError
from napari_surfseg.geometry import box_slices, count_voxels
from napari_surfseg.gui.layers.boxes import find_stored_boxes
from napari_surfseg.gui.layers.layer_volume import take_file
from napari_surfseg.gui.layers.locate import locate
from napari_surfseg.wording import format_bytes, format_size

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from napari_surfseg.gui.layers.layer_volume import LayerVolume

__all__ = [
    "find_copies",
    "hand_over",
    "hand_over_all",
    "measure_copy",
    "require_consent",
    "write_copies",
    "write_layer",
]

#: A copy that takes more is asked about first.
ASK_BYTES = 1_000_000_000

#: Labels are compressed at least by this factor on the disk; grey values hardly are.
LABELS_SHRINK = 10


class CopyWatcher(Protocol):
    """Whoever copies layers for a process: it is asked, told and may stop it."""

    @property
    def ask(self) -> Callable[[str], bool]: ...
    @property
    def report(self) -> Callable[[str, float], None]: ...
    def check_cancelled(self) -> None: ...


#: Each array that was copied, and where to. An array that is gone is dropped.
_copies: list[tuple[weakref.ref[Any], str]] = []


def find_copies(volume: LayerVolume) -> list[str]:
    """Find the copies that were made of a layer's data, the newest first.

    The data may have been edited since, so what a copy holds is to be compared.
    """
    _copies[:] = [(data, path) for data, path in _copies if data() is not None]
    return [path for data, path in reversed(_copies) if data() is volume.data]


def measure_copy(volume: LayerVolume) -> int:
    """Bytes a copy takes at most."""
    num_bytes = find_stored_boxes(volume.data).num_voxels * volume.dtype.itemsize
    return num_bytes // LABELS_SHRINK if volume.is_labels else num_bytes


def require_consent(
    volumes: Sequence[LayerVolume], folder: Path, ask: Callable[[str], bool]
) -> None:
    """Refuse copies that do not fit on the disk, and ask about large ones.

    Parameters
    ----------
    volumes : sequence of LayerVolume
        Those that are to be copied.
    folder : Path
        Where to; it need not exist yet.
    ask : callable
        Asks the person a question; returns the answer.

    Raises
    ------
    OutputError
        If the disk is too full.
    CancelledError
        If the answer is no.
    """
    sizes = {id(volume): measure_copy(volume) for volume in volumes}
    total = sum(sizes.values())
    there = next(place for place in (folder, *folder.parents) if place.exists())
    free = shutil.disk_usage(there).free
    if total > free:
        raise OutputError(
            f"Copying {_list(volumes)} takes up to {format_bytes(total)}, but the disk of "
            f"{folder} has {format_bytes(free)} free; free some space or choose another folder."
        )
    for volume in volumes:
        size = sizes[id(volume)]
        why = (
            "may be painted on"
            if volume.is_labels
            else "isn't backed by a file that the worker can read"
        )
        if size > ASK_BYTES and not ask(
            f"The layer {volume.name!r} ({format_bytes(size)}) {why}, so it would be copied into "
            f"{folder}. Go on?"
        ):
            raise CancelledError(f"The layer {volume.name!r} was not copied, as you chose.")


def _list(volumes: Sequence[LayerVolume]) -> str:
    names = [repr(volume.name) for volume in volumes]
    return f"the layer {names[0]}" if len(names) == 1 else f"the layers {', '.join(names)}"


def hand_over(
    volume: LayerVolume,
    target: Path,
    *,
    ask: Callable[[str], bool],
    progress: Callable[[float], None],
    check: Callable[[], None],
    lazy_labels: bool = False,
) -> tuple[LayerVolume, str]:
    """Give a worker that only reads a volume a file: its own, an earlier copy or a new one.

    Parameters
    ----------
    volume : LayerVolume
        Of a layer or a file.
    target : Path
        Where a copy goes.
    ask, progress, check : callable
        As for :func:`require_consent`, :func:`write_layer` and ``locate``.
    lazy_labels : bool
        As for ``locate``.

    Returns
    -------
    LayerVolume
        With what its file says of it.
    str
        The file.
    """
    located = locate(volume, copies=find_copies(volume), check=check, lazy_labels=lazy_labels)
    if located.file is not None:
        return located, located.file
    require_consent([located], target.parent, ask)

    def report(share: float) -> None:
        check()
        progress(share)

    write_layer(located, target, report)
    return located, str(target)


def hand_over_all(
    volumes: Mapping[str, LayerVolume | str], folder: Path, process: CopyWatcher
) -> tuple[dict[str, LayerVolume], dict[str, str], dict[str, str]]:
    """Give a worker that reads them once, now, a file of each of some volumes.

    Parameters
    ----------
    volumes : mapping
        By name; the path of a file stands for itself.
    folder : Path
        Where copies go.
    process : JobProcess
        Is told how far copying is, and asks before a large layer is copied.

    Returns
    -------
    taken : dict
        The volumes, with what their files say of them.
    paths : dict
        Their files.
    names : dict
        Of files that stand for layers, the layers' names.

    Raises
    ------
    SurfsegError
        With ``field`` the name of the volume that cannot be opened, or of the first where they
        differ in shape.
    """
    taken: dict[str, LayerVolume] = {}
    paths, names = {}, {}
    for name, volume in volumes.items():
        try:
            taken[name] = take_file(volume) if isinstance(volume, str) else volume
        except SurfsegError as error:
            error.field = name
            raise
    _require_same_shape(taken)
    for name, volume in taken.items():
        taken[name], paths[name] = hand_over(
            volume,
            folder / f"{name}.zarr",
            ask=process.ask,
            progress=partial(process.report, f"copying the {name}"),
            check=process.check_cancelled,
            lazy_labels=True,
        )
        if not isinstance(volumes[name], str):
            names[paths[name]] = volume.name
    return taken, paths, names


def _require_same_shape(volumes: Mapping[str, LayerVolume]) -> None:
    first, one = next(iter(volumes.items()), ("", None))
    for name, other in volumes.items():
        if one is not None and other.shape != one.shape:
            raise DataError(
                f"The {first} {one.name!r} {_has(first)} {format_size(one.shape)} voxels, but the "
                f"{name} {other.name!r} {_has(name)} {format_size(other.shape)}; the two must be "
                "the same.",
                field=first,
            )


def _has(name: str) -> str:
    return "have" if name.endswith("s") else "has"


def write_copies(
    copies: Sequence[tuple[LayerVolume, Path]], progress: Callable[[float], None]
) -> None:
    """Write copies one after the other, reporting the share of all that is done."""
    for number, (volume, path) in enumerate(copies):

        def report(share: float, number: int = number) -> None:
            progress((number + share) / len(copies))

        write_layer(volume, path, report)


def write_layer(
    volume: LayerVolume, path: Path, progress: Callable[[float], None] = lambda _share: None
) -> None:
    """Write a volume as OME-Zarr, chunk by chunk, whole or not at all.

    Boxes without a label are not written: they read as 0.

    Parameters
    ----------
    volume : LayerVolume
        What to write.
    path : Path
        The folder of the zarr.
    progress : callable
        Called with the share that is done; raises to stop, and nothing is left.

    Raises
    ------
    OutputError
        If the disk does not take it.
    """
    from napari_surfseg.files import written_aside
    from napari_surfseg.inference.label_writer import create_ome_zarr
    from napari_surfseg.inference.output_metadata import VolumeMetadata

    path.parent.mkdir(parents=True, exist_ok=True)
    dtype = np.dtype(np.uint8) if volume.dtype == np.bool_ else volume.dtype.newbyteorder("=")
    boxes = find_stored_boxes(volume.data)
    total, done = max(boxes.num_voxels, 1), 0
    with written_aside(path) as temporary:
        metadata = VolumeMetadata.like(volume, "labels" if volume.is_labels else None)
        array = create_ome_zarr(temporary, volume.shape, dtype, metadata, name=path.name)
        for box in boxes:
            values = volume.read(*box)
            if values.any():
                array[box_slices(box)] = values.astype(dtype, copy=False)
            done += count_voxels(box)
            progress(done / total)
    try:
        _copies.append((weakref.ref(volume.data), str(path.resolve())))
    except TypeError:
        return  # data of a kind that cannot be followed is copied again
