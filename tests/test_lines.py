"""Files of lines that several programs write and others follow; most of it in test_events.py."""

from napari_surfseg.lines import append_line, iterate_lines


def test_a_half_line_is_ended_before_the_next_one(tmp_path):
    path = tmp_path / "some.jsonl"
    append_line(path, b"one\n")
    with path.open("ab") as file:
        file.write(b"ha")
    assert list(iterate_lines(path)) == [b"one"]
    append_line(path, b"two\n")
    assert list(iterate_lines(path)) == [b"one", b"ha", b"two"]
