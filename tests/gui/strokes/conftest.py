"""The page on which volumes and labels are chosen, without a window."""

from unittest.mock import Mock

import pytest

from napari_surfseg.gui.controls.source_choice import PairChoice
from napari_surfseg.gui.strokes.protocols import PaintedPageProtocol


@pytest.fixture
def page():
    """Remembers what is chosen; begins with one empty pair."""
    pairs = [PairChoice(None, None)]

    def choose(number, *, image=None, labels=None):
        before = pairs[number]
        pairs[number] = PairChoice(image or before.image, labels or before.labels)

    page = Mock(spec=PaintedPageProtocol)
    page.pairs.side_effect = lambda: tuple(pairs)
    page.add_pair.side_effect = lambda: pairs.append(PairChoice(None, None))
    page.choose.side_effect = choose
    page.meanings.return_value = {0: "background", 1: "foreground", 2: "ignore"}
    return page
