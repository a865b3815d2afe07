"""Two people are kept apart over a cut after which they have swapped seats."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from heads import needs_anny

from fedn_lightning import Detector
from fedn_lightning.errors import ConfigError
from fedn_lightning.inference.decoding import CropRequest, Scene
from fedn_lightning.inference.decoding_worker import find_scene
from fedn_lightning.inference.shots import GRADIENTS, Appearance, Seen, join, network_likeness
from fedn_lightning.video.alignment import Face
from fedn_lightning.video.crops import Clock
from fedn_lightning.video.store import CropSpec
from fedn_synth.face.identity import Identity
from fedn_synth.face.motion import FaceTracks
from fedn_synth.renderers import make_renderer
from lookalikes.movies import write_movie

SHOT = 40
"""Frames of a shot."""


def portraits(faces, seed):
    """Six pictures of a person who sways, `(240, 320, 3)`."""
    tracks = FaceTracks.neutral(6)
    tracks.pose[:, 0] = 4 * np.sin(np.arange(6))
    renderer = make_renderer(faces, Identity.sample(seed))
    return [cv2.resize(renderer.render(tracks, i, 0), (320, 240), interpolation=cv2.INTER_AREA) for i in range(6)]


@pytest.fixture(scope="module", params=["2d", pytest.param("3d", marks=needs_anny)])
def swapped(request, tmp_path_factory):
    """Anna and Berta; after a cut Berta and Anna; after another one Berta alone, where Anna sat."""
    path = tmp_path_factory.mktemp("swapped") / "talk.mp4"
    anna, berta = (portraits(request.param, seed) for seed in (5, 8))
    empty = np.full((240, 320, 3), 120, np.uint8)

    def frame(n):
        a, b = anna[n // 2 % 6], berta[n // 3 % 6]
        return np.concatenate([[a, b], [b, a], [empty, b]][n // SHOT], axis=1)

    write_movie(path, (frame(n) for n in range(3 * SHOT)))
    return path


def scene_of(path, align="video", embedding=None) -> Scene:
    return find_scene(
        CropRequest(str(path), CropSpec(64, 30.0, align), "all", embedding=embedding), Clock(), lambda n: None
    )[1]


def seats(transforms):
    """In which half of the picture the crop lies, frame by frame."""
    middle = [np.linalg.solve(t[:, :2], 32 - t[:, 2])[0] for t in np.broadcast_to(transforms, (3 * SHOT, 2, 3))]
    return (np.array(middle) > 320).astype(int).tolist()


@pytest.mark.parametrize("align", ["video", "track"])
def test_everybody_keeps_their_number(swapped, align):
    scene = scene_of(swapped, align)
    assert scene.chosen == (0, 1)
    assert seats(scene.transforms[0])[: 2 * SHOT] == [0] * SHOT + [1] * SHOT
    assert seats(scene.transforms[1]) == [1] * SHOT + [0] * SHOT + [1] * SHOT
    assert scene.absent == (((2 * SHOT, 3 * SHOT),), ())
    assert scene.passes == (3 if align == "track" else 2)


def test_a_network_may_compare_the_faces(swapped, tmp_path):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    nodes = [
        helper.make_node("AveragePool", ["face"], ["pooled"], kernel_shape=[14, 14], strides=[14, 14]),
        helper.make_node("Flatten", ["pooled"], ["feature"]),
    ]
    ends = [[helper.make_tensor_value_info(n, kind, s)] for n, s in (("face", [1, 3, 112, 112]), ("feature", [1, 192]))]
    graph = helper.make_graph(nodes, "toy", *ends)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.save(model, tmp_path / "face.onnx")
    scene = scene_of(swapped, embedding=str(tmp_path / "face.onnx"))
    assert seats(scene.transforms[0])[: 2 * SHOT] == [0] * SHOT + [1] * SHOT
    (tmp_path / "text.onnx").write_text("no network")
    with pytest.raises(ConfigError, match=r"text\.onnx cannot be read as an ONNX network"):
        network_likeness(str(tmp_path / "text.onnx"))


def test_the_detector_says_who_is_away(swapped, trained, tmp_path):
    found = Detector.from_checkpoint(trained.path).detect(swapped, "all")
    assert [face.number for face in found.faces] == [1, 2]
    away = [span for span in found.unreliable if span.reason == "not in the picture"]
    assert [(span.face, span.start, span.end) for span in away] == [(1, 80.0, 120.0)]
    assert not any(e.face == 1 and e.start >= 80 for e in found)


def seen(start, feature):
    """Somebody in one shot of ten frames."""
    face = Face((0, 0, 9, 9), (2, 3), (6, 3), True)
    return Appearance(start, start + 10, (Seen(start, face, np.array(feature, float)),))


def turned(angle):
    """A descriptor that correlates with the one of another angle by the cosine of their difference."""
    base, across = np.array([1.0, -1, 0, 0]), np.array([0.0, 0, 1, -1])
    return np.cos(np.radians(angle)) * base + np.sin(np.radians(angle)) * across


def test_what_is_unsure_is_said():
    shots = [
        [seen(0, turned(0)), seen(0, turned(90))],
        [seen(10, turned(82)), seen(10, turned(36)), seen(10, turned(-22))],
    ]
    people, notes = join(shots, GRADIENTS, lambda frame: frame / 10)
    assert [len(person.appearances) for person in people] == [2, 2, 1]
    assert notes == [
        "Unsure: person 3 after the cut at 1.0 s may be person 1, similarity 0.81.",
        "Unsure: person 1 after the cut at 1.0 s may be somebody else than person 1 before, similarity 0.93.",
    ]


def test_nobody_is_two_people_in_one_shot():
    people, _ = join([[seen(0, turned(0))], [seen(10, turned(1)), seen(10, turned(2))]], GRADIENTS, float)
    assert [len(person.appearances) for person in people] == [2, 1]
