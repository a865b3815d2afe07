"""What every head shares: the sheet on which skin is painted, the triangles, rims and landmarks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from fedn_synth.face.anatomy import LANDMARKS
from fedn_synth.head3d.mesh import RACES, Float32Array, IntArray, Mesh, assets, centred, edge_loop, load_mesh
from fedn_synth.head3d.raster import rasterise, sampled

WIDTH: Final = 1024
HEIGHT: Final = 688
SCALE: Final = 190.0
"""Pixels of the sheet per decimetre: a picture shows 148."""
AXIS: Final = -0.95
"""Depth (dm) of the axis of the cylinder behind the eyes."""
RADIUS: Final = 1.18
"""Radius (dm) at which an arc is as long on the sheet as on the head."""
TOP: Final = 1.6
"""Height (dm) of the sheet's upper edge over the eyes."""


@dataclass(frozen=True)
class Atlas:
    """What lies where on the sheet; maps are `(HEIGHT, WIDTH)` float32."""

    place: Float32Array  # `(V, 2)` px of every vertex
    reference: Float32Array  # `(V, 3)` dm, the reference head
    x: Float32Array  # dm to the person's left
    y: Float32Array  # dm over the eyes
    z: Float32Array  # dm before the eyes
    lips: Float32Array  # 0 to 1, the red of the lips
    lids: Float32Array  # 0 to 1, the skin of the lids
    ears: Float32Array  # 0 to 1
    covered: Float32Array  # 1 where the sheet holds skin


@lru_cache(maxsize=1)
def load_atlas() -> Atlas:
    """Makes the sheet once a process."""
    mesh = load_mesh()
    reference, _ = centred(_mean_head(mesh), mesh)
    angle = np.arctan2(reference[:, 0], reference[:, 2] - AXIS)
    place = np.stack([WIDTH / 2 + angle * RADIUS * SCALE, (TOP - reference[:, 1]) * SCALE], axis=1)
    radius = np.hypot(reference[:, 0], reference[:, 2] - AXIS)
    place = place.astype(np.float32)
    around = np.ptp(angle[mesh.triangles], axis=1) > np.pi  # triangles across the seam at the back
    seen = rasterise(place, radius, mesh.triangles[~around][:, [0, 2, 1]], HEIGHT, WIDTH)
    flat = np.zeros((HEIGHT * WIDTH, 5), np.float32)
    values = np.concatenate([reference, mesh.uv], axis=1)
    flat[seen.cells] = seen.interpolate(mesh.triangles[~around][:, [0, 2, 1]], values)
    covered = np.zeros((HEIGHT, WIDTH), np.float32)
    covered.ravel()[seen.cells] = 1
    maps = _spread(flat.reshape(HEIGHT, WIDTH, 5), covered)
    x, y, z, u, v = (np.ascontiguousarray(maps[..., i]) for i in range(5))
    masks = {name: _mask(name, u, v) for name in ("lips", "eyelids", "ears")}
    return Atlas(place, reference, x, y, z, masks["lips"], masks["eyelids"], masks["ears"], covered)


def _mean_head(mesh: Mesh) -> Float32Array:
    total = mesh.vertices.copy()
    for sex in ("female", "male"):
        for race in RACES:
            total += mesh.target(f"macrodetails/{race}-{sex}-young") / np.float32(2 * len(RACES))
        total += mesh.target(f"macrodetails/universal-{sex}-young-averagemuscle-averageweight") / np.float32(2)
    return total


def _mask(name: str, u: Float32Array, v: Float32Array) -> Float32Array:
    """One of the release's masks of skin regions, brought to the sheet."""
    path = assets() / "mpfb2" / "textures" / f"mpfb_{name}.jpg"
    picture = np.asarray(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), np.float32)
    height, width = picture.shape
    seen = sampled(picture, np.stack([u * width - 0.5, (1 - v) * height - 0.5], axis=2).astype(np.float32))
    return np.asarray(cv2.GaussianBlur(seen / 255, (0, 0), 1.2), np.float32)


