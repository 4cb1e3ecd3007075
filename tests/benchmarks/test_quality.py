"""The table and the sentences of the comparison."""


def make(quality, method, budget, seed, threshold, dice):
    scores = dict.fromkeys(quality.COLUMNS, dice)
    return quality.Result(method, budget, seed, threshold, 12.0, scores)


def test_seeds_become_one_row_with_their_spread():
    import quality

    results = [make(quality, "ours", 15, seed, "chosen", 0.8 + seed / 100) for seed in (1, 2, 3)]
    results.append(make(quality, "ours", 15, 1, "0.5", 0.7))
    groups = quality.group_results(results)
    assert [len(group) for group in groups] == [3, 1]
    row = quality._row(groups[0])
    assert row.startswith("| 15 | ours | chosen | 12 | 3 | 0.8200 ± 0.010 |")
    assert quality._header().splitlines()[0].count("|") == row.count("|")
    assert "±" not in quality._row(groups[1])


def test_others_are_compared_at_the_better_of_their_thresholds():
    import quality

    results = [
        make(quality, "ours", 15, 1, "chosen", 0.80),
        make(quality, "ours", 15, 1, "0.5", 0.90),
        make(quality, "random_forest", 15, 1, "chosen", 0.70),
        make(quality, "random_forest", 15, 1, "0.5", 0.85),
        make(quality, "ours", 0, 1, "chosen", 0.80),
    ]
    (line,) = quality.summarise(results)
    assert line.startswith("- 15 s: ours is in surface_dice 0.0500 behind random_forest and in")


def test_a_finished_forest_serves_larger_budgets_and_nothing_is_trained_without_seconds(
    tmp_path, monkeypatch
):
    import quality

    asked = []

    def measure_one(_volumes, method, budget, seed, _place):
        asked.append((method, budget, seed))
        return [make(quality, method, budget, seed, "chosen", 0.8)], quality.FOREST_TREES

    monkeypatch.setattr(quality, "_measure_one", measure_one)
    volumes = quality.Volumes("any", *[tmp_path] * 4)
    results = quality.measure(volumes, ["ours", "random_forest"], [0, 15, 60], [1, 2], tmp_path)
    assert asked == [
        ("ours", 0, 1),
        ("ours", 15, 1),
        ("ours", 15, 2),
        ("random_forest", 15, 1),
        ("random_forest", 15, 2),
        ("ours", 60, 1),
        ("ours", 60, 2),
    ]
    assert [r.budget for r in results if r.method == "random_forest"] == [15, 15, 60, 60]


def test_budgets_can_be_of_processor_seconds(tmp_path, monkeypatch):
    import quality

    script = tmp_path / "script.py"
    script.write_text("import sys, time\nprint(time.perf_counter is time.process_time, sys.argv)")
    assert quality._run([*quality._python("path", script), 1]).startswith("False")
    monkeypatch.setenv("QUALITY_CLOCK", "processor")
    before = quality._read_clock()
    said = quality._run([*quality._python("path", script), 1])
    assert said == f"True [{str(script)!r}, '1']\n"
    assert quality._read_clock() > before


def test_what_was_kept_is_not_measured_again(tmp_path, monkeypatch):
    import quality

    asked = []

    def measure_one(_volumes, method, budget, seed, _place):
        asked.append((method, budget, seed))
        return [make(quality, method, budget, seed, "chosen", 0.8)], 5.0

    monkeypatch.setattr(quality, "_measure_one", measure_one)
    volumes, path = quality.Volumes("any", *[tmp_path] * 4), tmp_path / "rows.jsonl"
    for seeds in ([1], [1, 2]):
        kept = quality.Kept(path)
        results = quality.measure(volumes, ["ours"], [15], seeds, tmp_path, kept=kept)
    assert asked == [("ours", 15, 1), ("ours", 15, 2)]
    assert [result.seed for result in results] == [1, 2]
    assert results[0].scores == make(quality, "ours", 15, 1, "chosen", 0.8).scores
