from napari_surfseg.training import tuning_progress as tuning_stages
from napari_surfseg.training.tuning_progress import PREDICTING, TuningStages


def test_every_stage_is_told_when_it_begins(monkeypatch):
    moment = [0.0]
    monkeypatch.setattr(tuning_stages.time, "perf_counter", lambda: moment[0])
    told = []
    stages = TuningStages(told.append, with_threshold=False)
    stages.predicting()
    stages(0, 4, "start")
    for done, name in ((1, "component size"), (2, "component size"), (3, "closing")):
        moment[0] += 0.1
        stages(done, 4, name)
    moment[0] += 0.3
    stages(3, 4, "closing")
    stages(4, 4, "done")
    assert [(event.stage, event.num_stages, event.name) for event in told] == [
        (1, 4, PREDICTING),
        (2, 4, "component size"),
        (3, 4, "closing"),
        (3, 4, "closing"),
        (3, 4, "closing"),
    ]
