"""Prediction: time beside MONAI's sliding windows, memory beside the in-memory way, windows' worth.

Three tables. Time: the same network, overlap and blending, one thread, rounds
interleaved, processor time (a busy machine disturbs it little); with a real
network and with one that does nothing, which leaves the cutting and stitching.
Memory: a zarr volume of two lengths predicted into a zarr, each in a process of
its own. Worth: a network trained with the command line on a real volume,
scored with small and large windows.

    python benchmarks/predict.py [--quick] [--record] [--data ../shared/data]
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import psutil
import torch
import yaml
import zarr
from monai.inferers import sliding_window_inference

from napari_surfseg.config import Model
from napari_surfseg.data.open import open_volume
from napari_surfseg.inference.predict_region import predict_region
from napari_surfseg.inference.predict_volume import predict_to_file
from napari_surfseg.inference.settings import OutputSettings, PredictionSettings
from napari_surfseg.inference.windows import build_grid, choose_window
from napari_surfseg.metrics.score import compute_metrics
from napari_surfseg.model.checkpoint import load_checkpoint
from napari_surfseg.model.intensity import Intensity
from napari_surfseg.model.network import build_unet

RESULTS = Path(__file__).parent / "results" / "predict.md"
PATCH = (48, 48, 48)
OVERLAP = 0.25
INTENSITY = Intensity(low=0, high=255, mean=0.5, std=0.25)


def make_image(shape):
    """Make a volume of noise, which costs as much as a real one."""
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def ours(model, image, window):
    """Probabilities by this project."""
    return predict_region(
        model,
        lambda a, b: image[tuple(map(slice, a, b))],
        ((0, 0, 0), image.shape),
        PredictionSettings(INTENSITY, window=window, overlap=OVERLAP),
    )


def monai(model, image, window):
    """Probabilities by MONAI, from and to uint8 as ours."""
    values = (torch.from_numpy(image)[None, None].float() / 255 - INTENSITY.mean) / INTENSITY.std
    with torch.inference_mode():
        logits = sliding_window_inference(
            values, window, 1, model, overlap=OVERLAP, mode="gaussian", padding_mode="reflect"
        )
    return (torch.sigmoid(logits)[0, 0] * 255).round().to(torch.uint8).numpy()


def compare_time(shape, rounds):
    """Time both with the same windows, and ours with the windows it chooses."""
    network = build_unet(Model(preset="tiny")).eval()
    chosen = choose_window(
        shape, PATCH, multiple=(network.architecture.divisor,) * 3, overlap=OVERLAP
    )
    nothing = torch.nn.Identity()
    image = make_image(shape)
    cases = {
        ("tiny net", "MONAI", PATCH): lambda: monai(network, image, PATCH),
        ("tiny net", "ours", PATCH): lambda: ours(network, image, PATCH),
        ("tiny net", "MONAI", chosen): lambda: monai(network, image, chosen),
        ("tiny net", "ours", chosen): lambda: ours(network, image, chosen),
        ("no net", "MONAI", PATCH): lambda: monai(nothing, image, PATCH),
        ("no net", "ours", PATCH): lambda: ours(nothing, image, PATCH),
    }
    seconds = {case: [] for case in cases}
    for number in range(rounds + 1):
        for case, function in cases.items():
            begun = time.process_time()
            function()
            if number:  # the first round warms caches
                seconds[case].append(time.process_time() - begun)
    best = {case: min(values) for case, values in seconds.items()}
    lines = [
        f"Volume {' x '.join(map(str, shape))}, overlap {OVERLAP}, Gaussian blending, one thread, "
        f"best of {rounds}, processor seconds.",
        "",
        "| network | by | window | seconds | MONAI / ours |",
        "| --- | --- | --- | ---: | ---: |",
    ]
    for (net, by, window), value in best.items():
        ratio = f"{best[net, 'MONAI', window] / value:.2f}" if by == "ours" else ""
        lines.append(f"| {net} | {by} | {' x '.join(map(str, window))} | {value:.2f} | {ratio} |")
    gain = best["tiny net", "MONAI", PATCH] / best["tiny net", "ours", chosen]
    difference = np.abs(
        ours(network, image, PATCH).astype(int) - monai(network, image, PATCH)
    ).mean()
    lines += [
        "",
        f"With the window it chooses, ours is {gain:.2f} times as fast as MONAI with the training "
        f"patch as window. The probabilities of the same window differ by {difference:.2f} of 255 "
        "on average (ours spreads the windows evenly, and blends probabilities, not logits).",
    ]
    return lines


def child(by, source, output):
    """Predict a zarr into a zarr and print the peak memory, less that before."""
    torch.set_num_threads(1)
    before = psutil.Process().memory_info().rss
    window = (64, 64, 64)
    volume = open_volume(source)
    begun = time.perf_counter()
    if by == "ours":
        predict_to_file(
            torch.nn.Identity(),
            volume,
            output,
            PredictionSettings(INTENSITY, window=window),
            output_settings=OutputSettings(probabilities=True),
        )
    else:
        result = monai(torch.nn.Identity(), volume.read((0, 0, 0), volume.shape), window)
        array = zarr.create_array(output, shape=result.shape, chunks=(128,) * 3, dtype="u1")
        array[:] = result
    seconds = time.perf_counter() - begun
    print(peak_bytes() - before, seconds)


def peak_bytes():
    """Peak resident memory of this process."""
    if sys.platform == "win32":
        return psutil.Process().memory_info().peak_wset
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def compare_memory(shapes):
    """Measure both ways on volumes of different length."""
    lines = [
        "A zarr predicted into a zarr with 64^3 windows and no network; peak memory above that of "
        "the imports, wall-clock seconds.",
        "",
        "| volume | ours | in memory (MONAI) | ours, s | MONAI, s |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    with tempfile.TemporaryDirectory() as folder:
        for shape in shapes:
            source = Path(folder) / "image.zarr"
            array = zarr.create_array(
                source, shape=shape, chunks=(64,) * 3, dtype="u1", overwrite=True
            )
            for start in range(0, shape[0], 64):
                depth = min(64, shape[0] - start)
                array[start : start + depth] = make_image((depth, *shape[1:]))
            row = []
            for by in ("ours", "monai"):
                output = str(Path(folder) / f"{by}{shape[0]}.zarr")
                text = subprocess.run(
                    [sys.executable, __file__, "--child", by, str(source), output],
                    check=True,
                    capture_output=True,
                    text=True,
                ).stdout.split()
                row.append((float(text[0]) / 2**20, float(text[1])))
            size = f"{' x '.join(map(str, shape))} ({np.prod(shape) / 2**20:.0f} MiB)"
            (a, s), (b, t) = row
            lines.append(f"| {size} | {a:.0f} MiB | {b:.0f} MiB | {s:.0f} | {t:.0f} |")
    return lines


def compare_worth(data, minutes):
    """Train on a real volume and score windows, overlaps and flips on another."""
    folder = data / "fibsem_gala"
    if not folder.is_dir():
        return [f"No volumes in {folder}: the worth of large windows was not measured."]
    with tempfile.TemporaryDirectory() as scratch:
        config = Path(scratch) / "config.yaml"
        pair = {
            name: str((folder / f"train_{part}.tif").resolve())
            for name, part in (("image", "image"), ("labels", "membrane"))
        }
        config.write_text(
            yaml.safe_dump(
                {
                    "experiment": {"name": "windows"},
                    "data": {"train": [pair], "patch_size": list(PATCH)},
                    "model": {"preset": "tiny"},
                    "training": {"max_minutes": minutes},
                }
            )
        )
        run = Path(scratch) / "run"
        subprocess.run(
            [sys.executable, "-m", "napari_surfseg", "train", config, "--run-dir", run],
            check=True,
            capture_output=True,
        )
        checkpoint = load_checkpoint(run / "checkpoints" / "best.pt")
    network = checkpoint.build_model("cpu")
    image = open_volume(folder / "test_image.tif")
    labels = open_volume(folder / "test_membrane.tif")
    truth = labels.read((0, 0, 0), labels.shape)
    divisor = network.architecture.divisor
    chosen = choose_window(image.shape, PATCH, multiple=(divisor,) * 3, overlap=OVERLAP)
    whole = tuple(-(-n // divisor) * divisor for n in image.shape)
    lines = [
        f"The tiny net trained for {minutes:g} minutes with {PATCH[0]}^3 patches on one EM volume, "
        "scored on another at the checkpoint's threshold; processor seconds.",
        "",
        "| window | overlap | flips | window voxels | seconds | Dice | surface Dice | VOI |",
        "| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for window, overlap, flips in (
        (PATCH, 0.0, False),
        (PATCH, OVERLAP, False),
        (PATCH, 0.5, False),
        (chosen, OVERLAP, False),
        (whole, 0.0, False),
        (PATCH, OVERLAP, True),
        (chosen, OVERLAP, True),
    ):
        begun = time.process_time()
        found = predict_region(
            network,
            image.read,
            ((0, 0, 0), image.shape),
            PredictionSettings(checkpoint.intensity, window=window, overlap=overlap, flips=flips),
        )
        seconds = time.process_time() - begun
        score = compute_metrics(found > checkpoint.threshold * 255, truth, with_topology=False)
        voxels = build_grid(image.shape, window, overlap).num_window_voxels / 1e6
        lines.append(
            f"| {' x '.join(map(str, window))} | {overlap:g} | {'8' if flips else '1'} "
            f"| {voxels:.1f} M | {seconds:.1f} | {score['dice']:.4f} "
            f"| {score['surface_dice']:.4f} | {score['voi_score']:.4f} |"
        )
    return lines


def main():
    """Run all three and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small volumes, no training")
    parser.add_argument("--record", action="store_true", help=f"write {RESULTS.name}")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=2.0, help="training, for the last table")
    parser.add_argument(
        "--data", type=Path, default=Path(__file__).parents[1] / ".." / "shared" / "data"
    )
    parser.add_argument(
        "--parts",
        nargs="+",
        choices=("time", "memory", "worth"),
        default=("time", "memory", "worth"),
    )
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(*options.child)
        return
    torch.set_num_threads(1)
    rounds = 1 if options.quick else options.rounds
    shape = (50, 100, 100) if options.quick else (50, 100, 200)
    lines = [f"{platform.machine()}, {platform.system()}, PyTorch {torch.__version__}.", ""]
    if "time" in options.parts:
        lines += ["## Time", "", *compare_time(shape, rounds), ""]
    shapes = (
        [(128, 256, 256)] if options.quick else [(depth, 256, 256) for depth in (128, 512, 1536)]
    )
    if "memory" in options.parts:
        lines += ["## Memory", "", *compare_memory(shapes), ""]
    if "worth" in options.parts and not options.quick:
        lines += ["## Worth of large windows", "", *compare_worth(options.data, options.minutes)]
    text = "\n".join(lines)
    print(text)
    if options.record:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(f"# Prediction\n\n`python benchmarks/predict.py`\n\n{text}\n")


if __name__ == "__main__":
    main()
