"""A page of results keeps the sections that were not measured."""

import numpy as np


def test_only_what_was_measured_is_replaced(monkeypatch):
    import scale

    monkeypatch.setattr(scale, "SECTIONS", {"one": "First", "two": "Second", "three": "Third"})
    page = scale.join_sections({}, {"Third": ["of old"], "First": ["a", "", "b"]})
    kept = scale.read_sections(page)
    page = scale.join_sections(kept, {"Second": ["new"], "Third": ["newer"]})
    body = page[page.index("## First") :]
    assert body == "## First\n\na\n\nb\n\n## Second\n\nnew\n\n## Third\n\nnewer\n"
    assert scale.join_sections(scale.read_sections(page), {}) == page


def test_a_phantom_is_the_same_each_time():
    from scale_parts.phantom import make_sheets

    box = ((0, 5, 7), (20, 40, 30))
    assert np.array_equal(make_sheets(box), make_sheets(box))
    assert make_sheets(box).shape == (20, 35, 23)
    assert 50 < make_sheets(box).mean() < 130
