"""The runs of a folder, as snapshots and as a table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from napari_surfseg.errors import RunError
from napari_surfseg.runs.folder import RunFolder, RunState
from napari_surfseg.runs.follow import RunSnapshot, read_snapshot
from napari_surfseg.wording import align_columns, format_duration, format_number, format_percent

__all__ = ["ListedRun", "find_runs", "list_runs", "tabulate_runs"]

HEADER = (
    *("run", "state", "epoch", "done", "steps/s", "trained", "left"),
    *("surface dice", "newest", "score"),
)
NUMBER_COLUMNS = frozenset(range(2, len(HEADER)))


@dataclass(frozen=True)
class ListedRun:
    """A run and what is known of it now."""

    path: Path
    snapshot: RunSnapshot


def find_runs(folder: str | Path) -> list[Path]:
    """Return the run folders in a folder, and itself if it is one, by the time of their making.

    A level below is looked at, no deeper: a folder of volumes can hold millions of files.
    """
    folder = Path(folder)
    if RunFolder(folder).exists():
        return [folder]
    try:
        inside = [path for path in folder.iterdir() if _is_run(path)]
    except OSError as error:
        raise RunError(
            f"The folder {folder} cannot be listed: {error.strerror or error}."
        ) from None
    return sorted(inside, key=lambda path: (path / "config.yaml").stat().st_mtime)


def list_runs(folder: str | Path) -> list[ListedRun]:
    """Look at every run of a folder once, the oldest first."""
    return [ListedRun(path, read_snapshot(path)) for path in find_runs(folder)]


def tabulate_runs(runs: list[ListedRun]) -> str:
    """Lay runs out as a table for a terminal; sentences of failed ones follow it."""
    rows = [HEADER, *(_row(run) for run in runs)]
    lines = [align_columns(rows, numbers=NUMBER_COLUMNS)]
    lines += [
        f"{run.path.name}: {run.snapshot.message}"
        for run in runs
        if run.snapshot.state in {RunState.FAILED, RunState.VANISHED} or run.snapshot.is_waiting
    ]
    return "\n".join(lines)


def _row(run: ListedRun) -> tuple[str, ...]:
    seen = run.snapshot
    epoch = f"{seen.epoch}/{seen.max_epochs}" if seen.max_epochs else str(seen.epoch)
    running = seen.state in {RunState.RUNNING, RunState.PAUSED}
    return (
        run.path.name,
        seen.state.value,
        epoch,
        format_percent(seen.progress),
        f"{seen.steps_per_second:.3g}" if seen.steps_per_second else "–",
        format_duration(seen.elapsed_seconds) if seen.elapsed_seconds else "–",
        format_duration(seen.seconds_left) if running and seen.seconds_left else "–",
        format_number(seen.best_metrics.get("surface_dice"), 4),
        format_number(seen.metrics.get("surface_dice"), 4),
        format_number(seen.best_metrics.get("score"), 4),
    )


def _is_run(path: Path) -> bool:
    try:
        return RunFolder(path).exists()
    except OSError:
        return False
