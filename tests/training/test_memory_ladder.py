"""A training whose memory runs out, at every place where it can, is never a dead run."""

import gc
import itertools
import weakref

import numpy as np
import pytest
import torch

from napari_surfseg import events
from napari_surfseg.config_files import apply_overrides
from napari_surfseg.data.patches.loader import PatchLoader
from napari_surfseg.errors import DeviceMemoryError
from napari_surfseg.inference.sliding_window import WindowNetwork
from napari_surfseg.model.checkpoint import load_checkpoint
from napari_surfseg.model.network import SurfaceUNet
from napari_surfseg.runs.event_text import describe_event

pytestmark = pytest.mark.usefixtures("every_step_is_reported", "one_thread")

CPU = "[enforce fail at alloc_cpu.cpp:114] DefaultCPUAllocator: can't allocate memory"
#: Voxels of the patches of these trainings.
PATCH = 16 * 32 * 32
#: The same again with another number takes as long as the first.
SLOW_1 = pytest.param(1, marks=pytest.mark.slow)
SLOW_2 = pytest.param(2, marks=pytest.mark.slow)


@pytest.fixture
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


VOXEL_LOSSES = (
    "loss={weighted_bce: 1, soft_dice: 1, cldice: 0, morph_skeleton: 0, surface_distance: 0, "
    "toploss_simple: 0, skeleton_recall: 0}"
)


@pytest.fixture
def scored(experiment):
    """Build a training that is scored, shown and tuned as well."""
    return apply_overrides(
        experiment,
        [
            "data.validation.fraction=0.3",
            "preview.seconds=0.01",
            "training.tuning_share=1",
            "training.train_batch_size=1",
        ],
    )


@pytest.fixture
def experiment(experiment):
    """Build one that does nothing but learn, quickly."""
    return apply_overrides(
        experiment,
        [
            "training.train_batch_size=4",
            "training.train_iterations_per_epoch=3",
            "preview.seconds=0",
            "data.validation.fraction=0",
            VOXEL_LOSSES,
        ],
    )


class Memory:
    """Fails where more is asked for than there is, or once at a chosen call."""

    def __init__(self, most=None, at=None, error=CPU):
        self.most, self.at, self.calls, self.failures = most, at, 0, 0
        self.error = error

    def take(self, amount=0):
        self.calls += 1
        if self.calls == self.at or (self.most is not None and amount > self.most):
            self.failures += 1
            raise self.error if isinstance(self.error, BaseException) else RuntimeError(self.error)

    def bound_forward(self, monkeypatch):
        """Let no more voxels go through the network at once, while it is trained."""
        real = SurfaceUNet.forward

        def forward(network, values):
            if network.training:
                self.take(values.numel())
            return real(network, values)

        monkeypatch.setattr(SurfaceUNet, "forward", forward)
        return self


def fail_in(place, memory, monkeypatch):
    """Let a call of a place fail, in its midst where it has one."""
    if place == "forward":
        memory.bound_forward(monkeypatch)
    elif place == "backward":
        real = torch.Tensor.backward

        def backward(tensor, *args, **kwargs):
            real(tensor, *args, **kwargs)
            memory.take()

        monkeypatch.setattr(torch.Tensor, "backward", backward)
    elif place == "optimizer":
        from napari_surfseg.training import optimizer

        real_adamw = optimizer.adamw

        def adamw(*args, **kwargs):
            real_adamw(*args, **kwargs)
            memory.take()

        monkeypatch.setattr(optimizer, "adamw", adamw)
    elif place == "average":
        real_lerp = torch._foreach_lerp_

        def lerp(*args):
            real_lerp(*args)
            memory.take()

        monkeypatch.setattr(torch, "_foreach_lerp_", lerp)
    elif place == "gradient norm":
        real_clip = torch.nn.utils.clip_grad_norm_

        def clip(*args, **kwargs):
            found = real_clip(*args, **kwargs)
            memory.take()
            return found

        monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", clip)
    elif place == "loader":
        real_build = PatchLoader.build

        def build(loader, step):
            batch = real_build(loader, step)
            memory.take()
            return batch

        monkeypatch.setattr(PatchLoader, "build", build)
    elif place == "warp":
        from napari_surfseg.training import gradients

        real_warp = gradients.warp_batch

        def warp(*args, **kwargs):
            memory.take()
            return real_warp(*args, **kwargs)

        monkeypatch.setattr(gradients, "warp_batch", warp)