def _spread(maps: Float32Array, covered: Float32Array) -> Float32Array:
    """Fills what is not covered with the mean of what lies around it."""
    filled = maps * covered[..., None]
    for sigma in (2.0, 8.0, 40.0):
        weight = cv2.GaussianBlur(covered, (0, 0), sigma)[..., None]
        around = cv2.GaussianBlur(maps * covered[..., None], (0, 0), sigma) / np.maximum(weight, 1e-6)
        filled = np.where((covered[..., None] > 0) | (np.abs(filled).sum(axis=2, keepdims=True) > 0), filled, around)
    return np.asarray(filled, np.float32)


def blob(atlas: Atlas, x: float, y: float, wide: float, high: float) -> Float32Array:
    """A soft spot on both sides of the face, 0 to 1: its middle and half axes in dm."""
    value = np.exp(-0.5 * (((np.abs(atlas.x) - x) / wide) ** 2 + ((atlas.y - y) / high) ** 2))
    return np.asarray(value * (atlas.z > -1.0), np.float32)


def noise(rng: np.random.Generator, sigma: float) -> Float32Array:
    """Noise of unit spread over the sheet, blurred by `sigma` px."""
    step = max(1, int(sigma / 2))
    small = rng.standard_normal((HEIGHT // step + 2, WIDTH // step + 2), np.float32)
    soft = cv2.GaussianBlur(small, (0, 0), sigma / step)
    big = cv2.resize(soft, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC) if step > 1 else soft[:HEIGHT, :WIDTH]
    return np.asarray(big / big.std(), np.float32)


def ramp(value: Float32Array, low: float, high: float) -> Float32Array:
    """0 below `low`, 1 above `high`, smooth between; the other way round if `low` is the greater."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def to_sheet(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Where points of the reference face lie on the sheet, `(N, 2)` px, from their x and y in dm."""
    atlas = load_atlas()
    rows = np.clip((TOP - np.asarray(y)) * SCALE, 0, HEIGHT - 1).astype(int)
    columns = np.arange(WIDTH // 2 - 260, WIDTH // 2 + 261)
    at = [np.interp(value, atlas.x[row, columns], columns) for value, row in zip(np.asarray(x), rows, strict=True)]
    return np.stack([np.array(at), (TOP - np.asarray(y)) * SCALE], axis=1)


LOWEST: Final = -2.15
"""Height (dm over the eyes) below which the body lies outside every picture."""

NECK: Final = (-1.75, -1.15)
"""Heights (dm over the eyes) between which the turn of the head fades out."""

SHOULDER: Final = (1.05, 0.75)
"""Distances (dm) from the middle between which it fades out on the way to the shoulders."""

LEFT_RIM: Final = (7747, 7748)
"""An edge of the rim of the person's left eye, where the lid meets the eyeball."""
LEFT_LASHES: Final = (6786, 6787)
"""An edge of the front border of that lid."""
LIP_RIM: Final = (5360, 515)
"""An edge of the line on which the lips meet."""


@dataclass(frozen=True)
class Topology:
    """Arrays shared by all heads; vertices are numbers in :attr:`.mesh.Mesh.vertices`."""

    triangles: IntArray  # `(T, 3)` of the head, clockwise on the picture
    chest: IntArray  # `(C, 3)` triangles that never move
    neighbours: IntArray  # `(E, 2)` pairs of triangles that share an edge
    # `(V, T)` sparse, sums the normals of the triangles (head, then chest) around a vertex and smooths them a little
    normals: sparse.csr_matrix
    rims: tuple[IntArray, IntArray]  # rim of the person's left and right eye, from the inner corner over the upper lid
    lashes: tuple[IntArray, IntArray]  # borders of the lids, likewise
    # the line on which the lips meet, from the person's right corner to the left along the upper lip
    upper_lip: IntArray
    lower_lip: IntArray  # the same back along the lower lip
    # `(V, 1)` 1 for the head to 0 for the chest: how much of the head's turn a vertex takes part in
    turning: Float32Array
    landmarks: IntArray  # a vertex for every name of :data:`~.anatomy.LANDMARKS` but the eyes' centres, which are -1


@lru_cache(maxsize=1)
def load_topology() -> Topology:
    """Works it out once a process."""
    mesh, reference = load_mesh(), load_atlas().reference
    rims = tuple(_both_sides(mesh, reference, LEFT_RIM))
    lashes = tuple(_both_sides(mesh, reference, LEFT_LASHES))
    upper, lower = _lips(mesh, reference)
    triangles = _drawn(mesh, reference, np.concatenate([*rims, upper, lower]))
    turning = ramp(reference[:, 1:2], *NECK) * ramp(np.abs(reference[:, :1]), *SHOULDER)
    turning = np.where(reference[:, 1:2] > NECK[1], 1, turning).astype(np.float32)
    moves = (turning[triangles, 0] > 0).any(axis=1)
    chest, triangles = triangles[~moves], triangles[moves]
    return Topology(
        triangles=triangles,
        chest=chest,
        neighbours=_neighbours(triangles),
        normals=_normal_matrix(np.concatenate([triangles, chest]), len(reference)),
        rims=(rims[0], rims[1]),
        lashes=(lashes[0], lashes[1]),
        upper_lip=upper,
        lower_lip=lower,
        turning=turning,
        landmarks=_landmarks(reference, mesh, (rims[0], rims[1]), upper, lower),
    )


def mirrored(mesh: Mesh, vertices: IntArray) -> IntArray:
    """The vertices at the same places on the other side of the base mesh."""
    skin = np.unique(mesh.triangles)
    _, at = cKDTree(mesh.vertices[skin]).query(mesh.vertices[vertices] * np.array([-1, 1, 1], np.float32))
    return np.asarray(skin[at], np.int64)


def _both_sides(mesh: Mesh, reference: Float32Array, edge: tuple[int, int]) -> tuple[IntArray, IntArray]:
    left = _ordered(edge_loop(mesh, *edge), reference, side=1)
    return left, mirrored(mesh, left)


def _ordered(loop: IntArray, reference: Float32Array, side: int) -> IntArray:
    """The loop from its vertex of minimum `side * x`, going over its upper half first."""
    loop = np.roll(loop, -int(np.argmin(side * reference[loop, 0])))
    quarter = len(loop) // 4
    if reference[loop[quarter], 1] < reference[loop[-quarter], 1]:
        loop = np.roll(loop[::-1], 1)
    return loop


def _lips(mesh: Mesh, reference: Float32Array) -> tuple[IntArray, IntArray]:
    """The two halves of the rim of the mouth; the lower one is what the jaw takes along."""
    loop = edge_loop(mesh, *LIP_RIM)
    loop = np.roll(loop, -int(np.argmin(reference[loop, 0])))
    corner = int(np.argmax(reference[loop, 0]))
    first, second = loop[:corner], loop[corner:]
    sinks = mesh.target("jawOpen")[:, 1]
    if sinks[first].mean() < sinks[second].mean():
        loop = np.roll(loop[::-1], 1)
        corner = len(loop) - corner
        first, second = loop[:corner], loop[corner:]
    return first, second


def _drawn(mesh: Mesh, reference: Float32Array, rims: IntArray) -> IntArray:
    """The triangles outside the sockets of the eyes and the inside of the mouth, turned clockwise."""
    edges = np.concatenate([mesh.triangles[:, [a, b]] for a, b in ((0, 1), (1, 2), (2, 0))])
    edges = edges[~np.isin(edges, rims).any(axis=1)]
    size = len(reference)
    graph = sparse.coo_matrix((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(size, size))
    _, part = connected_components(graph, directed=False)
    outside = np.bincount(part).argmax()
    hidden = (part != outside) & ~np.isin(np.arange(size), rims)
    triangles = mesh.triangles[~hidden[mesh.triangles].any(axis=1)]
    low = (reference[triangles, 1] < LOWEST).all(axis=1)
    return np.asarray(triangles[~low][:, [0, 2, 1]], np.int64)


def _neighbours(triangles: IntArray) -> IntArray:
    edges = np.sort(np.concatenate([triangles[:, [a, b]] for a, b in ((0, 1), (1, 2), (2, 0))]), axis=1)
    owner = np.tile(np.arange(len(triangles)), 3)
    order = np.lexsort((edges[:, 1], edges[:, 0]))
    edges, owner = edges[order], owner[order]
    same = np.flatnonzero((edges[1:] == edges[:-1]).all(axis=1))
    return np.stack([owner[same], owner[same + 1]], axis=1)


def _normal_matrix(triangles: IntArray, size: int) -> sparse.csr_matrix:
    owner = np.repeat(np.arange(len(triangles)), 3)
    gather = sparse.csr_matrix((np.ones(len(owner), np.float32), (triangles.ravel(), owner)), (size, len(triangles)))
    edges = np.concatenate([triangles[:, [a, b]] for a, b in ((0, 1), (1, 2), (2, 0))])
    links = sparse.csr_matrix((np.ones(len(edges), np.float32), (edges[:, 0], edges[:, 1])), (size, size))
    links = links + links.T
    degree = np.asarray(links.sum(axis=1)).ravel()
    mean = sparse.diags((1 / np.maximum(degree, 1)).astype(np.float32)) @ links
    smooth = 0.5 * sparse.identity(size, dtype=np.float32) + 0.5 * mean
    return sparse.csr_matrix(smooth @ gather, dtype=np.float32)


def _landmarks(
    reference: Float32Array, mesh: Mesh, rims: tuple[IntArray, IntArray], upper: IntArray, lower: IntArray
) -> IntArray:
    """A vertex for every landmark."""
    found: dict[str, int] = {}
    release = {"brow_outer": 6982, "brow_middle": 6996, "cheek": 11765}
    skin = np.unique(mesh.triangles)
    wing = skin[np.argmin(np.linalg.norm(reference[skin] - np.array([0.17, -0.4, 0.22]), axis=1))]
    local = {name: int(mesh.index[number]) for name, number in release.items()} | {"nose_wing": int(wing)}
    left = np.array(list(local.values()), np.int64)
    for name, ours, theirs in zip(local, left, mirrored(mesh, left), strict=True):
        found[f"{name}_left"], found[f"{name}_right"] = int(ours), int(theirs)
    inner = int(mesh.index[208])
    found["brow_inner_right"], found["brow_inner_left"] = inner, int(mirrored(mesh, np.array([inner]))[0])
    for side, rim in zip(("left", "right"), rims, strict=True):
        half = len(rim) // 2
        found[f"eye_inner_{side}"], found[f"eye_outer_{side}"] = int(rim[0]), int(rim[half])
        found[f"upper_lid_{side}"], found[f"lower_lid_{side}"] = int(rim[half // 2]), int(rim[-(half // 2)])
        found[f"eye_centre_{side}"] = -1
    found["mouth_corner_right"], found["mouth_corner_left"] = int(upper[0]), int(lower[0])
    found["upper_lip_edge"], found["lower_lip_edge"] = (
        int(lip[np.argmin(np.abs(reference[lip, 0]))]) for lip in (upper, lower)
    )
    points = {"nose_tip": 5054, "upper_lip": 362, "lower_lip": 492, "chin": 5225}
    found |= {name: int(mesh.index[number]) for name, number in points.items()}
    return np.array([found[name] for name in LANDMARKS], np.int64)
