"""Experiments from plain values and YAML files, and back.

:func:`load_experiment` reads a file, :func:`apply_overrides` changes single settings by
their dotted key and :func:`dump_experiment` writes every setting out. An error is one
sentence that names the file or the key, what was found and what is allowed.
"""

from __future__ import annotations

import os
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import ValidationError

from napari_surfseg.config import Experiment, Pair, ValidationSlab
from napari_surfseg.config_errors import explain_error, unknown_key
from napari_surfseg.errors import ConfigError
from napari_surfseg.networks.registry import AUTO, FRESH, is_network_name
from napari_surfseg.pair_tables import expand_pairs, is_pattern

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "apply_overrides",
    "build_experiment",
    "dump_experiment",
    "exists",
    "find_own_path",
    "load_experiment",
    "load_preset",
    "map_paths",
    "preset_names",
    "read_mapping",
    "relate_path",
    "relate_paths",
    "resolve_path",
    "resolve_paths",
]

#: Folders of a run that hold volumes of its own.
OWN_FOLDERS = ("inputs", "phantom")
#: What helps where a path of Windows stands in double quotes.
ABOUT_ESCAPES = (
    "in double quotes a backslash begins an escape, so write a path of Windows in single quotes or "
    "with /"
)

PRESETS_FOLDER = Path(__file__).parent / "presets"


def build_experiment(
    values: dict[str, Any], *, source: str = "the configuration", folder: Path | None = None
) -> Experiment:
    """Make an experiment from plain nested values.

    Parameters
    ----------
    values : dict
        As read from YAML.
    source : str
        What to call the values in an error, usually the file's path.
    folder : Path, optional
        From which a table or a pattern of pairs is found; by default the current one.

    Raises
    ------
    ConfigError
        With one sentence for the first error found, naming its dotted key.
    """
    try:
        values = _expand_data(values, Path.cwd() if folder is None else folder)
    except ConfigError as error:
        # What is about the key does not say yet where it stands; what is about a table does.
        if error.field is not None and str(error).startswith(error.field):
            raise ConfigError(f"In {source}, {error}", field=error.field) from None
        raise
    try:
        return Experiment.model_validate(values)
    except ValidationError as error:
        raise explain_error(error, Experiment, source) from None


def _expand_data(values: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Put lists in the place of tables and patterns of pairs."""
    data = values.get("data")
    if not isinstance(data, dict):
        return values
    train = expand_pairs(data.get("train"), folder, resolve_path, key="data.train")
    scored = data.get("validation")
    held = None
    if isinstance(scored, str | list | tuple) or is_pattern(scored):
        held = expand_pairs(scored, folder, resolve_path, key="data.validation")
    if held is not None:
        data = {**data, "validation": [*held.train, *held.validation]}
    if train is not None:
        data = {**data, "train": train.train}
        if train.validation and isinstance(data.get("validation"), list | tuple):
            raise ConfigError(
                "data.train is a table with rows for validation, and data.validation names pairs "
                "as well; say it in one place.",
                field="data.validation",
            )
        if train.validation:
            data["validation"] = train.validation
    return values if train is None and held is None else {**values, "data": data}


def load_experiment(path: str | Path, *, place: Callable[[str], str] | None = None) -> Experiment:
    """Read an experiment from a YAML file; relative data paths are taken from its folder.

    Parameters
    ----------
    path : path-like
        The file.
    place : callable, optional
        Says where a path of the file lies for this process, before it is made absolute.
    """
    path = Path(path)
    sections = ", ".join(Experiment.model_fields)
    values = read_mapping(path, f"a mapping with the sections {sections}")
    experiment = build_experiment(values, source=str(path), folder=path.parent)
    if place is not None:
        experiment = map_paths(experiment, place)
    return resolve_paths(experiment, path.parent)


def read_mapping(path: Path, wanted: str, *, what: str = "configuration") -> dict[str, Any]:
    """Read a YAML file that a person writes; an empty one holds nothing.

    Parameters
    ----------
    path : Path
        The file.
    wanted, what : str
        What it should hold, and what it is, for sentences.

    Raises
    ------
    ConfigError
        If it cannot be read, or is no mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"There is no {what} file {path}.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The {what} {path} cannot be read: {_cause(error)}.") from None
    try:
        values = yaml.load(text, Loader=_StrictLoader)  # noqa: S506 - it is a SafeLoader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "it cannot be parsed"
        if "escape" in problem:
            problem += f"; {ABOUT_ESCAPES}"
        raise ConfigError(f"The {what} {path} is not valid YAML{where}: {problem}.") from None
    if values is None:
        values = {}
    if not isinstance(values, dict):
        raise ConfigError(
            f"The {what} {path} holds a {type(values).__name__}; it must be {wanted}."
        )
    return values


