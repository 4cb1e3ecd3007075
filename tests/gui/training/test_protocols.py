"""The widgets have what the protocols of their controllers name, with the same parameters."""

import inspect

from qtpy.QtCore import Signal
from tests.gui.training.stand_ins import members_of, parts_of

from napari_surfseg.gui.training.protocols import TrainingViewProtocol
from napari_surfseg.gui.training.view import TrainingView


def test_the_view_and_its_parts_have_what_their_protocols_name(qtbot):
    view = TrainingView()
    qtbot.addWidget(view)
    parts = list(parts_of(view, TrainingViewProtocol))
    assert {type(part).__name__ for part, _protocol in parts} == {
        *("TrainingView", "DataPage", "MeaningsPanel", "LossPanel", "RunPanel", "NextSteps"),
        *("StrokesPanel", "BrushButtons", "FirstLook"),
    }
    for part, protocol in parts:
        for name in members_of(protocol):
            member = getattr(protocol, name)
            assert hasattr(part, name), (protocol.__name__, name)
            if isinstance(member, property):
                is_signal = member.fget.__annotations__["return"] in {"Intent", "Any"}
                assert is_signal == isinstance(getattr(type(part), name, None), Signal), name
            else:
                wanted = list(inspect.signature(member).parameters)[1:]
                assert list(inspect.signature(getattr(part, name)).parameters) == wanted, name
