"""The quick matching against a matrix reduction done from the definition, and its invariances."""

import itertools

import numpy as np
import pytest
from scipy.ndimage import binary_dilation, gaussian_filter

from napari_surfseg.metrics.betti_matching import (
    compute_topo_counts,
    compute_topo_score,
    match_features,
    octants,
)
from napari_surfseg.metrics.score import compute_metrics


def cells_by_dimension(shape):
    """All cells as (lowest voxel, kind, voxels), in the order of voxel and kind."""
    cells = [[], [], [], []]
    for voxel in itertools.product(*map(range, shape)):
        for axes in itertools.chain.from_iterable(
            itertools.combinations(range(3), d) for d in range(4)
        ):
            corners = [
                tuple(v + (a in chosen) for a, v in enumerate(voxel))
                for n in range(len(axes) + 1)
                for chosen in itertools.combinations(axes, n)
            ]
            if max(c[a] - shape[a] for c in corners for a in range(3)) < 0:
                # An edge's kind is its axis, a square's the axis it is normal to.
                normal = [a for a in range(3) if a not in axes]
                kind = (0, axes[0] if axes else 0, normal[0] if normal else 0, 0)[len(axes)]
                cells[len(axes)].append((voxel, kind, frozenset(corners)))
    return [sorted(c, key=lambda cell: cell[:2]) for c in cells]


def reduce_boundary(columns, row_order, column_order):
    """Reduce a boundary matrix mod 2; return {column: row of its lowest entry}."""
    rank = {row: i for i, row in enumerate(row_order)}
    reduced, low = {}, {}
    for column in column_order:
        chain = sum(1 << rank[row] for row in columns[column])
        while chain and chain.bit_length() in reduced:
            chain ^= reduced[chain.bit_length()]
        if chain:
            reduced[chain.bit_length()] = chain
            low[column] = row_order[chain.bit_length() - 1]
    return low


def match_by_definition(pred, label):
    """Betti matching as published: barcodes, comparison barcode and both image barcodes."""
    values = [1 - pred, 1 - label]
    values.append(np.minimum(*values))
    cells = cells_by_dimension(pred.shape)
    level = [
        [[max(int(v[c]) for c in cell[2]) for cell in of_dimension] for of_dimension in cells]
        for v in values
    ]
    counts = np.zeros((3, 3), int)
    for d in range(3):
        index = {cell[2]: i for i, cell in enumerate(cells[d])}
        columns = {
            j: [i for voxels, i in index.items() if voxels <= cell[2]]
            for j, cell in enumerate(cells[d + 1])
        }

        def order(which, dimension):
            return np.argsort(level[which][dimension], kind="stable").tolist()

        births = []
        for which in range(2):
            pairs = reduce_boundary(columns, order(which, d), order(which, d + 1))
            births.append(
                {
                    birth
                    for death, birth in pairs.items()
                    if level[which][d][birth] < level[which][d + 1][death]
                }
            )
            counts[d, which + 1] = len(births[-1])
        comparison = reduce_boundary(columns, order(2, d), order(2, d + 1))
        images = [reduce_boundary(columns, order(which, d), order(2, d + 1)) for which in range(2)]
        for death, birth in comparison.items():
            if level[2][d][birth] < level[2][d + 1][death]:
                counts[d, 0] += all(images[w].get(death) in births[w] for w in range(2))
    return counts


def blob(rng, shape, sigma, share):
    noise = rng.standard_normal(shape)
    if sigma:
        noise = gaussian_filter(noise, sigma, mode="wrap")
    return noise > np.quantile(noise, 1 - share)


def make_pair(rng, kind, low=2, high=6):
    """Make two related masks: noise, flips, a shift, dented sheets, growth or bubbles."""
    shape = tuple(rng.integers(low, high + 1, 3))
    label = blob(rng, shape, rng.choice([0, 0.6, 1.0]), rng.uniform(0.1, 0.9))
    if kind == "noise":
        pred = blob(rng, shape, rng.choice([0, 0.6]), rng.uniform(0.1, 0.9))
    elif kind == "flips":
        pred = label ^ (rng.random(shape) < rng.uniform(0, 0.3))
    elif kind == "shift":
        pred = np.roll(label, rng.integers(-1, 2, 3), (0, 1, 2))
    elif kind == "sheets":
        axis = rng.integers(0, 3)
        plane = np.arange(shape[axis]).reshape([-1 if a == axis else 1 for a in range(3)])
        label = np.broadcast_to(plane % 3 < rng.integers(1, 3), shape) & (
            rng.random(shape) > rng.uniform(0, 0.1)
        )
        pred = label & (rng.random(shape) > rng.uniform(0, 0.2))
        pred |= rng.random(shape) < rng.uniform(0, 0.15)
    elif kind == "grown":
        pred = binary_dilation(label)
    else:
        label = rng.random(shape) > 0.04
        pred = label ^ (rng.random(shape) < 0.03)
    return pred.astype(np.uint8), label.astype(np.uint8)


KINDS = ("noise", "flips", "shift", "sheets", "grown", "bubbles")


@pytest.mark.parametrize("kind", KINDS)
def test_counts_equal_the_matrix_reduction(kind):
    rng = np.random.default_rng(KINDS.index(kind))
    seen = np.zeros(3, int)
    for _ in range(12):
        pred, label = make_pair(rng, kind)
        expected = match_by_definition(pred, label)
        assert match_features(pred, label).tolist() == expected.tolist()
        seen += expected[:, 1:].sum(axis=1)
    assert seen.any(), "the cases hold no features to compare"


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_counts_equal_the_matrix_reduction_at_length(kind):
    rng = np.random.default_rng(100 + KINDS.index(kind))
    for _ in range(60):
        pred, label = make_pair(rng, kind, 1, 8)
        assert match_features(pred, label).tolist() == match_by_definition(pred, label).tolist()


