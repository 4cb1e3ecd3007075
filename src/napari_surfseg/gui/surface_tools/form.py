"""The settings of a tool as widgets, made by magicgui from the function's annotations."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from magicgui.widgets import Container, create_widget

from napari_surfseg.gui.controls.basics import hint

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from magicgui.widgets.bases import ValueWidget
    from qtpy.QtWidgets import QWidget

    from napari_surfseg.surface_tools.registry import Tool
    from napari_surfseg.surface_tools.setting import Parameter

__all__ = ["ToolForm"]

#: Of a number without an upper limit; magicgui's boxes need one.
LARGEST = 10**9


class ToolForm:
    """The widgets of one tool's settings.

    Parameters
    ----------
    tool : Tool
        Whose function's annotations give limits, units and help.
    """

    def __init__(self, tool: Tool) -> None:
        self._parameters = tool.parameters
        self._widgets = [_make_widget(tool, parameter) for parameter in self._parameters]
        self._container: Any = Container(widgets=self._widgets, labels=True)
        self._container.native.setObjectName(f"tool_{tool.name.replace('-', '_')}_settings")
        self._container.native.layout().setContentsMargins(0, 0, 0, 0)

    @property
    def native(self) -> QWidget:
        """To put into a layout."""
        widget: QWidget = self._container.native
        return widget

    def values(self) -> dict[str, Any]:
        """Return what is set."""
        return {
            parameter.name: widget.value
            for parameter, widget in zip(self._parameters, self._widgets, strict=True)
        }

    def set_values(self, values: Mapping[str, Any]) -> None:
        """Set what :meth:`values` gave."""
        for parameter, widget in zip(self._parameters, self._widgets, strict=True):
            widget.value = values.get(parameter.name, parameter.default)

    def connect(self, changed: Callable[[], None]) -> None:
        """Call this whenever something is set."""
        for widget in self._widgets:
            widget.changed.connect(lambda _value: changed())


def _make_widget(tool: Tool, parameter: Parameter) -> ValueWidget[Any]:
    setting = parameter.setting
    options: dict[str, Any] = {}
    if setting.choices:
        options["choices"] = list(setting.choices)
    elif parameter.kind in (int, float):
        low, high = setting.minimum, setting.maximum
        options["min"] = parameter.kind(low) if math.isfinite(low) else -LARGEST
        options["max"] = parameter.kind(high) if math.isfinite(high) else LARGEST
        if setting.step is not None:
            options["step"] = setting.step
    widget: Any = create_widget(
        value=parameter.default,
        annotation=parameter.kind,
        name=parameter.name,
        label="" if parameter.kind is bool else _write_label(parameter),
        options=options,
    )
    if parameter.kind is bool:
        widget.text = parameter.title
    native = widget.native
    native.setObjectName(f"tool_{tool.name.replace('-', '_')}_{parameter.name}")
    unit = f" ({setting.unit})" if setting.unit else ""
    hint(native, f"{setting.meaning}{unit}.")
    return widget


def _write_label(parameter: Parameter) -> str:
    """Write the title, and the unit where the title does not have it."""
    unit = parameter.setting.unit
    has_it = not unit or unit in parameter.title.lower()
    return parameter.title if has_it else f"{parameter.title} ({unit})"
