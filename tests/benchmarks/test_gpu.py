"""The checks of a GPU run on a CPU too, reduced; what they find there is no measurement."""

import time

import torch


def test_every_section_runs_on_a_cpu(tmp_path):
    import gpu

    bench = gpu.Bench(torch.device("cpu"), True, tmp_path, time.monotonic() + 600)
    lines, is_well = gpu.run_sections(bench)
    assert is_well, "\n".join(lines)
    assert [line[3:] for line in lines if line.startswith("## ")] == list(gpu.SECTIONS)


def test_a_section_that_fails_is_said_and_the_others_run(tmp_path, monkeypatch, capsys):
    import gpu

    def fail(_bench):
        raise gpu.UntrustedError("no")

    monkeypatch.setattr(gpu, "SECTIONS", {"one": fail, "two": lambda _bench: ["2 ms"]})
    bench = gpu.Bench(torch.device("cpu"), True, tmp_path, time.monotonic() + 600)
    lines, is_well = gpu.run_sections(bench)
    assert not is_well
    assert "**Failed**: UntrustedError: no" in lines
    assert "2 ms" in lines


def test_nothing_begins_after_the_time_is_up(tmp_path, monkeypatch):
    import gpu

    monkeypatch.setattr(gpu, "SECTIONS", {"one": lambda _bench: ["late"]})
    bench = gpu.Bench(torch.device("cpu"), True, tmp_path, time.monotonic() - 1)
    assert "late" not in gpu.run_sections(bench)[0]