def ring(shape, centre, radius):
    z, y, x = np.ogrid[tuple(map(slice, shape))]
    distance = np.maximum(abs(y - centre[1]), abs(x - centre[2]))
    return ((z == centre[0]) & (distance == radius)).astype(np.uint8)


def test_a_ring_has_one_tunnel_and_matches_itself_moved():
    a, b = ring((7, 12, 12), (3, 5, 5), 3), ring((7, 12, 12), (3, 6, 5), 3)
    assert match_features(a, a).tolist() == [[0, 0, 0], [1, 1, 1], [0, 0, 0]]
    assert match_features(a, b)[1].tolist() == [1, 1, 1]


def test_rings_side_by_side_do_not_match():
    a, b = ring((7, 9, 20), (3, 4, 4), 2), ring((7, 9, 20), (3, 4, 14), 2)
    assert match_features(a, b)[1].tolist() == [0, 1, 1]


def test_a_filled_ring_has_nothing_to_match():
    a, b = ring((7, 12, 12), (3, 5, 5), 3), ring((7, 12, 12), (3, 5, 5), 3)
    b[3, 2:9, 2:9] = 1
    assert match_features(a, b)[1].tolist() == [0, 1, 0]


def test_linked_rings_stay_two_tunnels():
    a = ring((9, 12, 12), (4, 5, 4), 3)
    z, x = np.ogrid[:9, :12]
    a[:, 5][np.maximum(abs(z - 4), abs(x - 7)) == 3] = 1
    assert match_features(a, a).tolist() == [[1, 1, 1], [2, 2, 2], [0, 0, 0]]


def test_cavities_match_where_they_overlap():
    a = np.ones((9, 9, 9), np.uint8)
    b = a.copy()
    a[2:4, 2:4, 2:4] = 0
    b[3:5, 2:4, 2:4] = 0
    assert match_features(a, b)[2].tolist() == [1, 1, 1]
    b[3:5, 2:4, 2:4] = 1
    b[6, 6, 6] = 0
    assert match_features(a, b)[2].tolist() == [0, 1, 1]


def test_the_last_component_does_not_count():
    a = np.zeros((4, 4, 9), np.uint8)
    a[1:3, 1:3, 1:3] = 1
    assert match_features(a, a)[0].tolist() == [0, 0, 0]
    a[1:3, 1:3, 6:8] = 1
    assert match_features(a, a)[0].tolist() == [1, 1, 1]
    assert match_features(a, np.zeros_like(a))[0].tolist() == [0, 1, 0]


def test_octants_are_near_equal_and_cover_everything():
    assert sorted(tuple(s.stop - s.start for s in box) for box in octants((5, 4, 1))) == [
        (2, 2, 1),
        (2, 2, 1),
        (3, 2, 1),
        (3, 2, 1),
    ]
    cover = np.zeros((7, 6, 5), int)
    for box in octants(cover.shape):
        cover[box] += 1
    assert (cover == 1).all()


@pytest.mark.parametrize("kind", KINDS)
def test_counts_of_each_mask_survive_flips_and_swaps(kind):
    rng = np.random.default_rng(10 + KINDS.index(kind))
    for _ in range(5):
        pred, label = make_pair(rng, kind, 4, 9)
        even = tuple(slice(0, n // 2 * 2) for n in pred.shape)
        pred, label = pred[even], label[even]
        counts = compute_topo_counts(pred, label)
        assert (counts[:, 0] <= counts[:, 1:].min(axis=1)).all()
        swapped = compute_topo_counts(label, pred)
        assert swapped[:, [0, 2, 1]].tolist() == counts.tolist()
        for axes in ((0,), (1,), (2,), (0, 1, 2)):
            flipped = compute_topo_counts(np.flip(pred, axes), np.flip(label, axes))
            # Which ones match follows the order of the cells; how many there are does not.
            assert flipped[:, 1:].tolist() == counts[:, 1:].tolist()
        same = compute_topo_counts(pred, pred)
        assert same[:, 0].tolist() == same[:, 1].tolist() == same[:, 2].tolist()


def test_identical_masks_score_one():
    rng = np.random.default_rng(3)
    label = blob(rng, (14, 15, 16), 1.0, 0.4)
    metrics = compute_metrics(label, label)
    for key in ("topo_score", "score", "surface_dice", "voi_score", "dice", "precision", "recall"):
        assert metrics[key] == pytest.approx(1.0), key


def test_what_is_ignored_changes_nothing():
    rng = np.random.default_rng(4)
    pred, label = make_pair(rng, "flips", 12, 12)
    ignored = blob(rng, label.shape, 1.5, 0.3)
    label[ignored] = 2
    other = np.where(ignored, rng.integers(0, 2, label.shape), pred)
    assert compute_metrics(pred, label) == compute_metrics(other, label)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        (np.zeros((3, 3)), 1.0),
        ([[2, 4, 4], [0, 0, 0], [0, 0, 0]], 0.5),
        ([[0, 7, 0], [0, 0, 0], [0, 0, 0]], 0.5 / 7.5),
        ([[1, 1, 1], [0, 3, 0], [0, 0, 2]], (0.34 + 0.33 * 0.5 / 3.5) / 1.0),
        ([[1, 1, 1], [0, 3, 0], [0, 0, 0]], (0.34 + 0.33 * 0.5 / 3.5) / 0.67),
    ],
)
def test_topo_score_by_hand(counts, expected):
    assert compute_topo_score(np.asarray(counts)) == pytest.approx(expected)
