"""Which triangle is seen where; no mesh of a head is needed."""

import numpy as np
import pytest

from fedn_synth.head3d.raster import rasterise


def brute_force(points, depth, triangles, rows, columns):
    """The triangle of greatest depth sum that holds each sample, one sample at a time; -1 for none."""
    seen = np.full((rows, columns), -1)
    for row in range(rows):
        for column in range(columns):
            best = -np.inf
            for number, corners in enumerate(triangles):
                a, b, c = points[corners].astype(float)
                area = np.cross(b - a, c - a)
                if area <= 1e-6:
                    continue
                p = np.array([column, row])
                weights = np.array([np.cross(b - p, c - p), np.cross(c - p, a - p), np.cross(a - p, b - p)]) / area
                if weights.min() >= 0 and depth[corners].sum() > best:
                    best, seen[row, column] = depth[corners].sum(), number
    return seen


@pytest.mark.filterwarnings("ignore:Arrays of 2-dimensional vectors")
def test_the_same_triangles_are_seen_as_by_looking_at_every_sample():
    rng = np.random.default_rng(3)
    triangles = np.arange(36).reshape(12, 3)
    points = rng.uniform(-3, 20, (36, 2)).astype(np.float32)
    depth = np.repeat(rng.permutation(12), 3).astype(np.float32)  # flat triangles, so that none cuts another
    found = np.full((15, 17), -1)
    seen = rasterise(points, depth, triangles, 15, 17)
    found.ravel()[seen.cells] = seen.triangle

    expected = brute_force(points, depth, triangles, 15, 17)
    assert (expected >= 0).any()
    assert (found == expected).mean() > 0.99  # samples on an edge may belong to either side


def test_weights_give_back_the_sample_s_position():
    points = np.array([[1, 1], [14, 3], [4, 12]], np.float32)
    seen = rasterise(points, np.zeros(3, np.float32), np.array([[0, 1, 2]]), 16, 16)
    position = seen.interpolate(np.array([[0, 1, 2]]), points)

    np.testing.assert_allclose(position, np.stack([seen.cells % 16, seen.cells // 16], axis=1), atol=1e-3)
    assert len(seen.cells) > 40


def test_what_is_seen_from_behind_is_left_out():
    points = np.array([[1, 1], [14, 3], [4, 12]], np.float32)
    assert not len(rasterise(points, np.zeros(3, np.float32), np.array([[0, 2, 1]]), 16, 16).cells)
