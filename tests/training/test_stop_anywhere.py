"""A table of all that takes long in a run: each asks between two pieces whether it should end.

Each row puts counted pieces into a phase, of which the first sends a ``Stop``, and counts the
pieces that are begun after it. Not seconds, which depend on the machine: those that the pieces of
real data take are measured by ``benchmarks/stop.py``.
"""

import threading
from pkgutil import resolve_name

import numpy as np
import pytest
import torch

from napari_surfseg import events
from napari_surfseg.cancelling import listening
from napari_surfseg.config import Labels
from napari_surfseg.config_files import apply_overrides
from napari_surfseg.data import census
from napari_surfseg.data.cache import VolumeCache
from napari_surfseg.data.checks import open_pairs
from napari_surfseg.data.intensity import compute_intensity
from napari_surfseg.data.patches import loader as loader_module
from napari_surfseg.data.patches import sides
from napari_surfseg.data.strokes import pixel_classifier
from napari_surfseg.data.strokes.annotation import AnnotatedBlock
from napari_surfseg.data.volume import ArrayVolume
from napari_surfseg.errors import CancelledError
from napari_surfseg.inference import postprocess_tuning
from napari_surfseg.inference.postprocess_tuning import TuningData, tune_postprocess
from napari_surfseg.losses import combined
from napari_surfseg.metrics import topology_errors
from napari_surfseg.model.checkpoint import load_checkpoint
from napari_surfseg.model.stop_checks import check_between_layers
from napari_surfseg.training import preview, stop_listener, tuning, validation, validation_regions
from napari_surfseg.training.learner import Learner
from napari_surfseg.training.optimizer import AdamW
from napari_surfseg.training.report_samples import write_topology_errors
from napari_surfseg.training.validation import ValidationResult


class Pieces:
    """Counts pieces of work; the Stop is sent in one of them."""

    def __init__(self, send=None, stop_in=1):
        self.begun, self.stop_in, self._send = 0, stop_in, send

    @property
    def is_wanted(self):
        return self.begun >= self.stop_in

    @property
    def after(self):
        """How many were begun after the Stop."""
        return self.begun - self.stop_in

    def around(self, function):
        """Let a function be a piece."""

        def counted(*args, **kwargs):
            self.begun += 1
            if self.begun == self.stop_in and self._send is not None:
                self._send()
            return function(*args, **kwargs)

        return counted


class SlowVolume(ArrayVolume):
    """A volume of many pieces, each read counted."""

    def __init__(self, values, pieces):
        super().__init__(values)
        self.read = pieces.around(super().read)


def dense_pairs(edge=64):
    """Return a volume on which everything is annotated, as a run opens it."""
    rng = np.random.default_rng(0)
    labels = np.zeros((edge, edge, edge), np.uint8)
    labels[::8] = labels[1::8] = 1
    return rng.integers(0, 255, labels.shape, np.uint8), labels


@pytest.fixture
def pairs(tmp_path, experiment):
    """Open a pair with many census blocks of surface."""
    image, labels = dense_pairs(128)
    np.save(tmp_path / "image.npy", image)
    np.save(tmp_path / "labels.npy", labels)
    train, _ = open_pairs(experiment.data, seed=0)
    return train


def count_labels(pieces, monkeypatch, _pairs):
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    monkeypatch.setattr(census, "UNIT_VOXELS", 64**3)
    census.take_census(SlowVolume(np.zeros((300, 64, 64), np.uint8), pieces), Labels())


def sample_grey_values(pieces, _monkeypatch, _pairs):
    compute_intensity(
        [SlowVolume(np.arange(8 * 64**3, dtype=np.uint16).reshape(512, 64, 64), pieces)]
    )


def search_symmetries(pieces, monkeypatch, pairs):
    monkeypatch.setattr(sides, "_measure_block", pieces.around(lambda *_: None))
    sides.measure_sides(pairs, seed=0)


