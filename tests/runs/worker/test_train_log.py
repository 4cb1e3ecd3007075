from napari_surfseg.runs.worker.train_log import LineStream, TrainLog


def test_lines_come_whole():
    seen = []
    stream = LineStream(seen.append)
    assert stream.write("one\ntw") == 6
    stream.write("o\n10 %\r20 %\r30 %\nrest")
    assert seen == ["one", "two", "30 %"]
    stream.finish()
    stream.finish()
    assert seen[-1] == "rest"
    assert stream.writable()
    assert not stream.isatty()


def test_the_log_dates_every_line_and_survives_a_full_disk(tmp_path):
    shown = []
    log = TrainLog(tmp_path / "train.log", shown.append)
    log.write("one\ntwo")
    log.write("three", show=False)
    lines = (tmp_path / "train.log").read_text().splitlines()
    assert [line[21:] for line in lines] == ["one", "two", "three"]
    assert shown == ["one", "two"]
    TrainLog(tmp_path / "no" / "such" / "folder.log").write("nothing happens")
