"""Experiments from plain values and YAML files, and back.

:func:`load_experiment` reads a file, :func:`apply_overrides` changes single settings by
their dotted key and :func:`dump_experiment` writes every setting out. An error is one
sentence that names the file or the key, what was found and what is allowed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from napari_surfseg.config import Experiment, Pair, ValidationSlab
from napari_surfseg.config_errors import explain_error, unknown_key
from napari_surfseg.errors import ConfigError

__all__ = [
    "apply_overrides",
    "build_experiment",
    "dump_experiment",
    "load_experiment",
    "load_preset",
    "preset_names",
    "resolve_paths",
]

PRESETS_FOLDER = Path(__file__).parent / "presets"


def build_experiment(values: dict[str, Any], *, source: str = "the configuration") -> Experiment:
    """Make an experiment from plain nested values.

    Parameters
    ----------
    values : dict
        As read from YAML.
    source : str
        What to call the values in an error, usually the file's path.

    Raises
    ------
    ConfigError
        With one sentence for the first error found, naming its dotted key.
    """
    try:
        return Experiment.model_validate(values)
    except ValidationError as error:
        raise explain_error(error, Experiment, source) from None


def load_experiment(path: str | Path) -> Experiment:
    """Read an experiment from a YAML file; relative data paths are taken from its folder."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"There is no configuration file {path}.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The configuration {path} cannot be read: {_cause(error)}.") from None
    try:
        values = yaml.load(text, Loader=_StrictLoader)  # noqa: S506 - it is a SafeLoader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "it cannot be parsed"
        raise ConfigError(
            f"The configuration {path} is not valid YAML{where}: {problem}."
        ) from None
    if values is None:
        values = {}
    if not isinstance(values, dict):
        raise ConfigError(
            f"The configuration {path} holds a {type(values).__name__}; it must be a mapping "
            f"with the sections {', '.join(Experiment.model_fields)}."
        )
    return resolve_paths(build_experiment(values, source=str(path)), path.parent)


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
            raise ConfigError(
                f"The value of the override {assignment!r} is not valid YAML."
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
        known = list(node) if isinstance(node, dict) else []
        if parts[:depth] == ["data", "validation"]:
            known = list(ValidationSlab.model_fields)
        if part not in known:
            raise unknown_key(".".join(parts[: depth + 1]), known)
        if depth == len(parts) - 1:
            node[part] = value
        else:
            node = node[part]


def resolve_paths(experiment: Experiment, folder: Path) -> Experiment:
    """Make relative paths of volumes and of ``model.start_from`` absolute, from ``folder``."""

    def resolved(pair: Pair) -> Pair:
        return pair.model_copy(
            update={"image": _resolve(pair.image, folder), "labels": _resolve(pair.labels, folder)}
        )

    data = experiment.data
    update: dict[str, Any] = {"train": tuple(resolved(pair) for pair in data.train)}
    if isinstance(data.validation, tuple):
        update["validation"] = tuple(resolved(pair) for pair in data.validation)
    model = experiment.model
    if model.start_from is not None:
        start_from = _resolve(model.start_from, folder)
        model = model.model_copy(update={"start_from": start_from})
    return experiment.model_copy(update={"data": data.model_copy(update=update), "model": model})


def _resolve(source: str, folder: Path) -> str:
    if "://" in source:
        return source
    path, separator, key = source.partition("::")
    return str((folder / Path(path).expanduser()).resolve()) + separator + key


def _cause(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "it is not text in UTF-8"
    return getattr(error, "strerror", None) or str(error)
