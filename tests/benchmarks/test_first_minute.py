"""What the time after Start goes into, put together from looks at the worker's threads."""

import pytest


@pytest.mark.parametrize(
    ("places", "phase"),
    [
        (["<frozen importlib._bootstrap>:_load", "/a/training/loop.py:_take_step"], "imports"),
        (["/a/napari_surfseg/training/loop.py:_take_step"], "steps"),
        (["/a/x.py:f", "/a/data/checks.py:g", "/a/training/run_data.py:h"], "checks and census"),
        (["/a/x.py:f"], ""),
    ],
)
def test_a_stack_is_in_the_phase_of_its_innermost_call(places, phase):
    import first_minute

    assert first_minute.find_phase(iter(places)) == phase


def test_looks_become_a_row_a_phase(tmp_path):
    import first_minute

    looks = [
        (9.0, 0.5, "imports", []),  # before Start, by a worker that stood by
        (10.5, 1.0, "imports", []),
        (11.0, 1.5, "steps", ["patches"]),
        (12.0, 2.5, "steps", []),
        (13.0, 3.0, "validation", []),
    ]
    rows = first_minute.summarise([list(look) for look in looks], begun=10.0, ended=12.5)
    assert rows == [
        ("imports", 0.5, 0.5, 0.5, False),
        ("steps", 1.0, 2.0, 1.5, False),
        ("patches", 1.0, 1.0, 0.0, True),
    ]
    assert first_minute.processor_at([list(look) for look in looks], 10.0, 12.0) == 2.0
    trace = tmp_path / "trace.jsonl"
    trace.write_text('[1.0, 0.1, "", []]\n[2.0, 0.')
    assert first_minute.read_trace(trace) == [[1.0, 0.1, "", []]]
    found = first_minute.Found("command line", "fresh weights", {"first step": 2.0}, {}, rows)
    lines = first_minute.describe([found], processor=False)
    assert "| command line | fresh weights |  | 2.0 |  |  |" in lines
