"""A whole volume predicted: from a plan over its blocks to the file.

::

    begin_plan ──> settle: window, blocks ──> plan.json
       blocks that are left ──> BlockWorker, or a cluster ──> files
       StoredProbabilities ──> on the volume's own grid ──> post-processing ──> VolumeWriter ──> OUT
"""

from __future__ import annotations

import contextlib
import math
import shutil
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_surfseg.data.resampling import ResampledVolume
from napari_surfseg.data.source import parse_source
from napari_surfseg.data.volume import ArrayVolume
from napari_surfseg.errors import OutputError
from napari_surfseg.files import explain_write_error, remove_partial
from napari_surfseg.geometry import count_voxels, iterate_blocks, to_index, whole_box
from napari_surfseg.inference.block_grid import choose_block
from napari_surfseg.inference.coarse_to_fine import CoarseLook, LeftOut, check_factor
from napari_surfseg.inference.output_metadata import VolumeMetadata
from napari_surfseg.inference.predict_blocks import (
    BlockWorker,
    choose_part,
    find_live,
    order_blocks,
    see_volume,
    settings_of,
)
from napari_surfseg.inference.prediction_folder import (
    SUFFIX,
    PredictionFolder,
    PredictionPlan,
    StoredProbabilities,
    describe_unfit,
)
from napari_surfseg.inference.settings import WorkSettings
from napari_surfseg.inference.sliding_window import WindowCounter, evaluation_mode
from napari_surfseg.inference.volume_writer import VolumeWriter
from napari_surfseg.inference.windows import build_grid
from napari_surfseg.surfaces.postprocess import PostProcess
from napari_surfseg.surfaces.postprocess_blocks import BLOCK_SHAPE, PostProcessPasses
from napari_surfseg.wording import format_bytes, format_shape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import torch
    from numpy.typing import NDArray

    from napari_surfseg.data.volume import Volume
    from napari_surfseg.geometry import Box, Index3, Size3, Slices3
    from napari_surfseg.inference.settings import OutputSettings, PredictionSettings
    from napari_surfseg.inference.sliding_window import Model

__all__ = [
    "PredictionRun",
    "PredictionSummary",
    "begin_plan",
    "default_folder",
    "prediction_folder",
    "resume",
]

#: Most voxels and windows of a block. Sums take four bytes a voxel; on a CPU a window takes up to
#: seconds, and a process that ends loses the block that it was at.
BLOCK_VOXELS = 2**25
BLOCK_WINDOWS = {"cpu": 8, "cuda": 512}


@dataclass(frozen=True)
class PredictionSummary:
    """What a prediction of a volume did.

    Attributes
    ----------
    output : Path
        The file or folder written.
    shape : tuple of int
        Its voxels.
    window : tuple of int
        Window used.
    num_windows, num_skipped : int
        Windows, and those among them that were constant and needed no network.
    threshold : float
        Probability above which a voxel is surface.
    surface_fraction : float
        Share of the voxels that are surface; of probabilities, of those above the threshold.
    num_removed : int
        Components removed because they were too small.
    seconds : float
        Wall-clock time.
    warnings : tuple of str
        Sentences for the person, such as a spacing that differs from training.
    notes : tuple of str
        Sentences on what was settled by looking at the volume.
    is_written : bool
        Whether the output is there; otherwise other parts are still to be predicted.
    num_blocks, num_finished : int
        Blocks in which there is anything, and how many of them are finished.
    """

    output: Path
    shape: Size3
    window: Size3
    num_windows: int
    num_skipped: int
    threshold: float
    surface_fraction: float
    num_removed: int
    seconds: float
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    is_written: bool = True
    num_blocks: int = 0
    num_finished: int = 0


def default_folder(output: Path) -> Path:
    """Return where the finished blocks of an output are kept."""
    return output.with_name(output.name + SUFFIX)


