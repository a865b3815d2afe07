"""Arrows over a crop."""

import re

import numpy as np
import pytest

from fedn_lightning.motion.features import AREAS
from fedn_lightning.reports.motion_picture import LONGEST, SIDE, motion_picture


def test_the_longest_arrow_has_its_length_and_points_where_the_part_went():
    moved = np.zeros((len(AREAS), 2))
    moved[2] = [0.0, -0.01]
    text = motion_picture(np.zeros((32, 32, 3), np.uint8), moved, 17)
    lines = [
        [float(value) for value in found]
        for found in re.findall(r"x1='([\d.]+)' y1='([\d.]+)' x2='([\d.]+)' y2='([\d.]+)'", text)
    ]
    assert len(lines) == len(AREAS)
    x1, y1, x2, y2 = lines[2]
    assert x1 == x2
    assert y1 - y2 == pytest.approx(LONGEST * SIDE, abs=0.2)
    assert all(line[:2] == line[2:] for k, line in enumerate(lines) if k != 2)
    assert "frame 17" in text


def test_a_face_at_rest_has_no_arrows():
    assert "nan" not in motion_picture(np.zeros((8, 8, 3), np.uint8), np.zeros((len(AREAS), 2)), 0)
