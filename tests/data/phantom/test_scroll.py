"""The synthetic scroll: what it shows, what its labels mean, and that chunks do not matter."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy import ndimage as ndi

from napari_surfseg.data.phantom.scroll import PhantomBox, ScrollPhantom
from napari_surfseg.data.phantom.settings import PhantomSettings
from napari_surfseg.errors import ConfigError

SETTINGS = PhantomSettings(shape=(48, 176, 176), seed=7)
STROKES = dataclasses.replace(SETTINGS, annotated="strokes")
WHOLE = (0, 0, 0), SETTINGS.shape


def is_equal(a: PhantomBox, b: PhantomBox) -> bool:
    return all(
        np.array_equal(getattr(a, name), getattr(b, name))
        for name in ("image", "labels", "winding")
    )


def cut(box: PhantomBox, start, stop) -> PhantomBox:
    place = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
    return PhantomBox(box.image[place], box.labels[place], box.winding[place])


@pytest.fixture(scope="module")
def box() -> PhantomBox:
    return ScrollPhantom(SETTINGS).compute_box(*WHOLE)


@pytest.fixture(scope="module")
def strokes() -> PhantomBox:
    return ScrollPhantom(STROKES).compute_box(*WHOLE)


@pytest.fixture(scope="module")
def sheets():
    return ScrollPhantom(SETTINGS)._geometry.compute_sheets(*WHOLE)


@pytest.fixture(scope="module")
def quiet() -> PhantomBox:
    """The same scroll seen without noise and rings."""
    return ScrollPhantom(dataclasses.replace(SETTINGS, noise=0)).compute_box(*WHOLE)


@pytest.fixture(scope="module")
def normals(sheets):
    """Unit vectors across the sheets, pointing outwards; they follow from the winding number."""
    # The angle's slope is small beside that of the radius away from the core.
    slopes = np.stack(np.gradient(ndi.gaussian_filter(sheets.radius, 1)))
    return slopes / np.linalg.norm(slopes, axis=0)


@pytest.fixture(scope="module")
def parts(box, sheets):
    """Masks of inner layer, outer layer and gap, clear of their borders and of the core."""
    geometry = ScrollPhantom(SETTINGS)._geometry
    thickness = ScrollPhantom(SETTINGS)._material.compute_thickness(*WHOLE)
    inside = (sheets.turns > geometry.first_turn + 0.05) & (box.image > 0)
    inside &= sheets.turns < geometry.last_turn - 0.05
    end = np.minimum(thickness, sheets.pitch)
    depth = sheets.depth
    return {
        "inner": inside & (depth > 1) & (depth < end / 2 - 0.5),
        "outer": inside & (depth > end / 2 + 0.5) & (depth < end - 1),
        "gap": inside & (depth > thickness + 1) & (depth < sheets.pitch - 1),
        "pressed": inside & (thickness > sheets.pitch - 1),
        "inside": inside,
        "end": end,
    }


class TestReproducible:
    def test_the_same_seed_gives_the_same_bits(self, box):
        assert is_equal(box, ScrollPhantom(SETTINGS).compute_box(*WHOLE))

    def test_another_seed_gives_another_scroll(self, box):
        other = ScrollPhantom(dataclasses.replace(SETTINGS, seed=8)).compute_box(*WHOLE)
        face, other_face = box.labels == 1, other.labels == 1
        overlap = 2 * (face & other_face).sum() / (face.sum() + other_face.sum())
        assert overlap < 0.4
        both = (box.image > 0) & (other.image > 0)
        assert abs(np.corrcoef(box.image[both], other.image[both])[0, 1]) < 0.2

    @pytest.mark.parametrize(
        ("start", "stop"),
        [
            ((0, 0, 0), (16, 64, 64)),
            ((13, 57, 91), (29, 130, 172)),
            ((31, 0, 95), (48, 176, 98)),
            ((47, 88, 88), (48, 89, 89)),
            ((5, 30, 30), (6, 31, 160)),
        ],
    )
    def test_a_box_alone_equals_that_box_of_the_whole(self, box, strokes, start, stop):
        for settings, whole in ((SETTINGS, box), (STROKES, strokes)):
            alone = ScrollPhantom(settings).compute_box(start, stop)
            assert is_equal(alone, cut(whole, start, stop))

    def test_tiles_leave_no_seams(self, box, monkeypatch):
        monkeypatch.setattr("napari_surfseg.data.phantom.scroll.TILE", (11, 40, 200))
        assert is_equal(box, ScrollPhantom(SETTINGS).compute_box(*WHOLE))


class TestLabels:
    def test_types_and_values(self, box):
        assert (box.image.dtype, box.labels.dtype, box.winding.dtype) == (
            np.uint8,
            np.uint8,
            np.int16,
        )
        assert set(np.unique(box.labels)) == {0, 1, 2}

    def test_the_face_is_two_to_three_voxels_thick(self, box, normals):
        points = np.argwhere(box.labels == 1)
        rng = np.random.default_rng(0)
        points = points[rng.permutation(len(points))[:3000]]
        steps = np.arange(-6, 6.05, 0.1)
        # Turns tighter than the label is thick have no normal to measure along: leave the core.
        winding = box.winding[tuple(points.T)]
        points = points[winding >= 2]
        direction = normals[(slice(None), *points.T)]
        track = points[:, :, None] + direction.T[:, :, None] * steps
        place = np.rint(track).astype(int)
        fits = np.all((place >= 0) & (place < np.array(box.labels.shape)[:, None]), axis=(1, 2))
        values = box.labels[tuple(np.moveaxis(place[fits], 1, 0))]
        values = values[~np.any(values == 2, axis=1)]
        assert len(values) > 1000
        middle = len(steps) // 2
        face = values == 1
        ahead = np.argmin(face[:, middle:], axis=1)
        behind = np.argmin(face[:, middle::-1], axis=1)
        thickness = (ahead + behind - 1) * 0.1
        # Each track is rounded to voxels, which adds or takes half a voxel at both ends.
        assert 2.0 < np.median(thickness) < 3.0
        assert 2.3 < thickness.mean() < 2.9
        assert np.mean((thickness >= 1.4) & (thickness <= 3.7)) > 0.99

    def test_depth_is_a_distance(self, sheets, parts):
        """Depth grows by one a voxel along the normal, so the band is as thick as it says."""
        near = parts["inside"] & (sheets.depth > 1) & (sheets.depth < 3) & (sheets.winding >= 2)
        slope = np.linalg.norm(np.stack(np.gradient(sheets.depth)), axis=0)[near]
        assert np.median(slope) == pytest.approx(1, abs=0.03)
        assert np.all(np.abs(np.quantile(slope, [0.02, 0.98]) - 1) < 0.3)

    def test_the_face_is_where_the_sheet_begins_coming_from_the_axis(self, box, sheets):
        face = box.labels == 1
        assert np.all(sheets.depth[face] < 2.5)
        annotated = (box.labels == 0) & (sheets.depth < 2.5)
        geometry = ScrollPhantom(SETTINGS)._geometry
        assert np.all(sheets.turns[annotated] > geometry.last_turn)

    def test_a_reasonable_part_is_face(self, box):
        for seed in (0, 1, 2):
            settings = PhantomSettings(shape=(16, 192, 192), seed=seed)
            labels = ScrollPhantom(settings).compute_box((0, 0, 0), settings.shape).labels
            assert 0.02 < np.mean(labels == 1) < 0.12
        inside = box.image > 0
        assert np.all(box.labels[~inside] == 2)
        assert 0.01 < np.mean(box.labels[inside] == 2) < 0.25

    def test_faces_of_neighbouring_windings_do_not_touch(self):
        for seed in range(3):
            settings = PhantomSettings(shape=(12, 192, 192), seed=seed)
            phantom = ScrollPhantom(settings)
            box = phantom.compute_box((0, 0, 0), settings.shape)
            sheets = phantom._geometry.compute_sheets((0, 0, 0), settings.shape)
            assert self._greatest_jump(box.labels == 1, sheets.turns) < 0.25

    @staticmethod
    def _greatest_jump(face, turns) -> float:
        """Greatest way along the spiral, in turns, between 26-neighbours that are both face.

        One turn would be the next winding.
        """
        greatest = 0.0
        for offset in list(np.ndindex(3, 3, 3))[14:]:
            shift = np.array(offset) - 1
            here = tuple(
                slice(max(0, s), n + min(0, s)) for s, n in zip(shift, face.shape, strict=True)
            )
            there = tuple(
                slice(max(0, -s), n - max(0, s)) for s, n in zip(shift, face.shape, strict=True)
            )
            both = face[here] & face[there]
            greatest = max(greatest, float(np.abs(turns[here] - turns[there])[both].max()))
        return greatest

    def test_strokes_keep_the_face_and_little_of_the_background(self, box, strokes):
        assert np.array_equal(strokes.image, box.image)
        assert np.array_equal(strokes.labels == 1, box.labels == 1)
        kept = strokes.labels == 0
        assert np.all(box.labels[kept] == 0)
        assert 0.01 < kept.sum() / (box.labels == 0).sum() < 0.2

    def test_nothing_is_left_out_when_everything_is_annotated(self, sheets):
        settings = dataclasses.replace(SETTINGS, unannotated=0)
        labels = ScrollPhantom(settings).compute_box(*WHOLE)
        inside = (labels.image > 0) & (sheets.turns > 1.5) & (sheets.pitch > 6)
        assert not np.any(labels.labels[inside] == 2)


class TestWinding:
    def test_grows_by_one_from_each_sheet_to_the_next(self, box, sheets, normals):
        """Half a pitch beyond a face lies its own sheet's number, before it the one below."""
        assert box.winding.max() >= 5
        points = np.argwhere((box.labels == 1) & (box.winding >= 2))[::7]
        place = tuple(points.T)
        reach = 0.5 * sheets.pitch[place] * normals[(slice(None), *place)]
        own, angle = box.winding[place], (sheets.turns - sheets.winding)
        for sign, wanted in ((1, own), (-1, own - 1)):
            there = np.rint(points + sign * reach.T).astype(int)
            fits = np.all((there >= 0) & (there < np.array(box.image.shape)), axis=1)
            there = tuple(np.where(fits[:, None], there, points).T)
            # The number jumps where a turn is complete and is 0 outside the mask.
            fits &= (np.abs(angle[there] - angle[place]) < 0.5) & (box.image[there] > 0)
            assert fits.sum() > 1000
            assert np.mean(box.winding[there][fits] == wanted[fits]) > 0.99

    def test_never_falls_going_outwards(self, box, sheets):
        geometry = ScrollPhantom(SETTINGS)._geometry
        angle = sheets.turns - sheets.winding
        checked = 0
        for z in (4, 24, 44):
            axis = [float(value) for value in geometry.compute_axis(np.array(z))]
            for direction in np.linspace(0, 2 * np.pi, 60, endpoint=False):
                r = np.arange(15, 120, 2.0)
                y = np.rint(axis[0] + r * np.sin(direction)).astype(int)
                x = np.rint(axis[1] + r * np.cos(direction)).astype(int)
                inside = (y >= 0) & (y < 176) & (x >= 0) & (x < 176)
                y, x = y[inside], x[inside]
                inside = box.image[z, y, x] > 0
                y, x = y[inside], x[inside]
                if np.ptp(angle[z, y, x]) > 0.5:  # the ray crosses the completed turn
                    continue
                assert np.all(np.diff(box.winding[z, y, x]) >= 0)
                checked += 1
        assert checked > 100

    def test_is_constant_on_a_face_but_for_the_line_where_a_turn_is_complete(self, box, sheets):
        face = box.labels == 1
        angle = sheets.turns - sheets.winding
        for axis in range(3):
            here = tuple(slice(0, -1) if k == axis else slice(None) for k in range(3))
            there = tuple(slice(1, None) if k == axis else slice(None) for k in range(3))
            both = face[here] & face[there] & (box.winding[here] != box.winding[there])
            assert np.all(np.abs(angle[here][both]) > 0.3)
            assert both.sum() < 0.02 * face.sum()

    def test_counts_sheets_from_one(self, box):
        assert box.winding[box.labels == 1].min() == 1
        assert np.all(box.winding[box.image == 0] == 0)