def choose_regions(pieces, monkeypatch, pairs):
    monkeypatch.setattr(validation_regions, "FAIR_SHARE", 1e9)  # no place is ever good enough
    monkeypatch.setattr(np, "count_nonzero", pieces.around(np.count_nonzero))
    validation_regions.choose_regions(pairs, max_voxels=1000, seed=0)


def strokes():
    targets = np.full((24, 24, 24), 2, np.uint8)
    targets[8:12, 4:20, 4:20], targets[14:20, 4:20, 4:20] = 1, 0
    return targets


def build_classifier():
    image = np.random.default_rng(0).integers(0, 255, (24, 24, 24), np.uint8)
    volume = ArrayVolume(image)
    block = AnnotatedBlock(0, (0, 0, 0), strokes())
    return pixel_classifier.PixelClassifier([volume], [(1, 1, 1)], [volume.box], [block])


def fit_classifier(pieces, monkeypatch, _pairs):
    from sklearn.ensemble import ExtraTreesClassifier

    monkeypatch.setattr(ExtraTreesClassifier, "fit", pieces.around(ExtraTreesClassifier.fit))
    build_classifier()


def apply_classifier(pieces, monkeypatch, _pairs):
    monkeypatch.setattr(pixel_classifier, "ROWS_AT_ONCE", 1000)
    found = build_classifier()
    found._forest.predict_proba = pieces.around(found._forest.predict_proba)
    found.predict(0, (0, 0, 0), (24, 24, 24))


def network_of(num_layers):
    layers = [torch.nn.Conv3d(1, 1, 3, padding=1) for _ in range(num_layers)]
    return check_between_layers(torch.nn.Sequential(*layers))


def go_forward(pieces, _monkeypatch, _pairs):
    network = network_of(6)
    for layer in network:
        layer.forward = pieces.around(layer.forward)
    network(torch.zeros(1, 1, 4, 4, 4))


def count_gradient(output, pieces):
    output.grad_fn.register_hook(pieces.around(lambda *_: None))


def go_backward(pieces, _monkeypatch, _pairs):
    network = network_of(6)
    for layer in network:
        layer.register_forward_hook(lambda _layer, _inputs, output: count_gradient(output, pieces))
    network(torch.zeros(1, 1, 4, 4, 4)).sum().backward()


def compute_loss(pieces, monkeypatch, _pairs):
    for key, function in combined.FUNCTIONS.items():
        monkeypatch.setitem(combined.FUNCTIONS, key, pieces.around(function))
    labels = torch.zeros(1, 1, 16, 16, 16, dtype=torch.uint8)
    labels[:, :, 7:9] = 1
    combined.compute_combined_loss(
        [torch.zeros(labels.shape)],
        combined.compute_loss_targets(labels),
        dict.fromkeys(combined.FUNCTIONS, 1.0),
    )


def find_errors(pieces, monkeypatch, _pairs):
    class Regions:
        regions = [type("Region", (), {"box": ((0, 0, 0), (16, 16, 16)), "pair": 0})()] * 3
        name_of = read_image = read_labels = lambda _self, _region: np.ones((16, 16, 16), np.uint8)

    monkeypatch.setattr(
        topology_errors, "_find_in_octant", pieces.around(topology_errors._find_in_octant)
    )
    found = ValidationResult({}, 0.5, 0.0, [np.full((16, 16, 16), 255, np.uint8)] * 3)
    write_topology_errors(None, Regions(), found, epoch=1)


PHASES = {
    "the census of labels": count_labels,
    "grey values": sample_grey_values,
    "the search for symmetries": search_symmetries,
    "the regions that are scored": choose_regions,
    "fitting the pixel classifier": fit_classifier,
    "applying the pixel classifier": apply_classifier,
    "layers": go_forward,
    "gradients of layers": go_backward,
    "terms of the loss": compute_loss,
    "topology errors of the report": find_errors,
}


@pytest.mark.parametrize("phase", PHASES)
def test_work_ends_before_the_next_piece(phase, monkeypatch, pairs):
    pieces = Pieces()
    with listening(lambda: pieces.is_wanted), pytest.raises(CancelledError):
        PHASES[phase](pieces, monkeypatch, pairs)
    assert pieces.after == 0


