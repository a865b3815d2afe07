"""The shape of one person's head: MakeHuman's macro and detail targets, drawn at random and put before the camera."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np

from fedn_synth.head3d.mesh import Float32Array, IntArray, Mesh, assets, load_mesh

RACES: Final = ("caucasian", "asian", "african")
DETAIL_FOLDERS: Final = {"head": 0.22, "forehead": 0.45, "eyes": 0.4, "nose": 0.45, "mouth": 0.4, "cheek": 0.5,
                         "chin": 0.45, "ears": 0.4, "eyebrows": 0.4, "asym": 0.5}  # fmt: skip
"""Folders of the detail targets, with the spread of their weights."""

SKIPPED: Final = ("head-age", "head-trans", "head-angle", "ear-shape-pointed", "ear-shape-triangle", "eye-trans",
                  "eye-push", "head-back", "asymm", "head-scale", "mouth-trans", "eye-scale", "head-square",
                  "nose-compression", "scale-depth", "bag-height", "forehead-scale")  # fmt: skip
"""Details that are left out: they move the whole head, or look like nobody."""

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


def eye_centre(vertices: Float32Array, members: IntArray) -> Float32Array:
    """Centre of an eyeball."""
    ball = vertices[members]
    return np.asarray((ball.min(axis=0) + ball.max(axis=0)) / 2, np.float32)


def centred(vertices: Float32Array, mesh: Mesh) -> tuple[Float32Array, float]:
    """The head with the middle of its eyes at the origin, and the distance of its pupils in dm."""
    left, right = (eye_centre(vertices, mesh.groups[f"helper-{side}-eye"]) for side in "lr")
    return np.asarray(vertices - (left + right) / 2, np.float32), float(left[0] - right[0])