class TestAppearance:
    def test_is_zero_exactly_outside_the_mask(self, box, quiet):
        # Whatever the noise, 0 means outside and nothing else.
        assert np.array_equal(box.image == 0, quiet.image == 0)
        outside = box.image == 0
        assert 0.1 < outside.mean() < 0.6
        assert outside[:, 0, 0].all()
        _, parts_inside = ndi.label(~outside)
        assert parts_inside == 1

    def test_sheets_are_6_to_14_voxels_thick(self, parts):
        thickness = parts["end"][parts["inside"]]
        assert np.mean(thickness < 5.9) < 0.01
        assert thickness.max() <= 14
        assert np.ptp(np.quantile(thickness, [0.05, 0.95])) > 3

    def test_some_neighbours_are_pressed_together_and_some_stand_apart(self, parts, sheets):
        inside = parts["inside"]
        assert 0.08 < parts["pressed"][inside].mean() < 0.5
        space = (sheets.pitch - parts["end"])[inside]
        assert np.quantile(space, 0.95) > 7

    def test_papyrus_and_gap_differ_by_little_more_than_the_noise(self, box, quiet, parts):
        image = box.image.astype(float)
        noise = (image - quiet.image)[box.image > 0].std()
        papyrus = image[parts["inner"] | parts["outer"]].mean()
        ratio = (papyrus - image[parts["gap"]].mean()) / noise
        assert 1.2 < ratio < 2.0

    def test_no_threshold_finds_the_face(self, box):
        for sigma in (0, 1, 2, 3):
            image = ndi.gaussian_filter(box.image.astype(np.float32), sigma)[::3]
            assert find_best_dice(image, box.labels[::3]) < 0.43

    def test_inner_layer_is_a_little_denser(self, quiet, parts):
        image = quiet.image.astype(float)
        inner, outer = image[parts["inner"]].mean(), image[parts["outer"]].mean()
        gap = image[parts["gap"]].mean()
        assert 0.05 < (inner - outer) / (inner - gap) < 0.45

    def test_fibres_cross(self, quiet, parts, normals):
        """Inner fibres run around the roll, outer ones along it: grey varies across fibres."""
        slopes = np.stack(np.gradient(quiet.image.astype(float)))
        around = np.stack([np.zeros_like(normals[0]), normals[2], -normals[1]])
        around /= np.linalg.norm(around, axis=0)
        along_roll = slopes[0] ** 2
        around_roll = (slopes * around).sum(0) ** 2
        inner, outer = parts["inner"], parts["outer"]
        assert along_roll[inner].mean() > 2 * around_roll[inner].mean()
        assert around_roll[outer].mean() > 2 * along_roll[outer].mean()

    def test_has_bright_grains(self, quiet, parts):
        image = quiet.image.astype(float)
        bright = image > image[parts["inner"]].mean() + 60
        _, count = ndi.label(bright)
        assert count >= 3
        assert bright.mean() < 0.002

    def test_noise_is_correlated(self, box, quiet):
        noise = box.image.astype(float) - quiet.image
        core = noise[:, 70:110, 70:110]
        near = np.corrcoef(core[:, :, :-1].ravel(), core[:, :, 1:].ravel())[0, 1]
        far = np.corrcoef(core[:, :, :-9].ravel(), core[:, :, 9:].ravel())[0, 1]
        assert 0.2 < near < 0.8
        assert abs(far) < 0.12


