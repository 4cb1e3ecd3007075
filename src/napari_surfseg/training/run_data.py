"""The volumes of a run: opened, checked, and what is settled by looking at them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from napari_surfseg import events
from napari_surfseg.config import ValidationSlab
from napari_surfseg.data.cache import VolumeCache
from napari_surfseg.data.checks import describe_cut, open_pairs
from napari_surfseg.data.intensity import compute_intensity, fit_pairs
from napari_surfseg.data.mixed_sizes import find_typical, make_alike
from napari_surfseg.data.patches.sides import resolve_symmetries
from napari_surfseg.data.remote_files import CHUNK_CACHE
from napari_surfseg.data.resampling import KnownVoxels, Resampling, choose_resampling
from napari_surfseg.geometry import to_spacing
from napari_surfseg.model.checkpoint import load_checkpoint
from napari_surfseg.model.grey_values import fit_grey_values
from napari_surfseg.model.presets import fit_patch_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_surfseg.config import Experiment
    from napari_surfseg.data.checked_pair import CheckedPair
    from napari_surfseg.geometry import Spacing3
    from napari_surfseg.model.intensity import Intensity
    from napari_surfseg.training.plan import RunPlan
    from napari_surfseg.training.reporting import Reporter

__all__ = ["RunData", "open_run_data", "open_same_data"]

NO_VALIDATION = (
    "Too little surface and background is annotated to keep some of it for validation, so the run "
    "trains on all of it and nothing is scored; label more places, or give a volume for "
    "validation, to have scores."
)


#: Annotated places that are looked at for grey values where a volume is nearly empty.
NUM_PLACES = 16
#: Of a kind; what is said of further volumes is in the log.
MOST_WARNINGS = 8


@dataclass(frozen=True)
class RunData:
    """What a run learns from and is scored on.

    Attributes
    ----------
    experiment : Experiment
        With the patch size and the symmetries that suit the volumes.
    train, validation : list of CheckedPair
        Pairs of image and labels; ``validation`` may be empty.
    cache : VolumeCache
        Decoded chunks, for all who read.
    intensity : Intensity
        Of the training volumes.
    cut : dict
        How validation was cut off, so that a resumed run repeats it.
    """

    experiment: Experiment
    train: list[CheckedPair]
    validation: list[CheckedPair]
    cache: VolumeCache
    intensity: Intensity
    cut: dict[str, Any]

    @property
    def pairs(self) -> list[CheckedPair]:
        """All of them, the training pairs first."""
        return [*self.train, *self.validation]

    @property
    def resampling_scales(self) -> list[list[float] | None]:
        """Size of the voxels in which the network sees each pair; None: as they are."""
        return [
            None if pair.resampling is None else list(pair.resampling.scale) for pair in self.pairs
        ]

    @property
    def spacing(self) -> Spacing3:
        """Size of the voxels that the network sees; that of a volume may differ by a tenth."""
        return self._typical.seen_spacing

    @property
    def units(self) -> str | None:
        """Unit of that voxel size; None where it is not known."""
        return self._typical.image.units

    @cached_property
    def _typical(self) -> CheckedPair:
        return find_typical(self.train)


def open_run_data(plan: RunPlan, reporter: Reporter) -> RunData:
    """Open and check the volumes of a run; report what was found.

    Raises
    ------
    DataError, LabelError, ConfigError
        For the first volume that cannot be used.
    """
    settings, seed = plan.experiment.data, plan.experiment.experiment.seed
    CHUNK_CACHE.max_bytes = int(settings.remote_cache_gib * 2**30)
    earlier = _read_earlier(plan)
    train, validation = open_pairs(settings, seed=seed, cut=earlier.get("cut"))
    fitted, fits = fit_pairs([*train, *validation], settings.intensity)
    fitted, seen, unseen = _resample(plan, fitted, earlier.get("resampling"))
    train, validation = fitted[: len(train)], fitted[len(train) :]
    intensity = compute_intensity(
        [pair.image for pair in train],
        boxes=[pair.roi for pair in train],
        void_value=settings.void_value,
        places=[pair.census.list_some(NUM_PLACES) for pair in train],
    )
    experiment, notes = _settle(plan, train)
    notes += [*seen, *(fit.note for fit in fits if fit.note)]
    notes += _compare_with_start(plan, intensity)
    data = RunData(
        experiment=experiment,
        train=train,
        validation=validation,
        cache=VolumeCache(int(settings.cache_gib * 2**30)),
        intensity=intensity,
        cut=describe_cut(settings, train, validation),
    )
    warnings = [*unseen, *(fit.warning for fit in fits if fit.warning)]
    _report(data, notes, warnings, reporter, resume=plan.resume)
    return data


def open_same_data(
    experiment: Experiment,
    cut: dict[str, Any],
    resampling: Sequence[Sequence[float] | None],
    intensity: Intensity,
) -> RunData:
    """Open the volumes of a run as another process has opened them, in which they were checked.

    Parameters
    ----------
    experiment : Experiment
        With all that was settled there.
    cut, resampling, intensity
        Of the data of that process.
    """
    settings = experiment.data
    train, validation = open_pairs(settings, seed=experiment.experiment.seed, cut=cut)
    fitted, _ = fit_pairs([*train, *validation], settings.intensity)
    fitted = _resample_again(fitted, resampling)
    return RunData(
        experiment=experiment,
        train=fitted[: len(train)],
        validation=fitted[len(train) :],
        cache=VolumeCache(int(settings.cache_gib * 2**30)),
        intensity=intensity,
        cut=cut,
    )


def _resample_again(
    pairs: list[CheckedPair], scales: Sequence[Sequence[float] | None]
) -> list[CheckedPair]:
    made = [None if scale is None else Resampling(to_spacing(scale)) for scale in scales]
    return [replace(pair, resampling=each) for pair, each in zip(pairs, made, strict=True)]


def _resample(
    plan: RunPlan, pairs: list[CheckedPair], earlier: Sequence[Sequence[float] | None] | None
) -> tuple[list[CheckedPair], list[str], list[str]]:
    """Settle in voxels of which size the network sees each pair.

    A run that is resumed sees them as it did: ``earlier`` says how.

    Returns
    -------
    pairs : list of CheckedPair
        Some of them with a resampling.
    notes, warnings : list of str
        What is done, and what is not although voxels differ; each once.
    """
    if earlier is not None and len(earlier) == len(pairs):
        return _resample_again(pairs, earlier), [], []
    known = None
    if plan.start is not None:
        start = plan.start.checkpoint
        known = KnownVoxels(start.spacing, start.units, start.anisotropy)
    said: dict[str, bool] = {}
    resampled = []
    for pair in pairs:
        found, note = choose_resampling(pair.image, plan.experiment.data.resample, known)
        said[note] = found is not None
        resampled.append(replace(pair, resampling=found))
    resampled, alike = make_alike(resampled, known)
    said |= dict.fromkeys(alike, True)
    notes = [note for note, is_done in said.items() if note and is_done]
    return resampled, notes, [note for note, is_done in said.items() if note and not is_done]


def _compare_with_start(plan: RunPlan, intensity: Intensity) -> list[str]:
    """Say if a network that is trained on was trained on other grey values before."""
    known = None if plan.start is None else plan.start.checkpoint.intensity
    if known is None or known.values is None or intensity.values is None:
        return []
    then, now = known.values, intensity.values
    fit = fit_grey_values(now, then, name="the new volumes")
    if fit.is_identity and not fit.warning:
        return []
    return [
        f"The network of model.start_from was trained on grey values of {then.describe()}, the new "
        f"volumes have {now.describe()}; they are normalised by their own mean and contrast."
    ]


def _read_earlier(plan: RunPlan) -> dict[str, Any]:
    """Read how the volumes were cut and seen when the run that is resumed began."""
    if not plan.resume or not plan.folders.last.exists():
        return {}
    return load_checkpoint(plan.folders.last).training or {}


def _settle(plan: RunPlan, train: list[CheckedPair]) -> tuple[Experiment, list[str]]:
    """Fit the patch, then choose flips and turns; return the reasons as well."""
    experiment, notes = plan.experiment, []
    data = experiment.data
    z, y, x = (max(extents) for extents in zip(*(pair.seen_shape for pair in train), strict=True))
    fitting = fit_patch_size(data.patch_size, (z, y, x), plan.architecture.divisor)
    if fitting != data.patch_size:
        notes.append(
            f"The training volumes reach no further than {[z, y, x]} voxels, so patches of "
            f"{list(fitting)} are used instead of {list(data.patch_size)}."
        )
    symmetries, reason = resolve_symmetries(
        data.augmentation.symmetries, train, fitting, seed=experiment.experiment.seed
    )
    if reason:
        notes.append(reason)
    # The symmetries are written down, so that the checkpoint shows which were used.
    augmentation = data.augmentation.model_copy(update={"symmetries": symmetries})
    data = data.model_copy(update={"patch_size": fitting, "augmentation": augmentation})
    return experiment.model_copy(update={"data": data}), notes


def _report(
    data: RunData, notes: list[str], warnings: list[str], reporter: Reporter, *, resume: bool
) -> None:
    """Report what was found; of hundreds of volumes not hundreds of warnings."""
    remarks = [remark for pair in data.train for remark in pair.remarks]
    rows = [pair.as_row() for pair in data.pairs]
    wanted = data.experiment.data.validation
    is_wanted = not isinstance(wanted, ValidationSlab) or wanted.fraction > 0
    about_all = [NO_VALIDATION] if is_wanted and not data.validation and not resume else []
    about_each = [note for pair in data.pairs for note in pair.notes]
    shown, others = about_each[:MOST_WARNINGS], about_each[MOST_WARNINGS:]
    others += warnings[MOST_WARNINGS:]
    reporter.report(events.DataChecked(volumes=rows, notes=[*remarks, *notes, *others]))
    for warning in (*shown, *about_all, *warnings[:MOST_WARNINGS]):
        reporter.warn(warning)
    if others:
        reporter.warn(f"There are {len(others)} more such warnings on volumes; the log has them.")