@contextlib.contextmanager
def prediction_folder(
    output: Path, work: WorkSettings | None
) -> Iterator[tuple[PredictionFolder, WorkSettings]]:
    """Provide the folder for the blocks: one that stays, or a hidden one that does not.

    One that stays is removed all the same where the disk fails before the first finished block.
    """
    if work is not None and work.folder is not None:
        folder = PredictionFolder(work.folder)
        try:
            yield folder, work
        except OutputError:
            folder.remove_unless_begun()
            raise
        return
    try:
        parent = output.resolve().parent
        path = Path(tempfile.mkdtemp(prefix=f".{output.name}.", suffix=".scratch", dir=parent))
    except OSError as error:
        raise explain_write_error(output, error) from error
    try:
        yield PredictionFolder(path), work or WorkSettings()
    finally:
        shutil.rmtree(path, ignore_errors=True)


def begin_plan(
    volume: Volume,
    settings: PredictionSettings,
    *,
    request: dict[str, Any] | None = None,
    network: str = "",
    notes: tuple[str, ...] = (),
    warnings: tuple[str, ...] = (),
) -> PredictionPlan:
    """Make a plan in which window and blocks are still to be settled.

    Parameters
    ----------
    volume : Volume
        The image.
    settings : PredictionSettings
        With intensity and resampling decided.
    request, network, notes, warnings
        As in the plan.
    """
    resampling = settings.resampling
    shape = volume.shape if resampling is None else resampling.shape(volume.shape)
    flips = settings.with_flips_for(shape).flips
    return PredictionPlan(
        request=request or {},
        shape=shape,
        window=settings.window,
        overlap=settings.overlap,
        flips=bool(flips),
        precision=settings.precision,
        intensity=settings.known_intensity.as_dict(),
        scale=None if resampling is None else resampling.scale,
        block=(0, 0, 0),
        image_source=_make_absolute(volume.source),
        network_source=network
        and (str(Path(network).resolve()) if Path(network).exists() else network),
        spacing=volume.spacing if volume.spacing_known else None,
        notes=notes,
        warnings=warnings,
        skip_constant=settings.skip_constant,
    )


def _make_absolute(source: str) -> str:
    """Name a volume for processes in other folders."""
    found = parse_source(source)
    if found.is_remote or not found.path.exists():
        return source
    return "::".join(filter(None, (str(found.path.resolve()), found.key)))


def resume(
    folder: PredictionFolder, request: dict[str, Any], work: WorkSettings
) -> PredictionPlan | None:
    """Read the plan that is to be gone on with; None where there is none.

    Raises
    ------
    OutputError
        If it is of another prediction, or damaged, or there is nothing to finish.
    """
    if work.restart and folder.path.exists():
        folder.remove()
    plan = folder.read_plan()
    if plan is None:
        if work.finish:
            raise OutputError(
                f"There is nothing to finish: no block is in {folder.path}; predict first, without "
                "--finish."
            )
        return None
    differences = plan.find_differences(request)
    if differences or not request:
        is_begun = folder.read_finished(plan).any() or folder.find_num_parts() is not None
        if work.replaces or not is_begun:  # nothing is lost
            folder.remove()
            return None
        raise OutputError(describe_unfit(folder, differences))
    return plan


