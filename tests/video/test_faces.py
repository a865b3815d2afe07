import cv2
import numpy as np
import pytest

from fedn_lightning.errors import FaceNotFoundError
from fedn_lightning.video.alignment import Face
from fedn_lightning.video.faces import find_face, find_video_face, median_face, sample_face
from lookalikes.faces import eyes_of


@pytest.mark.parametrize("shrink", [1.0, 0.5])
def test_the_eyes_of_a_face_are_found(still_face, shrink):
    picture, landmarks = still_face
    grey = cv2.cvtColor(cv2.resize(picture, None, fx=shrink, fy=shrink), cv2.COLOR_RGB2GRAY)
    face = find_face(grey)
    assert face.eyes_seen
    left, right = eyes_of(landmarks * shrink)
    distance = right[0] - left[0]
    assert np.hypot(*(face.left - left)) < 0.1 * distance
    assert np.hypot(*(face.right - right)) < 0.1 * distance


def of_video(pictures, numbers=range(9)):
    return find_video_face([find_face(each) for each in pictures], pictures, numbers, "v.avi")


def test_the_median_forgets_a_wrong_picture(still_face):
    picture, _ = still_face
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    blank = np.zeros_like(grey)
    moved = np.roll(grey, 60, axis=1)
    face = of_video([grey, blank, grey, moved, grey])
    assert face.left == pytest.approx(find_face(grey).left)


def test_pictures_without_seen_eyes_do_not_count_beside_others():
    sure = Face((0, 0, 9, 9), (2, 3), (6, 3), eyes_seen=True)
    assert median_face([sure, Face((0, 0, 9, 9), (4, 5), (8, 5), eyes_seen=True)]).left == (3, 4)


def test_no_face_names_the_frames():
    noise = np.random.default_rng(0).integers(0, 255, (240, 320), np.uint8)
    with pytest.raises(FaceNotFoundError, match=r"v\.avi: no face was found in the frames looked at \(0, 40\).*align"):
        of_video([noise, noise], [0, 40])


def test_an_opencv_without_cascades_is_reported_before_any_work(monkeypatch, tmp_path):
    import cv2

    from fedn_lightning.errors import ConfigError
    from fedn_lightning.video import faces

    faces.check_cascades("cascade")
    monkeypatch.setattr(faces, "_cascade", lambda name: cv2.CascadeClassifier())
    with pytest.raises(ConfigError, match="has no face cascades"):
        faces.check_cascades("cascade")
    faces.check_cascades("mesh")  # needs none


@pytest.mark.parametrize(
    ("quarters", "lies", "filters"),
    [(2, "stands upside down", "hflip,vflip"), (1, "lies on its left side", "transpose=1"),
     (3, "lies on its right side", "transpose=2")],
)  # fmt: skip
def test_a_video_that_must_be_turned_first_is_refused_with_the_way_to_do_it(quarters, lies, filters):
    grey = np.asarray(sample_face().mean(axis=2), np.uint8)
    turned = np.ascontiguousarray(np.rot90(grey, quarters))
    with pytest.raises(FaceNotFoundError, match=f"v.avi: the face {lies} in 3 of the 3 .* -vf {filters} OUT"):
        of_video([turned] * 3)


def test_a_few_turned_pictures_are_no_reason_to_refuse():
    grey = np.asarray(sample_face().mean(axis=2), np.uint8)
    turned = np.ascontiguousarray(np.rot90(grey, 2))
    assert of_video([grey, turned, grey]).box[2] > 100
