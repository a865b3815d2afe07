"""The shape of one person's head, and what the action units do to it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np

from fedn_synth.face.muscles import AU_CODES, AU_INDEX
from fedn_synth.head3d.mesh import Float32Array, Mesh, assets, load_mesh

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
