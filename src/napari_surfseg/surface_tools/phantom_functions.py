"""The tool that makes something of nothing: a synthetic scroll to try the others on."""

# Annotations are looked at when the program runs: they make the form and the options.
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from napari_surfseg.surface_tools.results import FolderContents
from napari_surfseg.surface_tools.setting import Setting

__all__ = ["make_phantom"]


def make_phantom(
    folder: Path,
    *,
    report: Callable[[str, float], None] = lambda _stage, _share: None,
    depth: Annotated[int, Setting("Size along Z, the roll's axis", 16, 8192, 16, "voxels")] = 96,
    width: Annotated[int, Setting("Size along Y and X", 64, 8192, 16, "voxels")] = 160,
    seed: Annotated[int, Setting("Another seed, another scroll", 0, 2**31 - 1, 1)] = 7,
    gap: Annotated[
        float,
        Setting(
            "Mean space between sheets; the smaller, the more of them are pressed together",
            2,
            40,
            0.5,
            "voxels",
        ),
    ] = 6.0,
    noise: Annotated[
        float, Setting("Of the image, standard deviation", 0, 60, 1, "grey values")
    ] = 15.0,
    annotated: Annotated[
        str,
        Setting(
            "Dense: everything is labelled but for some regions; strokes: as if painted",
            choices=("dense", "strokes"),
        ),
    ] = "dense",
) -> FolderContents:
    """Make a synthetic rolled scroll: image, labels and the true winding of each sheet.

    Parameters
    ----------
    folder : Path
        Where ``image.zarr``, ``labels.zarr`` (1 on the sheets' inner face, 0 elsewhere, 2 not
        annotated) and ``winding.zarr`` (1, 2, ... from the core outward, on a sheet and the
        gap above it) go.
    report : callable
        Called with the stage and its share.
    depth, width : int
        Size along Z, and along Y and X.
    seed : int
        Everything random follows from it.
    gap : float
        Mean space between sheets, in voxels.
    noise : float
        Standard deviation, in grey values of 0 to 255.
    annotated : str
        ``dense`` or ``strokes``.

    Returns
    -------
    FolderContents
        The three volumes.
    """
    from napari_surfseg.cancelling import raise_if_stopped
    from napari_surfseg.data.phantom.settings import PhantomSettings
    from napari_surfseg.data.phantom.storage import write_phantom

    def progress(done: int, number: int) -> None:
        raise_if_stopped()
        report("making the scroll", done / number)

    settings = PhantomSettings(
        shape=(depth, width, width),
        seed=seed,
        gap=gap,
        noise=noise,
        annotated="strokes" if annotated == "strokes" else "dense",
    )
    paths = write_phantom(folder, settings, progress=progress)
    image, labels, winding = (path.name for path in (paths.image, paths.labels, paths.winding))
    # The windings fill the roll, so that they would hide all else.
    return FolderContents((image, winding, labels), annotated=(labels,), hidden=(winding,))
