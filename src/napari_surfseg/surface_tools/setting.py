"""What a tool's parameter says of itself, for a form, a command line and a check."""

from __future__ import annotations

import inspect
import math
import typing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_surfseg.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Parameter", "Setting", "check_settings", "list_parameters"]


@dataclass(frozen=True)
class Setting:
    """Annotates a parameter: ``Annotated[int, Setting("smallest piece", minimum=0)]``.

    Attributes
    ----------
    meaning : str
        One sentence for tooltips and ``--help``.
    minimum, maximum : float
        What is allowed.
    step : float, optional
        Of a number box.
    unit : str
        Such as ``voxels``; empty where there is none.
    choices : tuple of str
        Of a text; empty for numbers and switches.
    """

    meaning: str
    minimum: float = -math.inf
    maximum: float = math.inf
    step: float | None = None
    unit: str = ""
    choices: tuple[str, ...] = ()

    def describe_limits(self) -> str:
        """Write what is allowed: ``0 to 1``, ``at least 1``, ``sheet or closed``."""
        if self.choices:
            return " or ".join([", ".join(self.choices[:-1]), self.choices[-1]])
        low, high = math.isfinite(self.minimum), math.isfinite(self.maximum)
        if low and high:
            return f"{self.minimum:g} to {self.maximum:g}"
        if low:
            return f"at least {self.minimum:g}"
        return f"at most {self.maximum:g}" if high else "any number"


@dataclass(frozen=True)
class Parameter:
    """A parameter of a tool with its setting.

    Attributes
    ----------
    name : str
        In Python; the command line writes ``--min-voxels`` for ``min_voxels``.
    kind : type
        ``int``, ``float``, ``bool`` or ``str``.
    default : int, float, bool or str
        Used where nothing is given.
    setting : Setting
        Meaning and limits.
    """

    name: str
    kind: type
    default: Any
    setting: Setting

    @property
    def title(self) -> str:
        """For a form: ``Min voxels``."""
        return self.name.replace("_", " ").capitalize()

    def check(self, value: Any) -> Any:
        """Return a value as this parameter's kind.

        Raises
        ------
        ConfigError
            In a sentence that names it, if it is not allowed.
        """
        setting = self.setting
        if self.kind is bool or self.kind is str:
            allowed = setting.choices if self.kind is str else (True, False)
            if value in allowed:
                return value
            limits = setting.describe_limits() if self.kind is str else "true or false"
        else:
            limits = setting.describe_limits()
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            whole = self.kind is float or (is_number and float(value).is_integer())
            if is_number and whole and setting.minimum <= value <= setting.maximum:
                return self.kind(value)
            if self.kind is int:
                limits = f"a whole number, {limits}"
        raise ConfigError(f"The {self.name} is {value!r}; it must be {limits}.", field=self.name)


def list_parameters(function: Callable[..., Any]) -> list[Parameter]:
    """List the parameters of a tool that have a :class:`Setting`, in order."""
    hints = typing.get_type_hints(function, include_extras=True)
    found = []
    for name, parameter in inspect.signature(function).parameters.items():
        arguments = typing.get_args(hints.get(name))
        settings = [item for item in arguments[1:] if isinstance(item, Setting)]
        if settings:
            found.append(Parameter(name, arguments[0], parameter.default, settings[0]))
    return found


def check_settings(function: Callable[..., Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Check settings of a tool and add the defaults of those not given.

    Raises
    ------
    ConfigError
        If there is no such setting, or a value is not allowed.
    """
    parameters = {parameter.name: parameter for parameter in list_parameters(function)}
    for name in values:
        if name not in parameters:
            known = ", ".join(parameters) or "none"
            raise ConfigError(f"There is no setting {name!r}; there are {known}.", field=name)
    return {
        name: parameter.check(values.get(name, parameter.default))
        for name, parameter in parameters.items()
    }
