"""A run's network written for other programs, in a process of its own."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from napari_surfseg.errors import OutputError, SurfsegError
from napari_surfseg.files import explain_write_error, written_aside
from napari_surfseg.inference.process_protocol import write_job
from napari_surfseg.runs.checkpoints import find_checkpoint
from napari_surfseg.sharing.export_process import job_of
from napari_surfseg.sharing.settings import SUFFIXES

if TYPE_CHECKING:
    from napari_surfseg.gui.background.processes import JobProcess
    from napari_surfseg.sharing.settings import ShareFormat, ShareSettings

__all__ = ["complete_output", "share_run", "suggest_output"]


def suggest_output(run: Path, kind: ShareFormat) -> Path:
    """Return a path beside a run where nothing is yet: ``first_shared.zip``, ``_2``, ..."""
    number = 1
    while True:
        counted = "" if number == 1 else f"_{number}"
        path = run.with_name(f"{run.name}_shared{counted}{SUFFIXES[kind]}")
        if not path.exists():
            return path
        number += 1


def complete_output(path: Path, kind: ShareFormat) -> Path:
    """Give a path the ending of its format, where a person left it out.

    Raises
    ------
    OutputError
        If there is a folder, which is never replaced: it may hold anything.
    """
    if path.suffix.lower() != SUFFIXES[kind] and SUFFIXES[kind]:
        path = path.with_name(path.name + SUFFIXES[kind])
    if path.is_dir() or (path.exists() and not SUFFIXES[kind]):
        raise OutputError(f"{path} exists already; choose another name.")
    return path


def share_run(
    run: Path,
    output: Path,
    kind: ShareFormat,
    process: JobProcess,
    settings: ShareSettings | None = None,
) -> Path:
    """Write a run's network; waits for the disk and the process.

    Everything is made in a hidden folder beside the output, and moved when it is complete: a
    process that is ended leaves nothing.

    Parameters
    ----------
    run : Path
        A run folder with a checkpoint.
    output : Path
        As :func:`complete_output` returns it; a file that is there is replaced.
    kind : str
        What is written.
    process : JobProcess
        Does the work.
    settings : ShareSettings, optional
        What goes along with the network.

    Returns
    -------
    Path
        What was written.

    Raises
    ------
    SurfsegError
        If there is no checkpoint, or nothing can be written; it names the output.
    """
    checkpoint = find_checkpoint(run)
    try:
        made = tempfile.TemporaryDirectory(
            prefix=".surfseg_", dir=output.parent, ignore_cleanup_errors=True
        )
    except OSError as error:
        raise explain_write_error(output, error) from None
    with made as folder:
        inside = Path(folder) / output.name
        try:
            process.run(write_job(Path(folder), job_of(checkpoint, inside, kind, settings)))
        except OSError as error:
            raise explain_write_error(output, error) from None
        except SurfsegError as error:
            raise type(error)(str(error).replace(str(inside), str(output))) from None
        with written_aside(output, overwrite=bool(SUFFIXES[kind])) as temporary:
            inside.rename(temporary)
    return output
