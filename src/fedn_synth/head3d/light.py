"""The light on a head: a main light from one side, a weaker one from the other, and what comes from all around."""

from __future__ import annotations

import numpy as np

from fedn_synth.face.identity import Identity
from fedn_synth.head3d.mesh import Float32Array


class Light:
    """A main light, a weaker one from the other side, and what comes from all around."""

    def __init__(self, direction: Float32Array, fill: Float32Array, key: float, ambient: float, gloss: float) -> None:
        self._key, self._fill = direction, fill
        self._strength, self._ambient, self._gloss = key, ambient, gloss
        half = direction + np.array([0, 0, 1], np.float32)
        self._half = half / np.linalg.norm(half)

    def shine(self, normals: Float32Array, open_share: Float32Array) -> Float32Array:
        """`(V, 4)` light and gloss for normals `(V, 3)` and the share `(V, 1)` of light that reaches each."""
        # Light spreads in skin, the red most: the shadow's edge is soft and warm.
        wrap = np.array([0.34, 0.22, 0.18], np.float32)
        towards = (normals @ self._key)[:, None]
        key = np.clip((towards + wrap) / (1 + wrap), 0, None) * np.array([1.02, 1.0, 0.97], np.float32)
        fill = np.clip((normals @ self._fill)[:, None], 0, None) * 0.22
        sky = self._ambient * (0.8 + 0.2 * normals[:, 1:2])
        light = (key * self._strength + (fill + sky) * open_share) * (0.4 + 0.6 * open_share)
        shine = np.clip(normals @ self._half, 0, 1)[:, None] ** 18
        return np.concatenate([light, self._gloss * shine * open_share], axis=1).astype(np.float32)


def light_of(identity: Identity) -> Light:
    """The light of the room in which a person is filmed."""
    rng = np.random.default_rng([identity.texture_seed, 4])
    direction = np.array([identity.outfit.light_side * 1.25, rng.uniform(0.35, 0.9), 0.85], np.float32)
    direction /= np.linalg.norm(direction)
    fill = np.array([-np.sign(identity.outfit.light_side) * 0.8, 0.1, 0.5], np.float32)
    key = float(rng.uniform(0.55, 0.85))
    return Light(direction, fill / np.linalg.norm(fill), key, 1.02 - key * 0.82, float(rng.uniform(0.25, 0.5)))