def test_trees_grown_in_parts_are_those_grown_at_once(monkeypatch):
    parts = build_classifier().predict(0, (0, 0, 0), (24, 24, 24))
    monkeypatch.setattr(pixel_classifier, "TREES_AT_ONCE", pixel_classifier.NUM_TREES)
    np.testing.assert_array_equal(parts, build_classifier().predict(0, (0, 0, 0), (24, 24, 24)))


def test_a_search_that_is_stopped_returns_the_best_so_far():
    probs = np.zeros((32, 32, 32), np.uint8)
    probs[8:10], probs[20:22] = 200, 90
    labels = (probs > 0).astype(np.uint8)
    pieces = Pieces(stop_in=12)

    def measure(pred, label):
        if pieces.is_wanted:
            raise CancelledError("It was stopped as asked.")
        pieces.begun += 1
        return {"score": float((pred == label).mean())}

    settings, history = tune_postprocess(TuningData([probs], [labels]), measure=measure)
    assert pieces.after == 0
    assert settings == history[-1].settings


def test_a_batch_that_is_not_ready_is_not_waited_for(pairs, experiment, monkeypatch):
    begun, may_end = threading.Event(), threading.Event()

    def build(*_args):
        begun.set()
        may_end.wait(60)

    monkeypatch.setattr(loader_module.PatchLoader, "build", build)
    intensity = compute_intensity([pairs[0].image])
    loader = loader_module.PatchLoader(
        pairs,
        experiment.data,
        intensity,
        batch_size=1,
        seed=0,
        workers=1,
        cache=VolumeCache(2**20),
    )
    try:
        with loader, listening(begun.is_set), pytest.raises(CancelledError):
            next(loader)
        assert loader.step == 0
    finally:
        may_end.set()


# -- within a run --------------------------------------------------------------------------


@pytest.fixture
def quick(experiment, monkeypatch):
    """Build a run of few steps whose commands are looked at in every piece."""
    monkeypatch.setattr(stop_listener, "LISTEN_SECONDS", 0)
    return apply_overrides(
        experiment,
        [
            "training.train_batch_size=1",
            "training.accumulate=2",
            "training.train_iterations_per_epoch=3",
            "training.max_epochs=1",
            "data.validation.fraction=0",
            "preview.seconds=0",
            "model.dropout=0.2",
        ],
    )


@pytest.fixture
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def fail_for_memory(*_args, **_kwargs):
    raise RuntimeError("CUDA out of memory")


#: Where in a step the Stop comes: what is called, and at which call, counted over the run.
IN_A_STEP = {
    "forward": ("torch.nn.InstanceNorm3d.forward", 30),
    "the second batch": ("napari_surfseg.training.gradients.GradientComputer._move", 4),
    "loss": ("napari_surfseg.training.gradients.compute_loss_targets", 6),
    "backward": ("torch.Tensor.backward", 4),
}


@pytest.mark.usefixtures("one_thread", "every_step_is_reported")
@pytest.mark.parametrize("place", IN_A_STEP)
def test_a_step_that_is_stopped_is_dropped_whole_and_repeated_bit_for_bit(
    tmp_path, training_run, quick, monkeypatch, place
):
    whole = training_run(tmp_path / "whole", quick).run()
    run = training_run(tmp_path / "run", quick)
    name, at = IN_A_STEP[place]
    owner, _, attribute = name.rpartition(".")
    owner = resolve_name(owner)
    with monkeypatch.context() as patch:
        patch.setattr("napari_surfseg.training.loop.TrainingLoop._compile_ahead", lambda _: None)
        pieces = Pieces(lambda: run.commands.update({run.trainer.state.step: [events.Stop()]}), at)
        patch.setattr(owner, attribute, pieces.around(getattr(owner, attribute)))
        changes = Pieces(stop_in=10**9)
        patch.setattr(AdamW, "step", changes.around(AdamW.step))
        run.run()
    assert isinstance(run.events[-1], events.RunStopped)
    taken = len(run.of(events.StepFinished))
    assert 0 < taken < 3
    assert changes.begun == taken  # no weight was changed after the Stop
    assert load_checkpoint(tmp_path / "run" / "checkpoints" / "last.pt").step == taken
    resumed = training_run(tmp_path / "run", quick, resume=True).run()
    found = run.of(events.StepFinished) + resumed.of(events.StepFinished)
    assert [e.losses for e in found] == [e.losses for e in whole.of(events.StepFinished)]
    assert resumed.of(events.EpochFinished)[-1].losses == whole.of(events.EpochFinished)[-1].losses
    patches = [r.of(events.EpochFinished)[-1].patches for r in (whole, resumed)]
    assert patches[0]["num_patches"] == patches[1]["num_patches"]


