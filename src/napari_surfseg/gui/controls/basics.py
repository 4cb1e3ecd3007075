"""Small controls that several docks use."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QEvent, QObject, QSize, Qt
from qtpy.QtGui import QColor, QPainter
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QComboBox,
    QFormLayout,
    QFrame,
    QLabel,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QSlider,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

__all__ = [
    "NARROWEST",
    "ElidedLabel",
    "FieldError",
    "NoWheelFilter",
    "Section",
    "cut_entries",
    "hint",
    "labelled_rows",
    "message_color",
    "note",
    "push_button",
    "scrolled",
]

#: A dock is usable from this width on (pixels); below, its controls would be cut.
NARROWEST = 290


def hint(widget: QWidget, text: str) -> QWidget:
    """Give a control its tooltip, wrapped, and the same words for screen readers."""
    widget.setToolTip(f"<qt>{text}</qt>")
    widget.setAccessibleDescription(text)
    return widget


def push_button(name: str, text: str, tip: str) -> QPushButton:
    """Return a button with its objectName, its text and its tooltip."""
    button = QPushButton(text)
    button.setObjectName(name)
    hint(button, tip)
    return button


def message_color(widget: QWidget) -> str:
    """Return a red that is readable on the widget's theme."""
    dark = widget.palette().window().color().lightness() < 128
    return "#ff7b72" if dark else "#b3261e"


class ElidedLabel(QWidget):
    """A line of text that is cut with an ellipsis where it does not fit, whole in its tooltip.

    Unlike a QLabel it never asks the layout for another size, so that a new text repaints one
    line only: in a window with a canvas that is five times cheaper.
    """

    def __init__(self, text: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._whole = ""
        self._details = ""
        self._alignment = Qt.AlignmentFlag.AlignLeft
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setMinimumWidth(20)
        self.set_text(text)

    def set_text(self, text: str) -> None:
        """Show this text."""
        if text == self._whole:
            return
        self._whole = text
        self.setAccessibleName(text)
        self._set_tooltip()
        self.update()

    def set_details(self, text: str) -> None:
        """Say more in the tooltip."""
        self._details = text
        self._set_tooltip()

    def set_alignment(self, alignment: Qt.AlignmentFlag) -> None:
        """Put the text to the left or the right."""
        self._alignment = alignment
        self.update()

    def whole_text(self) -> str:
        """Return the text, uncut."""
        return self._whole

    def _cut(self) -> str:
        return self.fontMetrics().elidedText(
            self._whole, Qt.TextElideMode.ElideMiddle, max(self.width() - 2, 20)
        )

    def _set_tooltip(self) -> None:
        self.setToolTip(self._details or (self._whole if self._cut() != self._whole else ""))

    def resizeEvent(self, event: Any) -> None:  # noqa: N802
        """Cut the text to the new width."""
        super().resizeEvent(event)
        self._set_tooltip()

    def paintEvent(self, event: Any) -> None:  # noqa: N802
        """Paint the text as a QLabel would."""
        painter = QPainter(self)
        painter.setPen(self.palette().windowText().color())
        painter.drawText(
            self.rect(), int(self._alignment | Qt.AlignmentFlag.AlignVCenter), self._cut()
        )
        painter.end()

    def sizeHint(self) -> QSize:  # noqa: N802
        """Any width will do."""
        return QSize(20, self.fontMetrics().height())

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        """Any width will do."""
        return self.sizeHint()


class FieldError(QLabel):
    """The sentence beside a control that says what is wrong; hidden where nothing is."""

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName(f"{name}_error")
        self.setWordWrap(True)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.hide()

    def set_message(self, message: str) -> None:
        """Show a sentence, or with an empty one nothing."""
        self.setText(message)
        self.setVisible(bool(message))
        if message:
            self.setStyleSheet(f"color: {QColor(message_color(self)).name()};")


class Section(QWidget):
    """A heading that shows and hides what is below it."""

    def __init__(self, title: str, name: str, *, open_: bool = False) -> None:
        super().__init__()
        self.button = QToolButton()
        self.button.setObjectName(name)
        self.button.setText(title)
        self.button.setCheckable(True)
        self.button.setChecked(open_)
        self.button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.button.setStyleSheet(
            "text-align: left; font-weight: bold; border: none; padding: 3px;"
        )
        hint(self.button, f"Show or hide: {title}.")
        self.body = QWidget()
        self.body.setVisible(open_)
        self.button.toggled.connect(self._on_toggled)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.button)
        layout.addWidget(self.body)
        self._on_toggled(open_)

    def _on_toggled(self, on: bool) -> None:
        self.button.setArrowType(Qt.ArrowType.DownArrow if on else Qt.ArrowType.RightArrow)
        self.body.setVisible(on)


class NoWheelFilter(QObject):
    """Keeps the mouse wheel for scrolling: a value must not change while a page scrolls."""

    def eventFilter(self, watched: Any, event: Any) -> bool:  # noqa: N802
        """Drop wheel events of controls that have no focus."""
        if event.type() == QEvent.Type.Wheel and not watched.hasFocus():
            event.ignore()
            return True
        return False

    def guard(self, root: QWidget) -> None:
        """Guard every spin box, combo box and slider below a widget."""
        for kind in (QAbstractSpinBox, QComboBox, QSlider):
            for control in root.findChildren(kind):
                control.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
                control.installEventFilter(self)


def cut_entries(combo: QComboBox) -> None:
    """Let a list be narrower than its entries, which are then cut."""
    combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    combo.setMinimumContentsLength(6)
    combo.setMinimumWidth(max(combo.minimumWidth(), 64))


def labelled_rows(parent: QWidget | None = None, *, spacing: int = 4) -> QFormLayout:
    """Return a layout of labels with their controls; in a narrow dock a label stands above."""
    rows = QFormLayout() if parent is None else QFormLayout(parent)
    rows.setVerticalSpacing(spacing)
    rows.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    rows.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
    return rows


def scrolled(body: QWidget, name: str) -> QScrollArea:
    """Put a widget into a scroll area that scrolls only up and down.

    Its lists cut long entries instead of asking for their width, which would then be cut off.
    """
    for combo in body.findChildren(QComboBox):
        cut_entries(combo)
    area = QScrollArea()
    area.setObjectName(name)
    area.setWidgetResizable(True)
    area.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # Tab goes from control to control
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setWidget(body)
    return area


def note(text: str) -> QLabel:
    """Return a wrapped line of explanation, fainter than the controls."""
    label = QLabel(text)
    label.setWordWrap(True)
    label.setStyleSheet("font-size: 11px;")
    label.setEnabled(True)
    return label
