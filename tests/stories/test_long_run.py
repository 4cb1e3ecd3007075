"""A window that follows a very long run takes no more memory for it."""

import gc

import numpy as np
import pytest

from napari_surfseg import events
from napari_surfseg.config import Experiment
from napari_surfseg.config_files import apply_overrides
from napari_surfseg.gui.training.widget import SurfaceTrainingWidget
from napari_surfseg.process_memory import measure_memory
from napari_surfseg.runs.folder import RunFolder
from napari_surfseg.vocabulary import LOSS_TERMS

#: Told in full, where a worker thins them: more than a run of a week has.
BLOCKS, STEPS_A_BLOCK, WARM_UP = 45, 1000, 15
SHAPE = (48, 64, 64)
KEPT_PREVIEWS = 10


class Teller:
    """Appends to a run folder what a worker would, much faster."""

    def __init__(self, folder, image):
        self.folder, self.image = folder, str(image)
        self.writer = events.EventWriter(folder.events_path)
        self.rng = np.random.default_rng(0)
        self.step = 0
        self.writer.write(
            events.RunStarted(
                name="long",
                device="cpu",
                precision="float32",
                model="tiny",
                num_parameters=1000,
                patch_size=(16, 16, 16),
                epoch=0,
                max_epochs=10_000,
                max_minutes=None,
                iterations_per_epoch=STEPS_A_BLOCK,
                loss_weights=dict.fromkeys(LOSS_TERMS, 0.1),
            )
        )

    def tell_block(self, block):
        values = {
            "learning_rate": 1e-3,
            "steps_per_second": 9.0,
            "elapsed_seconds": float(self.step),
        }
        for _ in range(STEPS_A_BLOCK):
            self.step += 1
            self.writer.write(
                events.StepFinished(
                    step=self.step,
                    epoch=block + 1,
                    losses={term: float(self.rng.random()) for term in LOSS_TERMS},
                    head_total=0.5,
                    total=float(self.rng.random()),
                    gradient_norm=1.0,
                    progress=0.5,
                    **values,
                )
            )
            if self.step % (STEPS_A_BLOCK // 4) == 0:
                self.tell_preview(block)
        self.writer.write(
            events.EpochFinished(
                step=self.step,
                epoch=block + 1,
                losses=dict.fromkeys(LOSS_TERMS, 0.5),
                head_total=0.5,
                total=0.5,
                epoch_seconds=1.0,
                patches={},
                cache={},
                **values,
            )
        )
        self.writer.write(
            events.ValidationFinished(
                step=self.step,
                epoch=block + 1,
                metrics={"surface_dice": 0.5, "dice": 0.5, "mean_dice": 0.5},
                threshold=0.5,
                is_best=block % 10 == 0,
                seconds=1.0,
            )
        )
        self.writer.write(
            events.CheckpointSaved(step=self.step, path="checkpoints/last.pt", epoch=block + 1)
        )

    def tell_preview(self, block):
        index = 4 * self.step // STEPS_A_BLOCK
        previews = self.folder.previews
        previews.mkdir(exist_ok=True)
        names = [f"{part}_{index:06d}.npy" for part in ("probabilities", "skeleton")]
        probabilities = self.rng.integers(0, 255, SHAPE, np.uint8)
        np.save(previews / names[0], probabilities)
        np.save(previews / names[1], (probabilities > 200).astype(np.uint8))
        for part in ("probabilities", "skeleton"):
            (previews / f"{part}_{index - KEPT_PREVIEWS:06d}.npy").unlink(missing_ok=True)
        self.writer.write(
            events.PreviewWritten(
                step=self.step,
                epoch=block,
                seconds=0.1,
                index=index,
                image=self.image,
                origin=(0, 0, 0),
                shape=SHAPE,
                probabilities=f"{previews.name}/{names[0]}",
                skeleton=f"{previews.name}/{names[1]}",
            )
        )


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_memory_is_flat_while_a_long_run_is_followed(viewer, tmp_path, wait_for):
    image = tmp_path / "scan.npy"
    np.save(image, np.zeros(SHAPE, np.uint8))
    layer = viewer.add_image(np.load(image), name="scan")
    dock = SurfaceTrainingWidget(viewer)
    viewer.window.add_dock_widget(dock, name="Surface training")
    dock.show_curves()
    pair = f"[{{image: '{image}', labels: '{image}'}}]"
    experiment = apply_overrides(Experiment(), [f"data.train={pair}"])
    run = RunFolder(tmp_path / "run").create(experiment)
    teller = Teller(run, image)
    session = dock.session
    session.attach(run.path, layers={str(image): layer})
    sizes = []
    for block in range(BLOCKS):
        teller.tell_block(block)
        wait_for(
            lambda: session.snapshot is not None and session.snapshot.step >= teller.step,
            "the newest step",
        )
        gc.collect()
        sizes.append(measure_memory())
    wait_for(lambda: dock.live.layers.shown is not None, "a live prediction")
    assert dock.live.layers.skeleton is not None
    counted = sizes[WARM_UP:]
    assert max(counted) <= 1.05 * min(counted), [round(size / 2**20) for size in sizes]