class PredictionRun:
    """Predicts the blocks of a plan and writes the output.

    Many parameters: all that a whole prediction needs, gathered once for its steps.

    Parameters
    ----------
    volume : Volume
        The image.
    model : callable
        The network.
    path : Path
        The output.
    folder : PredictionFolder
        Of the blocks.
    work : WorkSettings
        Who predicts what.
    written : OutputSettings
        What is written.
    progress, should_stop : callable, optional
        As for :func:`~napari_surfseg.inference.predict_volume.predict_to_file`.
    """

    def __init__(
        self,
        volume: Volume,
        model: Model,
        path: Path,
        folder: PredictionFolder,
        work: WorkSettings,
        written: OutputSettings,
        progress: Callable[[int, int], None] | None,
        should_stop: Callable[[], bool] | None,
    ) -> None:
        self._volume, self._model, self._path = volume, model, path
        self._folder, self._work, self._written = folder, work, written
        self._progress, self._should_stop = progress, should_stop

    # -- the plan ------------------------------------------------------------------

    def settle(
        self,
        plan: PredictionPlan,
        settings: PredictionSettings,
        max_block_voxels: int | None = None,
    ) -> PredictionPlan:
        """Settle window and blocks of a plan that is new, and write it.

        Parameters
        ----------
        plan : PredictionPlan
            From :func:`begin_plan` or :func:`resume`.
        settings : PredictionSettings
            With the window that fits into memory.
        max_block_voxels : int, optional
            Most voxels of a block.

        Raises
        ------
        OutputError
            If blocks are finished with a window for which memory no longer suffices.
        """
        known = self._folder.read_plan()
        if known is not None:
            window = settings.limit.window if settings.limit is not None else None
            too_large = window is not None and math.prod(known.window) > math.prod(window)
            if not too_large:
                self._announce(known)
                return known
            if self._folder.read_finished(known).any() or self._work.part is not None:
                raise OutputError(
                    f"Memory ran out with windows of {format_shape(known.window)} voxels, in which "
                    f"the unfinished prediction {self._folder.path} was begun; free some, or give "
                    "--restart to begin it again with smaller ones."
                )
            self._folder.remove()
        grid = build_grid(plan.shape, settings.window, plan.overlap)
        if grid.padded_shape != plan.shape:
            grid = build_grid(grid.padded_shape, settings.window, plan.overlap)
        windows = 2**62 if max_block_voxels else BLOCK_WINDOWS.get(settings.device_type, 27)
        block = choose_block(grid, max_block_voxels or BLOCK_VOXELS, windows)
        plan = replace(plan, window=settings.window, block=block)
        live = find_live(self._volume, plan) if plan.skip_constant else None
        self._check_disk(plan, live)
        if self._work.coarse is None:
            return self._folder.create(plan, live)
        return self._look_coarsely(plan, live, settings.device)

    def _look_coarsely(
        self, plan: PredictionPlan, live: NDArray[np.bool_] | None, device: str | torch.device
    ) -> PredictionPlan:
        factor = self._work.coarse
        assert factor is not None  # noqa: S101  what leads here
        check_factor(plan.shape, factor, self._volume.name)
        if self._work.say is not None:
            self._work.say(f"Seeing {self._volume.name} {factor} times coarser first.")
        look = CoarseLook(self._volume, self._model, device, self._folder)
        coarse = look.plan(plan, factor)
        total, done = look.count_windows(coarse)
        counter = WindowCounter(
            total, self._describe_stopped(), self._progress, self._should_stop, done
        )
        known = np.ones(plan.blocks.shape, bool) if live is None else live
        with evaluation_mode(self._model):
            left_out = look.look(plan, coarse, known, counter, self._work.part)
        kept = known & (~left_out.empty | left_out.sample)
        return self._folder.create(plan, kept, empty=left_out.empty, sample=left_out.sample)

    def _describe_left_out(self, plan: PredictionPlan, found: float) -> tuple[str, ...]:
        """Say what a coarse look left out; nothing where there was none."""
        empty, sample = (self._folder.read_marks(plan, name) for name in ("empty", "sample"))
        if empty is None or sample is None:
            return ()
        live = self._folder.read_live(plan)
        seen = see_volume(self._volume, plan)
        probabilities = StoredProbabilities(seen, self._folder, plan, live)
        return (LeftOut(empty, sample).describe(probabilities, plan, self._threshold, found),)

    def _announce(self, plan: PredictionPlan) -> None:
        num_blocks = int(np.count_nonzero(self._folder.read_live(plan)))
        num_finished = int(np.count_nonzero(self._folder.read_finished(plan)))
        if num_finished and self._work.say is not None:
            self._work.say(
                f"Going on with {self._folder.path}: {num_finished} of {num_blocks} blocks are "
                "finished."
            )

    def _check_disk(self, plan: PredictionPlan, live: NDArray[np.bool_] | None) -> None:
        """Refuse what would surely fill the disk."""
        blocks = plan.blocks
        core, seams = blocks.parts_of(to_index(size // 2 for size in blocks.shape))
        in_block = count_voxels(core) + 4 * sum(count_voxels(seam) for seam in seams)
        num_blocks = blocks.num_blocks if live is None else int(np.count_nonzero(live))
        share = num_blocks / blocks.num_blocks
        most = num_blocks * in_block + int(share * self._volume.num_voxels)
        # What is stored is compressed: a half of it at worst, and less where it is clear.
        needed = most // 2
        folder = self._folder.path
        while not folder.exists():
            folder = folder.parent
        with contextlib.suppress(OSError):
            free = shutil.disk_usage(folder).free
            if free < needed:
                raise OutputError(
                    f"The prediction of {self._volume.name} needs about {format_bytes(needed)} on "
                    f"the disk of {folder}, of which {format_bytes(free)} are free; free some "
                    "space or choose another folder."
                )

    # -- predicting ----------------------------------------------------------------

    def predict(self, plan: PredictionPlan, device: str | torch.device) -> PredictionSummary:
        """Predict what is left of a plan, and write the output if all is finished.

        Raises
        ------
        CancelledError
            When ``should_stop`` said so.
        OutputError
            If something cannot be written, or blocks are missing that are not to be predicted.
        """
        began = time.monotonic()
        folder, work = self._folder, self._work
        live = folder.read_live(plan)
        finished = folder.read_finished(plan)
        mine = choose_part(live, work.part)
        blocks = plan.blocks
        num_windows = blocks.count_marked(mine)
        counter = WindowCounter(
            num_windows,
            self._describe_stopped(),
            self._progress,
            self._should_stop,
            done=blocks.count_marked(mine & finished),
        )
        if work.part is not None:
            folder.note_part(work.part)
        left = mine & ~finished
        if left.any():
            if work.finish:
                raise OutputError(self._describe_missing(live, finished))
            indices = order_blocks(left, plan, self._find_first(plan))
            self._predict_blocks(plan, indices, device, counter)
        finished = folder.read_finished(plan)
        summary = PredictionSummary(
            output=self._path,
            shape=self._volume.shape,
            window=plan.window,
            num_windows=blocks.grid.num_windows,
            num_skipped=counter.num_skipped + blocks.count_marked(~live),
            threshold=self._threshold,
            surface_fraction=0.0,
            num_removed=0,
            seconds=0.0,
            warnings=plan.warnings,
            notes=plan.notes,
            is_written=bool(finished[live].all()),
            num_blocks=int(np.count_nonzero(live)),
            num_finished=int(np.count_nonzero(finished & live)),
        )
        if summary.is_written:
            if not folder.begin_writing():
                if work.part is None:
                    raise OutputError(f"Another process is writing {self._path} already.")
                return replace(summary, is_written=False, seconds=time.monotonic() - began)
            try:
                remove_partial(self._path)
                found = self._write(plan, live, counter.raise_if_stopped)
            finally:
                folder.end_writing()
            summary = replace(
                summary,
                surface_fraction=found[0],
                num_removed=found[1],
                notes=(*plan.notes, *self._describe_left_out(plan, found[0])),
            )
            if not work.keep:
                folder.remove()
        return replace(summary, seconds=time.monotonic() - began)

    def _predict_blocks(
        self,
        plan: PredictionPlan,
        indices: list[Index3],
        device: str | torch.device,
        counter: WindowCounter,
    ) -> None:
        if self._work.cluster is None:
            settings = settings_of(plan, device)
            worker = BlockWorker(self._folder, plan, self._volume, self._model, settings)
            worker.predict(indices, counter)
            return
        from napari_surfseg.inference.cluster import predict_on_cluster

        if not self._work.network or isinstance(self._volume, ArrayVolume):
            raise OutputError(
                f"{self._volume.name} lies in the memory of this process, where the workers of a "
                "cluster cannot read it; save it first."
            )
        predict_on_cluster(
            self._work.cluster, self._folder, plan, indices, str(device).partition(":")[0], counter
        )

    def _find_first(self, plan: PredictionPlan) -> Box | None:
        box = self._work.first
        if box is None or plan.scale is None:
            return box
        low, high = (
            to_index(at * scale for at, scale in zip(corner, plan.scale, strict=True))
            for corner in box
        )
        return low, high

    def _describe_stopped(self) -> str:
        if self._work.folder is None:
            return f"The prediction of {self._volume.name} was cancelled; nothing was written."
        return (
            f"The prediction of {self._volume.name} was stopped; its finished blocks are in "
            f"{self._folder.path}, and the same command goes on from there."
        )

    def _describe_missing(self, live: NDArray[np.bool_], finished: NDArray[np.bool_]) -> str:
        missing = live & ~finished
        sentence = (
            f"{np.count_nonzero(missing)} of {np.count_nonzero(live)} blocks of the unfinished "
            f"prediction {self._folder.path} are missing"
        )
        count = self._folder.find_num_parts()
        if count is None:
            return f"{sentence}; give the command without --finish to predict them."
        parts = [
            f"{number}/{count}"
            for number in range(1, count + 1)
            if (choose_part(live, (number, count)) & missing).any()
        ]
        named = ", ".join(parts[:12]) + (", …" if len(parts) > 12 else "")
        return (
            f"{sentence}, those of {'part' if len(parts) == 1 else 'parts'} {named}; give "
            f"--part {parts[0]} again, or leave out --finish to predict them here."
        )

    # -- writing -------------------------------------------------------------------

    @property
    def _threshold(self) -> float:
        written = self._written
        if not written.probabilities and written.postprocess is not None:
            return written.postprocess.threshold
        return 0.5 if written.threshold is None else written.threshold

    def _write(
        self,
        plan: PredictionPlan,
        live: NDArray[np.bool_],
        check: Callable[[], None],
    ) -> tuple[float, int]:
        """Write the output; give the share of surface and the number of components removed."""
        volume, written = self._volume, self._written
        seen = see_volume(volume, plan)
        stored = StoredProbabilities(seen, self._folder, plan, live)
        probs = stored if plan.scale is None else ResampledVolume(stored, volume.shape)
        content = "probabilities" if written.probabilities else "labels"
        metadata = VolumeMetadata.like(volume, content)
        threshold = self._threshold
        writer = VolumeWriter(
            self._path,
            volume.shape,
            # A result lies beside its source: whoever opens both finds the same axes in both.
            replace(
                metadata,
                axes=volume.stored_axes,
                version=written.ome_zarr,
                facts=self._describe_facts(plan),
            ),
            overwrite=written.overwrite,
            in_order=all(
                size <= edge for size, edge in zip(volume.shape[1:], BLOCK_SHAPE[1:], strict=True)
            ),
            min_component=written.min_component if written.probabilities else 0,
            component_level=max(math.floor(threshold * 255), 0),
        )
        if written.probabilities:
            num_surface = 0

            def pieces() -> Iterator[tuple[Index3, NDArray[np.uint8]]]:
                nonlocal num_surface
                for box in iterate_blocks(whole_box(volume.shape), BLOCK_SHAPE):
                    check()
                    values = probs.read(*box)
                    num_surface += int(np.count_nonzero(values > threshold * 255))
                    yield box[0], values

            num_removed = writer.write(pieces(), should_stop=check)
            return num_surface / volume.num_voxels, num_removed
        settings = written.postprocess or PostProcess(threshold)
        least = max(settings.min_voxels, written.min_component)
        passes = PostProcessPasses(
            _ReadAsArray(probs),
            replace(settings, min_voxels=least),
            scratch=self._folder.path / "passes",
            should_stop=check,
        )
        writer.write(passes, should_stop=check)
        return passes.result.num_surface / volume.num_voxels, passes.result.num_removed

    def _describe_facts(self, plan: PredictionPlan) -> dict[str, Any]:
        """Say how the output was made, for who finds it."""
        written = self._written
        postprocess = None if written.probabilities else written.postprocess
        return {
            "version": plan.version,
            "image": plan.image_source,
            "network": plan.network_source or None,
            "network_hash": plan.request.get("network"),
            "window": list(plan.window),
            "overlap": plan.overlap,
            "flips": plan.flips,
            "precision": plan.precision,
            "scale": None if plan.scale is None else list(plan.scale),
            "threshold": self._threshold,
            "min_voxels": written.min_component,
            "postprocess": None if postprocess is None else asdict(postprocess),
        }


class _ReadAsArray:
    """A volume that is read as an array is: in boxes of slices."""

    def __init__(self, volume: Volume) -> None:
        self._volume = volume
        self.shape = volume.shape

    def __getitem__(self, box: Slices3) -> NDArray[np.uint8]:
        start, stop = to_index(each.start for each in box), to_index(each.stop for each in box)
        return np.asarray(self._volume.read(start, stop), np.uint8)