def losses_of(run):
    return [(event.step, event.losses, event.total) for event in run.of(events.StepFinished)]


def weights_of(run):
    learner = run.parts.learner
    return [*learner.network.state_dict().values(), *learner.average.network.state_dict().values()]


def said(run):
    return [event.message for event in run.of(events.MemoryExceeded)]


def end(run):
    return type(run.events[-1])


PLACES = ["forward", "backward", "optimizer", "average", "gradient norm", "loader", "warp"]


@pytest.mark.parametrize("accumulate", [1, SLOW_2])
@pytest.mark.parametrize(
    "place",
    [*PLACES[:3], *(pytest.param(place, marks=pytest.mark.slow) for place in PLACES[3:])],
)
def test_nothing_of_a_failed_step_remains(
    tmp_path, training_run, experiment, monkeypatch, place, accumulate
):
    """The step is repeated, and the run is bit for bit the one in which nothing happened."""
    experiment = apply_overrides(experiment, [f"training.accumulate={accumulate}"])
    whole = training_run(tmp_path / "whole", experiment).run()
    memory = Memory(at=4)
    fail_in(place, memory, monkeypatch)
    run = training_run(tmp_path / "run", experiment).run()
    assert memory.failures == 1
    assert end(run) is events.RunCompleted
    assert losses_of(run) == losses_of(whole)
    assert all(torch.equal(a, b) for a, b in zip(weights_of(run), weights_of(whole), strict=True))
    patches = [event.patches | {"wait_seconds": 0} for event in run.of(events.EpochFinished)]
    assert patches == [e.patches | {"wait_seconds": 0} for e in whole.of(events.EpochFinished)]
    if place not in ("optimizer", "average"):  # those are finished, not repeated
        (message,) = said(run)
        assert "the step is repeated" in message


@pytest.mark.parametrize("workers", [0, SLOW_1])
@pytest.mark.parametrize("most", [2, 1])
def test_a_batch_is_split_and_learned_from_as_a_whole(
    tmp_path, training_run, experiment, monkeypatch, most, workers
):
    experiment = apply_overrides(
        experiment,
        [
            "loss.weighted_bce=0",  # a mean over voxels, of which some are ignored
            f"training.workers={workers}",
        ],
    )
    whole = training_run(tmp_path / "whole", experiment).run()
    memory = Memory(most * PATCH).bound_forward(monkeypatch)
    run = training_run(tmp_path / "run", experiment).run()
    assert memory.failures == {2: 1, 1: 2}[most]
    assert end(run) is events.RunCompleted
    assert [total for *_, total in losses_of(run)] == pytest.approx(
        [total for *_, total in losses_of(whole)], rel=1e-4
    )
    rungs = run.of(events.MemoryExceeded)
    assert [rung.patches_at_once for rung in rungs] == {2: [2], 1: [2, 1]}[most]
    assert rungs[0].patch_size == (16, 32, 32)
    assert "4 patches of 16 × 32 × 32 voxels at once; training goes on with 2" in said(run)[0]
    assert "learns from as many as before" in said(run)[0]
    assert describe_event(rungs[0])[0].endswith(said(run)[0])


