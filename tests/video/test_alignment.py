import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedn_lightning.video.alignment import box_transform, canonical_eyes, crop, eye_transform, scale_of

points = st.tuples(st.floats(0, 600), st.floats(0, 400))


@given(points, points)
def test_the_eyes_go_to_their_places_by_a_similarity(left, right):
    if np.hypot(left[0] - right[0], left[1] - right[1]) < 1:
        return
    transform = eye_transform(left, right, 128)
    assert transform[:, :2] @ np.transpose([left, right]) + transform[:, 2:] == pytest.approx(
        canonical_eyes(128).T, abs=1e-6
    )
    linear = transform[:, :2]
    assert linear.T @ linear == pytest.approx(scale_of(transform) ** 2 * np.eye(2), abs=1e-9)


def test_two_eyes_in_one_point_are_refused():
    with pytest.raises(ValueError, match="define no transform"):
        eye_transform((3, 4), (3, 4), 128)


@pytest.mark.parametrize("size", [24, 48, 96])
def test_a_whole_square_picture_is_taken_as_it_is(size):
    picture = np.random.default_rng(0).integers(0, 256, (48, 48, 3), np.uint8)
    made = crop(picture, box_transform(0, 0, 48, 48, size), size)
    method = cv2.INTER_AREA if size < 48 else cv2.INTER_LINEAR
    expected = cv2.resize(picture, (size, size), interpolation=method).astype(int)
    inner = slice(2, -2)
    assert np.abs(made[inner, inner].astype(int) - expected[inner, inner]).max() <= 2


def test_a_box_lies_in_the_middle_of_its_square():
    picture = np.zeros((100, 100, 3), np.uint8)
    picture[40:50, 20:60] = 255
    made = crop(picture, box_transform(20, 40, 40, 10, 40), 40)
    assert made[15:25].min() == 255
    assert made[:15].max() == 0


def blob(x, size=400):
    """A smooth bright spot at `(x, 200)`."""
    grid = np.arange(size)
    spot = np.exp(-((grid - x) ** 2 + (grid[:, None] - 200.0) ** 2) / (2 * 12.0**2))
    return np.round(40 + 180 * np.repeat(spot[..., None], 3, 2)).astype(np.uint8)


def centre(image):
    weight = np.maximum(image[..., 0].astype(float) - 40, 0)
    return (weight.sum(0) * np.arange(image.shape[1])).sum() / weight.sum()


@pytest.mark.parametrize("motion", [0.3, 1.0])
def test_a_micro_motion_survives_the_crop(motion):
    transform = eye_transform((140, 200), (260, 200), 128)
    scale = scale_of(transform)
    moved = [centre(crop(blob(200 + shift), transform, 128)) for shift in (0, motion / scale)]
    assert moved[1] - moved[0] == pytest.approx(motion, abs=0.02)


def test_noise_is_averaged_down_not_skipped():
    noise = np.random.default_rng(0).normal(128, 20, (480, 480, 3)).clip(0, 255).astype(np.uint8)
    transform = box_transform(0, 0, 480, 480, 120)
    assert crop(noise, transform, 120).std() < 20 / 3
    assert cv2.warpAffine(noise, transform, (120, 120)).std() > 8, "what sampling directly would leave"
