"""What is written of a network, and whether it can be. No torch here: a window holds it."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from napari_surfseg.errors import OutputError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "DEFAULT_LICENCE",
    "FORMATS",
    "SUFFIXES",
    "ShareFormat",
    "ShareSettings",
    "check_share",
    "choose_format",
]

ShareFormat = Literal["monai", "bioimageio", "onnx"]

#: What a person reads of each.
FORMATS: dict[ShareFormat, str] = {
    "monai": "MONAI bundle (a folder)",
    "bioimageio": "bioimage.io package (a .zip)",
    "onnx": "ONNX (one .onnx file)",
}
#: How the name of each ends; a bundle is a folder of any name.
SUFFIXES: dict[ShareFormat, str] = {"monai": "", "bioimageio": ".zip", "onnx": ".onnx"}

#: What each is written or checked with, as it is imported.
NEEDED: dict[ShareFormat, tuple[str, ...]] = {
    "monai": ("monai",),
    "bioimageio": ("bioimageio.core", "onnx", "onnxscript", "onnxruntime"),
    "onnx": ("onnx", "onnxscript", "onnxruntime"),
}

#: Identifiers of SPDX; which of them there are is looked up where it matters.
LICENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]{1,60}")

#: What bioimage.io recommends: others may use the network and name its authors.
DEFAULT_LICENCE = "CC-BY-4.0"


@dataclass(frozen=True)
class ShareSettings:
    """What goes along with a network.

    Attributes
    ----------
    title : str, optional
        By default the name of the experiment.
    authors : tuple of str
        Who trained it.
    licence : str
        SPDX identifier of the weights' licence.
    overwrite : bool
        Replace what is there.
    """

    title: str | None = None
    authors: tuple[str, ...] = ()
    licence: str = DEFAULT_LICENCE
    overwrite: bool = False


def choose_format(output: Path, wanted: str | None = None) -> ShareFormat:
    """Find what is written to a path, and check that its name fits.

    Raises
    ------
    OutputError
        If the name does not fit what is wanted.
    """
    named = {suffix: kind for kind, suffix in SUFFIXES.items()}.get(output.suffix.lower())
    if wanted is None:
        if named is None:
            # "v1.2" is a folder like any other.
            return "monai"
        return named
    for kind, suffix in SUFFIXES.items():
        if kind == wanted:
            if suffix and named != kind:
                raise OutputError(
                    f"{output} cannot be written as {FORMATS[kind]}: let the name end in {suffix}."
                )
            if not suffix and named not in (None, kind):
                raise OutputError(
                    f"{output} cannot be written as {FORMATS[kind]}: name a folder without "
                    f"{output.suffix}."
                )
            return kind
    raise OutputError(f"There is no format {wanted}; there are {', '.join(FORMATS)}.")


def check_share(output: Path, wanted: str | None, settings: ShareSettings) -> ShareFormat:
    """Refuse before the work begins what would be refused at its end.

    Parameters
    ----------
    output : Path
        What is to be written.
    wanted : str, optional
        As for :func:`choose_format`.
    settings : ShareSettings
        What goes along.

    Returns
    -------
    str
        The format.

    Raises
    ------
    OutputError
        If the output exists or has no folder, its name or the licence does not fit, or a library
        that is needed is not installed.
    """
    kind = choose_format(output, wanted)
    if output.exists() and not settings.overwrite:
        raise OutputError(f"{output} exists already; it is replaced only with overwrite.")
    if not output.parent.is_dir():
        raise OutputError(f"{output} cannot be written: there is no folder {output.parent}.")
    if not LICENCE.fullmatch(settings.licence):
        raise OutputError(
            f"The licence is {settings.licence!r}, but it must be an identifier of "
            "spdx.org/licenses, such as CC-BY-4.0 or CC0-1.0."
        )
    for name in NEEDED[kind]:
        if not _is_installed(name):
            raise OutputError(
                f"{FORMATS[kind]} needs the library {name.partition('.')[0]}; install it with: "
                'pip install "napari-surfseg[share]"'
            )
    return kind


def _is_installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False