@pytest.mark.parametrize("workers", [0, SLOW_2])
def test_then_patches_become_smaller(tmp_path, training_run, experiment, monkeypatch, workers):
    experiment = apply_overrides(experiment, [f"training.workers={workers}"])
    memory = Memory(PATCH // 3).bound_forward(monkeypatch)
    run = training_run(tmp_path / "run", experiment).run()
    assert end(run) is events.RunCompleted
    assert memory.failures == len(run.of(events.MemoryExceeded)) == 6
    last = run.of(events.MemoryExceeded)[-1]
    assert (last.patches_at_once, np.prod(last.patch_size) <= PATCH // 3) == (1, True)
    assert [event.step for event in run.of(events.StepFinished)] == list(range(1, 7))
    for name in ("last.pt", "best.pt"):
        saved = load_checkpoint(tmp_path / "run" / "checkpoints" / name)
        assert saved.patch_size == last.patch_size
        assert saved.experiment.data.patch_size == (16, 32, 32)


@pytest.mark.parametrize(
    ("most", "step"),
    [(2 * PATCH, 3), (PATCH // 2, 5), pytest.param(PATCH // 2, 3, marks=pytest.mark.slow)],
)
def test_a_run_resumes_on_its_rung_bit_for_bit(
    tmp_path, training_run, experiment, monkeypatch, most, step
):
    with monkeypatch.context() as patch:
        Memory(most).bound_forward(patch)
        whole = training_run(tmp_path / "whole", experiment).run()
        first = training_run(tmp_path / "run", experiment, {step: [events.Stop()]}).run()
    assert end(first) is events.RunStopped
    resumed = training_run(tmp_path / "run", experiment, resume=True).run()
    assert losses_of(first)[:step] + losses_of(resumed) == losses_of(whole)
    assert all(
        torch.equal(a, b) for a, b in zip(weights_of(resumed), weights_of(whole), strict=True)
    )
    (message,) = said(resumed)
    assert message.startswith("Memory ran out earlier in this run, so it goes on with ")
    (started,) = resumed.of(events.RunStarted)
    assert started.patch_size == whole.of(events.MemoryExceeded)[-1].patch_size


def test_a_later_change_of_the_configuration_leaves_the_rung(
    tmp_path, training_run, experiment, monkeypatch
):
    with monkeypatch.context() as patch:
        Memory(PATCH // 2).bound_forward(patch)
        training_run(tmp_path / "run", experiment, {5: [events.Stop()]}).run()
    larger = apply_overrides(experiment, ["training.train_batch_size=2"])
    run = training_run(tmp_path / "run", larger, resume=True).run()
    assert not said(run)
    assert run.of(events.RunStarted)[0].patch_size == (16, 32, 32)
    assert run.parts.learner.patches_at_once == 2


def test_the_failed_step_is_freed_before_the_next_try(
    tmp_path, training_run, experiment, monkeypatch
):
    alive, counts = [], []
    real = SurfaceUNet.forward

    def forward(network, values):
        if not network.training:
            return real(network, values)
        counts.append(sum(each() is not None for each in alive))
        heads = real(network, values)
        alive.append(weakref.ref(heads[0]))
        if len(values) > 1:
            raise RuntimeError(CPU)
        return heads

    monkeypatch.setattr(SurfaceUNet, "forward", forward)
    gc.disable()
    try:
        run = training_run(tmp_path / "run", experiment).run()
    finally:
        gc.enable()
    assert counts[:3] == [0, 0, 0]
    assert run.parts.learner.patches_at_once == 1


@pytest.mark.parametrize(
    "place", [PLACES[0], *(pytest.param(place, marks=pytest.mark.slow) for place in PLACES[1:])]
)
def test_below_the_lowest_rung_it_ends_in_a_sentence(
    tmp_path, training_run, experiment, monkeypatch, place
):
    experiment = apply_overrides(experiment, ["training.train_batch_size=1"])
    run = training_run(tmp_path / "run", experiment)
    memory = Memory()

    def poll():
        if run.trainer.state.step == 2 and memory.most is None:
            memory.most = -1
        return []

    run.trainer._poll_commands = poll
    fail_in(place, memory, monkeypatch)
    with pytest.raises(DeviceMemoryError) as caught:
        run.run()
    assert "even with 1 patch of" in str(caught.value)
    for name in ("model.preset", "data.cache_gib", "training.precision"):
        assert name in str(caught.value)
    assert caught.value.field == "model.preset"
    last = tmp_path / "run" / "checkpoints" / "last.pt"
    # Weights that were changed by half of a step are not kept.
    assert last.exists() == (place not in ("optimizer", "average"))


@pytest.mark.parametrize("place", ["optimizer", "average"])
def test_a_step_that_cannot_be_finished_is_taken_back(
    tmp_path, training_run, experiment, monkeypatch, place
):
    memory = Memory()
    real_take, calls = memory.take, itertools.count()

    def take(amount=0):
        real_take(amount)
        if next(calls) in (3, 4):
            raise MemoryError

    memory.take = take
    fail_in(place, memory, monkeypatch)
    run = training_run(tmp_path / "run", experiment).run()
    assert end(run) is events.RunCompleted
    assert [event.step for event in run.of(events.StepFinished)] == list(range(1, 7))
    assert run.parts.learner.is_whole


def crowd_windows(monkeypatch, most):
    real, sizes = WindowNetwork._predict, []

    def predict(network, windows):
        if windows[0].size > most:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        sizes.append(windows[0].size)
        return real(network, windows)

    monkeypatch.setattr(WindowNetwork, "_predict", predict)
    return sizes


def test_validation_previews_and_tuning_use_smaller_windows(
    tmp_path, training_run, scored, monkeypatch
):
    sizes = crowd_windows(monkeypatch, PATCH // 2)
    run = training_run(tmp_path / "run", scored).run()
    assert end(run) is events.RunCompleted
    assert max(sizes) <= PATCH // 2
    assert run.of(events.ValidationFinished)
    assert run.of(events.PreviewWritten)
    messages = said(run)
    assert all("validation and previews use windows of" in message for message in messages)
    assert len(messages) == len(set(messages)) <= 4  # each size is tried once in a run
    kept = load_checkpoint(tmp_path / "run" / "checkpoints" / "last.pt").training["settings"]
    assert kept["largest_window"] == list(run.of(events.MemoryExceeded)[-1].window)
    longer = apply_overrides(scored, ["training.max_epochs=3"])
    resumed = training_run(tmp_path / "run", longer, resume=True).run()
    assert resumed.of(events.ValidationFinished)
    assert len(said(resumed)) == 0


def test_training_goes_on_where_nothing_can_be_predicted(
    tmp_path, training_run, scored, monkeypatch
):
    crowd_windows(monkeypatch, 0)
    run = training_run(tmp_path / "run", scored).run()
    assert end(run) is events.RunCompleted
    assert (tmp_path / "run" / "checkpoints" / "best.pt").exists()
    warnings = [event.message for event in run.of(events.WarningIssued)]
    assert sum("could not be scored" in message for message in warnings) == 1
    assert sum("live preview could not be made" in message for message in warnings) == 1


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("napari_surfseg.training.validation.compute_metrics", "could not be scored"),
        pytest.param(
            *("napari_surfseg.training.validation.choose_threshold", "could not be scored"),
            marks=pytest.mark.slow,
        ),
        ("napari_surfseg.training.preview.compute_medial_surface", "live preview could not"),
        pytest.param(
            *("napari_surfseg.training.tuning.load_checkpoint", "No post-processing"),
            marks=pytest.mark.slow,
        ),
        ("napari_surfseg.training.tuning.tune_postprocess", "No post-processing could be chosen"),
        ("napari_surfseg.training.scoring.write_topology_errors", "samples of the report"),
        ("napari_surfseg.training.checkpoint_writer.copy_to_host", "last.pt could not be saved"),
        ("napari_surfseg.training.loop.compute_metrics", ""),
    ],
)
@pytest.mark.parametrize(
    "error",
    [
        pytest.param(MemoryError(), id="numpy"),
        pytest.param(RuntimeError(CPU), id="torch", marks=pytest.mark.slow),
    ],
)
def test_what_else_needs_memory_is_left_out_with_a_warning(
    tmp_path, training_run, scored, monkeypatch, where, words, error
):

    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(where, fail)
    run = training_run(tmp_path / "run", scored).run()
    assert end(run) is events.RunCompleted
    assert [event.step for event in run.of(events.StepFinished)] == list(range(1, 7))
    warnings = [event.message for event in run.of(events.WarningIssued)]
    assert any(words in message for message in warnings) or not words
