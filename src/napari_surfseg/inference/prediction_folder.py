"""A prediction under way is a folder: a plan, and one file for each finished block.

::

    OUT.zarr.surfseg-prediction/
      plan.json          what is predicted, with what, and how it is divided; written once
      live.npy           which blocks there is anything in; missing where that is all of them
      blocks/4/0-12.npz  block (4, 0, 12) is finished: its core and its seams
      parts/3-of-16      a part of a job array was begun

Nothing else is remembered. Whoever finds the folder (the same command again, another part, a worker
on another machine, a window) sees what is left to do; a file appears whole or not at all, so
that a process may end at any time and costs at most the block that it was at.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import threading
import time
import uuid
from collections import OrderedDict
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
from numcodecs import Blosc  # type: ignore[import-untyped]

from napari_surfseg import __version__
from napari_surfseg.data.volume import DerivedVolume
from napari_surfseg.errors import OutputError
from napari_surfseg.files import explain_write_error, remove_leftovers, written_aside
from napari_surfseg.geometry import (
    box_shape,
    box_slices,
    count_voxels,
    intersect_boxes,
    iterate_indices,
    shift_box,
    to_index,
    to_spacing,
)
from napari_surfseg.inference.block_grid import BlockGrid
from napari_surfseg.inference.block_sums import to_probabilities
from napari_surfseg.inference.windows import build_grid
from napari_surfseg.wording import list_words

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_surfseg.data.volume import Volume, VoxelArray
    from napari_surfseg.geometry import Box, Index3, Size3, Spacing3

__all__ = [
    "SUFFIX",
    "PredictionFolder",
    "PredictionPlan",
    "StoredProbabilities",
    "describe_unfit",
]

#: Of the folder beside the output.
SUFFIX = ".surfseg-prediction"
FORMAT = "napari-surfseg prediction"
VERSION = 1

#: A process on another machine that began to write the output is believed to live for so long.
WRITING_SECONDS = 12 * 3600.0

#: Decoded pieces of blocks that are held while probabilities are read.
CACHE_BYTES = 150_000_000

#: What must be the same for finished blocks to count, as sentences name it.
REQUESTS = {
    "image": "image",
    "network": "network",
    "overlap": "overlap",
    "flips": "flips",
    "fit": "grey values (intensity)",
    "resample": "voxel size (resample)",
    "spacing": "voxel size (spacing)",
    "coarse": "coarse-to-fine",
}


@dataclass(frozen=True)
class PredictionPlan:
    """What is predicted, and how it is divided: fixed once it is written.

    Attributes
    ----------
    request : dict
        What was asked for, as :data:`REQUESTS` lists it: with anything else the finished
        blocks are of no use.
    shape : tuple of int
        Z, Y, X voxels of what the network sees.
    window, overlap, flips
        Settled from what was asked for.
    precision : str
        ``float32`` or ``bf16``.
    intensity : dict
        As ``Intensity.as_dict``.
    scale : tuple of float, optional
        Of the resampling, where there is one.
    block : tuple of int
        Windows of a block along each axis.
    image_source, network_source : str
        What to open, for a process that joins in.
    spacing : tuple of float, optional
        Voxel size that replaces that of the image's file.
    notes, warnings : tuple of str
        Sentences on what was settled.
    skip_constant : bool
        Windows of equal voxels hold no surface.
    version : str
        Of the package that wrote it.
    """

    request: dict[str, Any]
    shape: Size3
    window: Size3
    overlap: float
    flips: bool
    precision: str
    intensity: dict[str, Any]
    scale: Spacing3 | None
    block: Size3
    image_source: str = ""
    network_source: str = ""
    spacing: Spacing3 | None = None
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    skip_constant: bool = True
    version: str = field(default=__version__)

    @property
    def blocks(self) -> BlockGrid:
        """The blocks, over the mirrored volume where it is thinner than a window."""
        grid = build_grid(self.shape, self.window, self.overlap)
        if grid.padded_shape != self.shape:
            grid = build_grid(grid.padded_shape, self.window, self.overlap)
        return BlockGrid(grid, self.block)

    @property
    def offset(self) -> Index3:
        """Mirrored voxels before the volume."""
        grid = self.blocks.grid
        return to_index((a - b) // 2 for a, b in zip(grid.shape, self.shape, strict=True))

    def find_differences(self, request: dict[str, Any]) -> list[str]:
        """Say in what another request differs."""
        found = []
        for key, title in REQUESTS.items():
            before, now = self.request.get(key), request.get(key)
            if before != now:
                short = all(
                    not isinstance(value, str) or len(value) < 20 for value in (before, now)
                )
                found.append(f"{title} ({before}, now {now})" if short else title)
        return found

    def as_text(self) -> str:
        """Write it as JSON."""
        values = {"format": FORMAT, "format_version": VERSION, **asdict(self)}
        return json.dumps(values, indent=2) + "\n"

    @classmethod
    def from_text(cls, text: str) -> PredictionPlan:
        """Read what :meth:`as_text` wrote.

        Raises
        ------
        ValueError, KeyError, TypeError
            If it is damaged or of another version.
        """
        values = json.loads(text)
        if values.pop("format") != FORMAT or values.pop("format_version") != VERSION:
            raise ValueError("another format")
        for key in ("shape", "window", "block"):
            values[key] = to_index(values[key])
        for key in ("scale", "spacing"):
            values[key] = None if values[key] is None else to_spacing(values[key])
        for key in ("notes", "warnings"):
            values[key] = tuple(values[key])
        return cls(**values)


class PredictionFolder:
    """Reads and writes the folder; all of it may be shared by any number of processes.

    Parameters
    ----------
    path : Path
        Need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._codec = Blosc(cname="zstd", clevel=1, shuffle=Blosc.SHUFFLE)

    # -- the plan ------------------------------------------------------------------

    def read_plan(self) -> PredictionPlan | None:
        """Read the plan; None where none was made.

        Raises
        ------
        OutputError
            If it is damaged, or something else lies there.
        """
        try:
            return PredictionPlan.from_text((self.path / "plan.json").read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            if self.path.exists() and not self.path.is_dir():
                raise OutputError(
                    f"{self.path} is a file, but a folder of that name is needed for what is "
                    "finished of the prediction; move it away."
                ) from None
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise OutputError(
                f"The plan of the unfinished prediction {self.path} cannot be read "
                f"({type(error).__name__}); begin it again with --restart, or remove the folder."
            ) from None

    def create(
        self,
        plan: PredictionPlan,
        live: NDArray[np.bool_] | None = None,
        **noted: NDArray[np.bool_],
    ) -> PredictionPlan:
        """Write a plan, unless another process was first.

        Parameters
        ----------
        plan : PredictionPlan
            It decides once it is there.
        live : ndarray of bool, optional
            Blocks in which there may be anything; by default all.
        **noted : ndarray of bool
            More marks of blocks, each a file ``NAME.npy`` that :meth:`read_marks` reads.

        Returns
        -------
        PredictionPlan
            The one that counts.
        """
        try:
            (self.path / "blocks").mkdir(parents=True, exist_ok=True)
            if live is not None and not live.all():
                noted["live"] = live
            for name, marks in noted.items():
                path = self.path / f"{name}.npy"
                with written_aside(path) as temporary, temporary.open("wb") as file:
                    np.save(file, marks)
            mine = self.path / f".plan.{uuid.uuid4().hex[:8]}.partial"
            mine.write_text(plan.as_text(), encoding="utf-8")
            try:
                # Unlike a renaming, it does not replace the plan of a process that was quicker.
                os.link(mine, self.path / "plan.json")
            except FileExistsError:
                pass
            except OSError:  # a disk without links
                if not (self.path / "plan.json").exists():
                    mine.replace(self.path / "plan.json")
            finally:
                mine.unlink(missing_ok=True)
        except OSError as error:
            raise explain_write_error(self.path, error) from error
        return self.read_plan() or plan

    def read_live(self, plan: PredictionPlan) -> NDArray[np.bool_]:
        """Read which blocks there may be anything in."""
        found = self.read_marks(plan, "live")
        return np.ones(plan.blocks.shape, bool) if found is None else found

    def read_marks(self, plan: PredictionPlan, name: str) -> NDArray[np.bool_] | None:
        """Read marks of blocks that :meth:`create` wrote; None where there are none.

        Raises
        ------
        OutputError
            If they are damaged.
        """
        path = self.path / f"{name}.npy"
        try:
            marks: NDArray[np.bool_] = np.load(path, allow_pickle=False)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, EOFError):
            marks = np.empty(0, bool)
        if marks.shape != plan.blocks.shape:
            raise OutputError(
                f"The file {path.name} of the unfinished prediction {self.path} is damaged; begin "
                "it again with --restart, or remove the folder."
            )
        return marks

    def remove(self) -> None:
        """Remove all of it."""
        # First, so that nobody goes on with half of it.
        with contextlib.suppress(OSError):
            (self.path / "plan.json").unlink(missing_ok=True)
        shutil.rmtree(self.path, ignore_errors=True)

    def remove_unless_begun(self) -> None:
        """Remove it where no block is finished and no part of a job array has begun."""
        with contextlib.suppress(OutputError):
            plan = self.read_plan()
            is_begun = plan is not None and bool(self.read_finished(plan).any())
            if not is_begun and self.find_num_parts() is None:
                self.remove()

    # -- parts ---------------------------------------------------------------------

    def note_part(self, part: tuple[int, int]) -> None:
        """Remember that a part of a job array was begun."""
        try:
            (self.path / "parts").mkdir(exist_ok=True)
            (self.path / "parts" / f"{part[0]}-of-{part[1]}").touch()
        except OSError as error:
            raise explain_write_error(self.path, error) from error

    def find_num_parts(self) -> int | None:
        """Return into how many parts it was divided; None where into none."""
        with contextlib.suppress(OSError, ValueError):
            names = [entry.name for entry in (self.path / "parts").iterdir()]
            return max(int(name.rpartition("-")[2]) for name in names)
        return None

    # -- the output ----------------------------------------------------------------

    def begin_writing(self) -> bool:
        """Take the output for this process; False where another one lives that writes it.

        Of a process on another machine nothing can be known but how old its sign is.
        """
        path = self.path / "writing.json"
        mine = json.dumps({"host": socket.gethostname(), "pid": os.getpid()})
        for _ in range(2):
            try:
                with path.open("x", encoding="utf-8") as file:
                    file.write(mine)
                return True
            except FileExistsError:
                if self._is_writing(path):
                    return False
                path.unlink(missing_ok=True)
            except OSError as error:
                raise explain_write_error(path, error) from error
        return False

    def _is_writing(self, path: Path) -> bool:
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            if found["host"] == socket.gethostname():
                return psutil.pid_exists(int(found["pid"])) and found["pid"] != os.getpid()
            return time.time() - path.stat().st_mtime < WRITING_SECONDS
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def end_writing(self) -> None:
        """Let others write the output."""
        with contextlib.suppress(OSError):
            (self.path / "writing.json").unlink(missing_ok=True)

    # -- blocks --------------------------------------------------------------------

    def block_path(self, index: Index3) -> Path:
        """Return the file of a block."""
        return self.path / "blocks" / f"{index[0]}" / f"{index[1]}-{index[2]}.npz"

    def is_finished(self, index: Index3) -> bool:
        """Whether a block is finished."""
        return self.block_path(index).exists()

    def read_finished(self, plan: PredictionPlan) -> NDArray[np.bool_]:
        """Find which blocks are finished, by their files."""
        finished = np.zeros(plan.blocks.shape, bool)
        for z in range(finished.shape[0]):
            try:
                with os.scandir(self.path / "blocks" / f"{z}") as entries:
                    for entry in entries:
                        name, _, suffix = entry.name.partition(".")
                        y, _, x = name.partition("-")
                        if suffix == "npz" and y.isdecimal() and x.isdecimal():
                            finished[z, int(y), int(x)] = True
            except (FileNotFoundError, IndexError):
                continue
        return finished

    def count_finished(self) -> int:
        """Count the finished blocks; 0 where there is no plan."""
        with contextlib.suppress(OutputError):
            plan = self.read_plan()
            return 0 if plan is None else int(np.count_nonzero(self.read_finished(plan)))
        return 0

    def write_block(
        self, plan: PredictionPlan, index: Index3, sums: NDArray[np.int32] | None
    ) -> None:
        """Write a finished block.

        Parameters
        ----------
        plan : PredictionPlan
            It says where the seams are.
        index : tuple of int
            Which block.
        sums : ndarray of int32 or None
            Over its extent; None where there is no surface.
        """
        pieces: dict[str, NDArray[np.uint8]] = {}
        if sums is not None:
            blocks = plan.blocks
            origin = blocks.extent_of(index)[0]
            core, seams = blocks.parts_of(index)
            if count_voxels(core):
                pieces["core"] = self._encode(to_probabilities(sums[box_slices(core, origin)]))
            for number, seam in enumerate(seams):
                pieces[f"seam{number}"] = self._encode(sums[box_slices(seam, origin)])
        path = self.block_path(index)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise explain_write_error(path, error) from error
        with written_aside(path) as temporary, temporary.open("wb") as file:
            np.savez(file, **pieces)  # type: ignore[arg-type]

    def _encode(self, values: NDArray[Any]) -> NDArray[np.uint8]:
        return np.frombuffer(self._codec.encode(np.ascontiguousarray(values)), np.uint8)

    def read_piece(self, index: Index3, name: str, shape: Size3, dtype: Any) -> VoxelArray | None:
        """Read the core or a seam of a finished block; None where there is nothing in it.

        Raises
        ------
        OutputError
            If its file is missing or damaged; a damaged one is removed, so that it is predicted
            again.
        """
        path = self.block_path(index)
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                if name not in stored.files:
                    return None
                decoded = self._codec.decode(stored[name])
            return np.frombuffer(decoded, dtype).reshape(shape)
        except FileNotFoundError:
            raise OutputError(
                f"Block {index} of the unfinished prediction {self.path} is missing; give the "
                "same command again to predict it."
            ) from None
        except Exception as error:  # zip files and codecs have many
            path.unlink(missing_ok=True)
            raise OutputError(
                f"Block {index} of the unfinished prediction {self.path} was damaged "
                f"({type(error).__name__}) and is removed; give the same command again to predict "
                "it."
            ) from error

    def remove_leftovers(self) -> None:
        """Remove what killed processes left half-written."""
        with contextlib.suppress(OSError):
            for plane in (self.path / "blocks").iterdir():
                remove_leftovers(plane)


