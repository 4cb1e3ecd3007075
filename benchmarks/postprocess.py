"""What tuned post-processing is worth on data that neither the network nor the search has seen.

    python benchmarks/postprocess.py RUN TEST_IMAGE TEST_LABELS [RUN TEST_IMAGE TEST_LABELS ...]
        [--roi 0:50,0:100,0:200] [--record]

RUN is a finished run: the search ran at its end, on its validation data, and left
its settings in ``best.pt``. Each test image is predicted once and scored with a
threshold of 0.5, with the run's threshold and with the tuned settings.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

from napari_surfseg.data.labels import map_labels
from napari_surfseg.data.volume import open_volume
from napari_surfseg.inference.predictor import predict_volume
from napari_surfseg.metrics.score import compute_metrics
from napari_surfseg.model.checkpoint import load_checkpoint
from napari_surfseg.surfaces.postprocess import PostProcess, apply_postprocess

RESULTS = Path(__file__).parent / "results" / "postprocess.md"
COLUMNS = ("score", "topo_score", "surface_dice", "voi_score", "dice")


def score_run(run: Path, image: str, labels: str, roi: tuple[slice, ...]) -> list[str]:
    """Score one run on one test volume; return the rows of the table."""
    checkpoint = load_checkpoint(run / "checkpoints" / "best.pt")
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "probabilities.zarr"
        volume = open_volume(image)
        predict_volume(volume, checkpoint, output, device="cpu", probabilities=True)
        probs = open_volume(str(output)).read((0, 0, 0), volume.shape)[roi]
    truth = open_volume(labels).read((0, 0, 0), volume.shape)[roi]
    truth = map_labels(truth, checkpoint.experiment.data.labels)
    ways = {
        "0.5": PostProcess(),
        f"the run's threshold, {checkpoint.threshold:.2f}": PostProcess(checkpoint.threshold),
    }
    if checkpoint.postprocess is not None:
        ways["tuned"] = PostProcess.from_dict(checkpoint.postprocess)
    rows = []
    for name, settings in ways.items():
        metrics = compute_metrics(apply_postprocess(np.ascontiguousarray(probs), settings), truth)
        values = " | ".join(f"{metrics[key]:.4f}" for key in COLUMNS)
        rows.append(f"| {Path(image).name} | {name} | {values} |")
        if name == "tuned":
            changed = {k: v for k, v in settings.as_dict().items() if v != getattr(PostProcess, k)}
            rows.append(f"| | settings: {changed} |" + " |" * len(COLUMNS))
    return rows


def parse_roi(text: str) -> tuple[slice, ...]:
    """Read ``0:50,0:100,0:200``."""
    return tuple(
        slice(*(int(v) if v else None for v in part.split(":"))) for part in text.split(",")
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="+", help="RUN TEST_IMAGE TEST_LABELS, once or more")
    parser.add_argument("--roi", type=parse_roi, default=(slice(None),) * 3)
    parser.add_argument("--record", action="store_true", help=f"write {RESULTS.name}")
    args = parser.parse_args()
    if len(args.paths) % 3:
        parser.error("RUN, TEST_IMAGE and TEST_LABELS belong together")
    lines = [
        f"| test volume | surface above | {' | '.join(COLUMNS)} |",
        "| --- | --- |" + " ---: |" * len(COLUMNS),
    ]
    for i in range(0, len(args.paths), 3):
        run, image, labels = args.paths[i : i + 3]
        lines += score_run(Path(run), image, labels, args.roi)
    print("\n".join(lines))
    if args.record:
        RESULTS.parent.mkdir(exist_ok=True)
        text = "\n".join(lines)
        RESULTS.write_text(f"# Tuned post-processing on unseen data\n\n{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