def find_best_dice(image, labels) -> float:
    """Best Dice of any threshold, dark or bright side, on the annotated voxels."""
    known = labels < 2
    order = np.argsort(image[known], kind="stable")
    truth = (labels[known] == 1)[order]
    best = 0.0
    for side in (truth, truth[::-1]):
        found = np.arange(1, side.size + 1)
        best = max(best, float((2 * np.cumsum(side) / (found + side.sum())).max()))
    return best


class TestAnySize:
    @pytest.mark.parametrize("shape", [(1, 1, 1), (3, 200, 5), (40, 48, 56), (2, 33, 260)])
    def test_small_and_odd_volumes(self, shape):
        settings = PhantomSettings(shape=shape, seed=3)
        box = ScrollPhantom(settings).compute_box((0, 0, 0), shape)
        assert box.image.shape == box.labels.shape == box.winding.shape == shape

    def test_a_small_volume_shows_a_part_of_a_roll(self):
        settings = PhantomSettings(shape=(40, 48, 48), seed=3)
        box = ScrollPhantom(settings).compute_box((0, 0, 0), settings.shape)
        assert 0.03 < np.mean(box.labels == 1) < 0.3
        assert np.mean(box.image > 0) > 0.9

    def test_a_corner_of_a_huge_roll(self):
        settings = PhantomSettings(shape=(4000, 6000, 6000), seed=1)
        start, stop = (3000, 1500, 2500), (3016, 1548, 2548)
        box = ScrollPhantom(settings).compute_box(start, stop)
        assert box.winding.min() > 20
        assert 0.05 < np.mean(box.labels[box.labels < 2] == 1) < 0.4

    def test_a_box_outside_is_refused(self):
        with pytest.raises(ValueError, match="does not lie in"):
            ScrollPhantom(SETTINGS).compute_box((0, 0, 0), (49, 176, 176))

    @pytest.mark.parametrize(
        "wrong",
        [
            {"shape": (0, 10, 10)},
            {"seed": -1},
            {"spacing": (1.0, 0.0, 1.0)},
            {"radius": 10.0},
            {"sheet_thickness": (4.0, 9.0)},
            {"sheet_thickness": (9.0, 8.0)},
            {"gap": 0.0},
            {"contrast": -1.0},
            {"noise": float("nan")},
            {"blur": 0.0},
            {"annotated": "some"},
            {"unannotated": 1.0},
        ],
    )
    def test_impossible_settings_are_refused_in_a_sentence(self, wrong):
        with pytest.raises(ConfigError) as error:
            PhantomSettings(**wrong)
        assert str(error.value).endswith(".")
        assert str(error.value).startswith("The phantom's ")