class _StrictLoader(yaml.SafeLoader):
    """Refuses a key that is given twice, of which YAML would silently take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                continue
            if key_node.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key_node.value} is given twice", key_node.start_mark
                )
            seen.add(key_node.value)
        return super().construct_mapping(node, deep=deep)


def preset_names() -> tuple[str, ...]:
    """Names of the experiment presets that come with the package."""
    return tuple(sorted(path.stem for path in PRESETS_FOLDER.glob("*.yaml")))


def load_preset(name: str) -> Experiment:
    """Read one of the experiment presets that come with the package."""
    if name not in preset_names():
        raise ConfigError(f"There is no preset {name!r}; there are {', '.join(preset_names())}.")
    return load_experiment(PRESETS_FOLDER / f"{name}.yaml")


def dump_experiment(experiment: Experiment) -> str:
    """Write an experiment as YAML, every setting spelled out."""
    values = experiment.model_dump(mode="json")
    return yaml.safe_dump(values, sort_keys=False, default_flow_style=None, width=100)


def apply_overrides(experiment: Experiment, overrides: list[str]) -> Experiment:
    """Change settings by dotted assignments such as ``training.max_epochs=3``.

    The value is read as YAML, so ``data.patch_size=[32,64,64]`` and
    ``training.max_minutes=null`` work.

    Raises
    ------
    ConfigError
        Naming the assignment, what was found and what is allowed.
    """
    values = experiment.model_dump(mode="python")
    for assignment in overrides:
        key, equals, text = assignment.partition("=")
        key = key.strip()
        if not equals or not key:
            raise ConfigError(
                f"The override {assignment!r} must have the form KEY=VALUE, "
                "for example training.max_epochs=3."
            )
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError:
            hint = f"; {ABOUT_ESCAPES}" if '"' in text and "\\" in text else ""
            raise ConfigError(
                f"The value of the override {assignment!r} is not valid YAML{hint}."
            ) from None
        _assign(values, key, value)
        if isinstance(value, dict):
            # A section that is given in part has its other keys, too, for those that come after.
            values = build_experiment(values, source="--set").model_dump(mode="python")
    return build_experiment(values, source="--set")


def _assign(values: dict[str, Any], key: str, value: Any) -> None:
    parts = key.split(".")
    node: Any = values
    for depth, part in enumerate(parts):
        # A slab and a list of pairs are alternatives: setting a key of the one replaces the other.
        if not isinstance(node, dict) and parts[:depth] == ["data", "validation"]:
            values["data"]["validation"] = node = {}
        if node is None and parts[:depth] == ["model", "arguments"]:
            values["model"]["arguments"] = node = {}
        known = list(node) if isinstance(node, dict) else []
        if parts[:depth] == ["data", "validation"]:
            known = list(ValidationSlab.model_fields)
        if parts[:depth] == ["model", "arguments"]:
            known.append(part)  # which there are is known to MONAI
        if part not in known:
            raise unknown_key(".".join(parts[: depth + 1]), known)
        if depth == len(parts) - 1:
            node[part] = value
        else:
            node = node[part]


def resolve_paths(experiment: Experiment, folder: Path) -> Experiment:
    """Make relative paths of volumes and of ``model.start_from`` absolute, from ``folder``."""
    return map_paths(experiment, lambda source: resolve_path(source, folder))


def relate_paths(experiment: Experiment, folder: Path) -> Experiment:
    """Write the paths of all that lies in a folder from there, so that the folder can be moved."""
    return map_paths(experiment, lambda source: relate_path(source, folder))


def resolve_path(source: str, folder: Path) -> str:
    """Make the path of a volume absolute, from ``folder``; a URL stays as it is.

    An absolute path that leads nowhere, into the ``inputs`` or ``phantom`` of a run, means the
    same in this folder if that is there: the run was moved since its configuration was written.
    """
    if "://" in source:
        return source
    path, separator, key = source.partition("::")
    is_foreign = os.name != "nt" and PureWindowsPath(path).drive != ""
    if is_foreign or (Path(path).is_absolute() and not exists(Path(path))):
        # A path of Windows is no name in this folder: it stays as it was given.
        return find_own_path(source, folder)
    return str((folder / Path(path).expanduser()).resolve()) + separator + key


def find_own_path(source: str, folder: Path) -> str:
    """Return the path of a run's own volume where its folder lies now, whatever it was before.

    Parameters
    ----------
    source : str
        Absolute, of any system: as it was written before the run was moved or copied.
    folder : Path
        Of the run; what does not lie in its ``inputs`` or ``phantom`` is returned as it is.
    """
    path, separator, key = source.partition("::")
    parts = PureWindowsPath(path).parts  # which knows both separators
    if "://" in source or len(parts) < 3 or parts[-2] not in OWN_FOLDERS:
        return source
    own = folder.joinpath(*parts[-2:])
    return str(own.resolve()) + separator + key if exists(own) else source


def relate_path(source: str, folder: Path) -> str:
    """Write the path of a volume from ``folder`` if it lies in it, with ``/`` on every system."""
    path, separator, key = source.partition("::")
    place = Path(path)
    if "://" in source or not place.is_absolute():
        return source
    for one, other in ((place, folder), (place.resolve(), folder.resolve())):
        if ".." not in one.parts and one != other and one.is_relative_to(other):
            return one.relative_to(other).as_posix() + separator + key
    return source


def exists(path: Path) -> bool:
    """Whether there is a file or folder; no for a name that no file can have."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def map_paths(experiment: Experiment, change: Callable[[str], str]) -> Experiment:
    """Change the paths of all volumes, and of ``model.start_from``."""

    def changed(pair: Pair) -> Pair:
        return pair.model_copy(update={"image": change(pair.image), "labels": change(pair.labels)})

    data = experiment.data
    update: dict[str, Any] = {"train": tuple(changed(pair) for pair in data.train)}
    if isinstance(data.validation, tuple):
        update["validation"] = tuple(changed(pair) for pair in data.validation)
    model = experiment.model
    if model.start_from not in (AUTO, FRESH) and not is_network_name(model.start_from):
        model = model.model_copy(update={"start_from": change(model.start_from)})
    return experiment.model_copy(update={"data": data.model_copy(update=update), "model": model})


def _cause(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "it is not text in UTF-8"
    return getattr(error, "strerror", None) or str(error)