def stop_when_called(run, monkeypatch, owner, name, real=None):
    """Send a Stop when something is called; return the count of its calls."""
    pieces = Pieces(lambda: run.commands.update({run.trainer.state.step: [events.Stop()]}))
    monkeypatch.setattr(owner, name, pieces.around(real or getattr(owner, name)))
    return pieces


def test_a_stop_while_memory_runs_out_is_not_followed_by_another_try(
    tmp_path, training_run, quick, monkeypatch
):
    run = training_run(tmp_path / "run", quick)
    pieces = stop_when_called(run, monkeypatch, Learner, "take_step", fail_for_memory)
    run.run()
    assert isinstance(run.events[-1], events.RunStopped)
    assert pieces.after == 0


def test_a_preview_that_is_stopped_leaves_no_file(tmp_path, training_run, quick, monkeypatch):
    quick = apply_overrides(quick, ["preview.seconds=0.01", "preview.size=[16,32,32]"])
    monkeypatch.setattr("napari_surfseg.training.preview.FIRST_SECONDS", 0)
    run = training_run(tmp_path / "run", quick)
    pieces = stop_when_called(run, monkeypatch, preview, "predict_region")
    monkeypatch.setattr(preview, "compute_medial_surface", lambda *_: 1 / 0)
    run.run()
    assert isinstance(run.events[-1], events.RunStopped)
    assert pieces.after == 0
    assert list((tmp_path / "run" / "previews").iterdir()) == []


@pytest.mark.parametrize("part", ["apply_postprocess", "compute_metrics"])
def test_a_stop_while_post_processing_is_chosen_ends_it(
    tmp_path, training_run, quick, monkeypatch, part
):
    quick = apply_overrides(quick, ["data.validation.fraction=0.3", "training.tuning_share=1"])
    run = training_run(tmp_path / "run", quick)
    owner = {"apply_postprocess": postprocess_tuning, "compute_metrics": validation}[part]
    real_tune, pieces = tuning.tune_checkpoint, []

    def tune(*args, **kwargs):
        pieces.append(stop_when_called(run, monkeypatch, owner, part))
        real_tune(*args, **kwargs)

    monkeypatch.setattr("napari_surfseg.training.loop.tune_checkpoint", tune)
    run.run()
    assert pieces[0].begun == 1
    assert [type(e).__name__ for e in run.events[-2:]] == ["CommandApplied", "RunCompleted"]


def test_a_stopped_run_is_saved_before_its_report_is_made_and_does_not_wait_for_it(
    tmp_path, training_run, quick, monkeypatch
):
    quick = apply_overrides(quick, ["data.validation.fraction=0.3", "training.max_epochs=9"])
    monkeypatch.setattr("napari_surfseg.training.loop.STOPPED_SECONDS", 0)
    run = training_run(tmp_path / "run", quick, {4: [events.Stop()]})
    seen = Pieces()
    real = topology_errors._find_in_octant
    monkeypatch.setattr(topology_errors, "_find_in_octant", seen.around(real))
    run.run()
    assert isinstance(run.events[-1], events.RunStopped)
    assert seen.begun == 0
    assert (tmp_path / "run" / "samples" / "validation_0_image.npy").exists()
    assert load_checkpoint(tmp_path / "run" / "checkpoints" / "last.pt").step == 4