class StoredProbabilities(DerivedVolume):
    """The probabilities of the finished blocks as a uint8 volume.

    Blocks in which there is nothing have no file, and are 0.

    Parameters
    ----------
    base : Volume
        What the network saw.
    folder : PredictionFolder
        With all live blocks finished.
    plan : PredictionPlan
        Of that folder.
    live : ndarray of bool
        Blocks that have a file.
    """

    def __init__(
        self,
        base: Volume,
        folder: PredictionFolder,
        plan: PredictionPlan,
        live: NDArray[np.bool_],
    ) -> None:
        super().__init__(base, dtype=np.uint8)
        self.content = "probabilities"
        self._folder, self._live = folder, live
        self._blocks, self._offset = plan.blocks, plan.offset
        self._cache: OrderedDict[tuple[Index3, str], VoxelArray | None] = OrderedDict()
        self._num_bytes = 0
        self._lock = threading.Lock()

    def touches_any(self, box: Box) -> bool:
        """Whether a box has voxels that live blocks see."""
        seen = self._blocks.touching(shift_box(box, self._offset))
        return bool(self._live[box_slices(seen)].any())

    def _read_box(self, start: Index3, stop: Index3) -> NDArray[np.uint8]:
        with self._lock:
            return self._join(start, stop)

    def _join(self, start: Index3, stop: Index3) -> NDArray[np.uint8]:
        box = shift_box((start, stop), self._offset)
        found = np.zeros(box_shape(box), np.uint8)
        sums: NDArray[np.int32] | None = None
        cores: list[tuple[Box, NDArray[np.uint8]]] = []
        for index, name, place in self._find_pieces(box):
            inside = intersect_boxes(place, box)
            if inside is None:
                continue
            values = self._load(index, name, place)
            if values is None:
                continue
            part = values[box_slices(inside, place[0])]
            if name == "core":
                cores.append((inside, part))
            else:
                sums = np.zeros(found.shape, np.int32) if sums is None else sums
                sums[box_slices(inside, box[0])] += part
        if sums is not None:
            found = to_probabilities(sums)
        for inside, part in cores:
            found[box_slices(inside, box[0])] = part
        return found

    def _find_pieces(self, box: Box) -> Iterator[tuple[Index3, str, Box]]:
        for index in iterate_indices(self._blocks.touching(box)):
            if self._live[index]:
                core, seams = self._blocks.parts_of(index)
                if count_voxels(core):
                    yield index, "core", core
                for number, seam in enumerate(seams):
                    yield index, f"seam{number}", seam

    def _load(self, index: Index3, name: str, place: Box) -> VoxelArray | None:
        key = (index, name)
        if key in self._cache:
            self._cache.move_to_end(key)
            return self._cache[key]
        dtype = np.uint8 if name == "core" else np.int32
        values = self._folder.read_piece(index, name, box_shape(place), dtype)
        self._cache[key] = values
        self._num_bytes += 0 if values is None else values.nbytes
        while self._num_bytes > CACHE_BYTES and len(self._cache) > 1:
            _, dropped = self._cache.popitem(last=False)
            self._num_bytes -= 0 if dropped is None else dropped.nbytes
        return values


def describe_unfit(folder: PredictionFolder, differences: list[str]) -> str:
    """Say that a folder holds another prediction, and what to do."""
    return (
        f"The unfinished prediction {folder.path} was begun with another "
        f"{list_words(differences)}; give --restart to begin it again, or another --output."
    )
