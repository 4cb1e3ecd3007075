"""The launchers there are: files of a person, of a lab, and beside an experiment."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs
from pydantic import ValidationError

from napari_surfseg.config_errors import explain_error, unknown_key
from napari_surfseg.config_files import read_mapping
from napari_surfseg.errors import ConfigError, OutputError
from napari_surfseg.files import explain_write_error, written_aside
from napari_surfseg.runs.launchers.schema import Launcher

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "FoundLauncher",
    "copy_example",
    "example_names",
    "find_launcher",
    "find_used_launcher",
    "find_user_folder",
    "keep_used_launcher",
    "list_launchers",
    "read_launcher",
]

#: Folders and files of launchers, separated as in PATH: a lab's, for example.
VARIABLE = "SURFSEG_LAUNCHERS"
FOLDER_NAME = "launchers"
EXAMPLES = Path(__file__).parent / "examples"
SUFFIXES = (".yaml", ".yml")
NAME = re.compile(r"[\w][\w .-]{0,59}")


@dataclass(frozen=True)
class FoundLauncher:
    """A file of a launcher.

    Attributes
    ----------
    name : str
        By which it is chosen: the file's, without its ending.
    path : Path
        The file.
    launcher : Launcher or None
        None where it is not valid.
    error : str
        Why it is not; empty if it is.
    """

    name: str
    path: Path
    launcher: Launcher | None = None
    error: str = ""

    @property
    def title(self) -> str:
        """What a person calls it."""
        return (self.launcher.title if self.launcher else "") or self.name

    @property
    def digest(self) -> str:
        """Of the file's text."""
        return hashlib.sha256(self.path.read_bytes()).hexdigest()


def find_user_folder() -> Path:
    """Return the folder of a person's own launchers; it need not exist."""
    return platformdirs.user_config_path("napari-surfseg", appauthor=False) / FOLDER_NAME


def list_launchers(beside: Path | None = None) -> list[FoundLauncher]:
    """Read every launcher there is, the valid and the others.

    Parameters
    ----------
    beside : Path, optional
        Folder of an experiment, whose own ``launchers`` come first.
    """
    found: dict[str, FoundLauncher] = {}
    for path in _find_files(beside):
        # Of one name the first counts: an experiment's before a lab's before a person's.
        found.setdefault(path.stem, _look_at(path))
    return list(found.values())


def find_launcher(name: str, beside: Path | None = None) -> FoundLauncher:
    """Find a launcher by its name, or a file by its path.

    Raises
    ------
    ConfigError
        If there is none, or it is not valid; ``field`` is ``launcher``.
    """
    path = Path(name).expanduser()
    if path.suffix in SUFFIXES:
        found = _look_at(path)
    else:
        known = list_launchers(beside)
        match = next((one for one in known if one.name == name), None)
        if match is None:
            names = ", ".join(one.name for one in known)
            there_are = f"there are {names}" if names else "there are none yet"
            raise ConfigError(
                f"There is no launcher {name!r}; {there_are}, and surfseg launchers --example "
                f"copies one of {', '.join(example_names())} to {find_user_folder()}.",
                field="launcher",
            )
        found = match
    if found.launcher is None:
        raise ConfigError(found.error, field="launcher")
    return found


def read_launcher(path: Path) -> Launcher:
    """Read the file of a launcher.

    Raises
    ------
    ConfigError
        Naming the file and the key.
    """
    values = read_mapping(
        path, f"a mapping with {', '.join(Launcher.model_fields)}", what="launcher"
    )
    try:
        # A key that does not exist is often the one that is missing, misspelled.
        for key in values.keys() - Launcher.model_fields.keys():
            raise unknown_key(str(key), Launcher.model_fields)
        try:
            return Launcher.model_validate(values)
        except ValidationError as error:
            raise explain_error(error, Launcher, str(path)) from None
    except ConfigError as error:
        said = str(error)
        if str(path) not in said:
            said = f"In {path}, {said[:1].lower()}{said[1:]}"
        raise ConfigError(said, field=error.field) from None


def example_names() -> tuple[str, ...]:
    """Names of the examples that come with the package."""
    return tuple(sorted(path.stem for path in EXAMPLES.glob("*.yaml")))


def copy_example(name: str, folder: Path | None = None) -> Path:
    """Copy an example to a person's own launchers, to be adapted.

    Raises
    ------
    ConfigError
        If there is no such example.
    OutputError
        If a launcher of that name is there already, or it cannot be written.
    """
    if name not in example_names():
        raise ConfigError(
            f"There is no example {name!r}; there are {', '.join(example_names())}.",
            field="launcher",
        )
    target = (find_user_folder() if folder is None else folder) / f"{name}.yaml"
    if target.exists():
        raise OutputError(f"{target} exists already; rename it to have the example beside it.")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with written_aside(target, overwrite=False) as aside:
            shutil.copyfile(EXAMPLES / f"{name}.yaml", aside)
    except OSError as error:
        raise explain_write_error(target, error) from None
    return target


def keep_used_launcher(found: FoundLauncher) -> str:
    """Keep the text of a launcher that a person uses, so that its job can be asked after later.

    The file may be changed, or lie beside an experiment that this machine forgets. Only what a
    person used here once is run later for a run folder that names it.

    Returns
    -------
    str
        The digest by which :func:`find_used_launcher` finds it.
    """
    digest = found.digest
    target = _used_folder() / f"{digest}.yaml"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with written_aside(target) as aside:
            shutil.copyfile(found.path, aside)
    except OSError as error:
        raise explain_write_error(target, error) from None
    return digest


def find_used_launcher(digest: str) -> Launcher | None:
    """Find a launcher that this person used; None where there is none, or it was changed."""
    path = _used_folder() / f"{digest}.yaml"
    try:
        if not re.fullmatch(r"[0-9a-f]{64}", digest):
            return None
        if hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            return None
        return read_launcher(path)
    except (OSError, ConfigError):
        return None


def _used_folder() -> Path:
    return platformdirs.user_state_path("napari-surfseg", appauthor=False) / "used_launchers"


def _look_at(path: Path) -> FoundLauncher:
    name = path.stem
    if not NAME.fullmatch(name):
        return FoundLauncher(
            name,
            path,
            error=f"The launcher {path} is named {name!r}; a name is letters, digits, spaces, ., - "
            "and _.",
        )
    try:
        return FoundLauncher(name, path, read_launcher(path))
    except ConfigError as error:
        return FoundLauncher(name, path, error=str(error))


def _find_files(beside: Path | None) -> Iterator[Path]:
    places = [] if beside is None else [beside / FOLDER_NAME]
    named = [part for part in os.environ.get(VARIABLE, "").split(os.pathsep) if part]
    named_places = [Path(part).expanduser() for part in named]
    for place in (*places, *named_places, find_user_folder()):
        if place.is_file() or (place in named_places and not place.exists()):
            yield place  # of one that is missing, a sentence says so
            continue
        try:
            inside = sorted(place.iterdir())
        except OSError:  # most people have no such folder
            continue
        yield from (path for path in inside if path.suffix in SUFFIXES)
