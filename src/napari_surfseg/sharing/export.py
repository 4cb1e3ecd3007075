"""Write a trained network for other programs: the one entry for commands, notebooks and windows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_surfseg.files import written_aside
from napari_surfseg.model.open_network import open_network
from napari_surfseg.sharing.facts import leave_out_paths
from napari_surfseg.sharing.settings import ShareSettings, check_share

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["export_network"]


def export_network(
    source: str | Path,
    output: str | Path,
    kind: str | None = None,
    settings: ShareSettings | None = None,
    report: Callable[[str, float], None] = lambda _stage, _share: None,
) -> Path:
    """Write a trained network as a MONAI bundle, a bioimage.io package or an ONNX file.

    Parameters
    ----------
    source : path-like
        What :func:`~napari_surfseg.model.open_network.open_network` opens.
    output : path-like
        A folder for a bundle, ``.zip`` for a package, ``.onnx``.
    kind : str, optional
        ``monai``, ``bioimageio`` or ``onnx``; by default as the name of ``output`` says.
    settings : ShareSettings, optional
        What goes along.
    report : callable
        Called with the stage and its share, 0 to 1.

    Returns
    -------
    Path
        What was written.

    Raises
    ------
    CheckpointError
        If the network cannot be read.
    OutputError
        If the output exists or cannot be written, its name does not fit, or a library that is
        needed is not installed.
    """
    settings = settings or ShareSettings()
    output = Path(output).expanduser()
    chosen = check_share(output, kind, settings)
    report("loading the network", 0.0)
    checkpoint = leave_out_paths(open_network(source))
    with written_aside(output, overwrite=settings.overwrite) as temporary:
        if chosen == "monai":
            from napari_surfseg.sharing.monai_bundle import write_bundle

            write_bundle(temporary, checkpoint, settings, report)
        elif chosen == "bioimageio":
            from napari_surfseg.sharing.bioimageio_package import write_package

            write_package(temporary, checkpoint, settings, report)
        else:
            from napari_surfseg.sharing.onnx_file import write_onnx

            write_onnx(temporary, checkpoint, settings, report)
    return output
