"""Who a generated face is: skull, eyes, brows, nose, mouth, skin, hair and what the person wears.

Lengths are pixels of a 640x480 picture, in which a face measures 250 to 300 px from chin to hairline; the coordinates
are `x` to the right from the middle of the picture and `y` down from its top. Colours are sRGB, 0 to 255.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any, Final, Literal, Self

import numpy as np

Colour = tuple[float, float, float]
HairStyle = Literal["bald", "buzz", "short", "parted", "fringe", "long", "tied"]
BeardStyle = Literal["none", "stubble", "moustache", "goatee", "full"]
GlassesStyle = Literal["none", "round", "square"]

SKIN_TONES: Final[tuple[Colour, ...]] = (
    (240, 206, 188),
    (231, 194, 170),
    (222, 180, 150),
    (205, 160, 126),
    (186, 140, 106),
    (162, 117, 87),
    (135, 94, 69),
    (108, 74, 56),
)
"""From light to dark; an identity's tone lies between two of them."""

DARK_SKIN: Final = 200
"""Skin whose red lies below this goes with dark hair and eyes."""

HAIR_TONES: Final[tuple[Colour, ...]] = (
    (26, 22, 20),
    (44, 32, 26),
    (70, 48, 34),
    (104, 72, 46),
    (150, 112, 70),
    (186, 154, 108),
    (128, 62, 34),
    (150, 146, 142),
)
"""Black, dark brown, brown, light brown, dark blond, blond, red, grey."""

IRIS_TONES: Final[tuple[Colour, ...]] = ((58, 36, 24), (86, 54, 30), (104, 84, 46), (94, 102, 76), (96, 118, 138))
"""Dark brown, brown, hazel, green, blue."""


def _mix(first: Colour, second: Colour, share: float) -> Colour:
    """The colour that lies `share` of the way from `first` to `second`."""
    red, green, blue = (a + (b - a) * share for a, b in zip(first, second, strict=True))
    return red, green, blue


def _jitter(rng: np.random.Generator, colour: Colour, spread: float) -> Colour:
    """The colour made brighter or darker by up to `spread`, and a little more or less so in each channel."""
    common = rng.uniform(-spread, spread)
    red, green, blue = (float(max(c + common + rng.uniform(-spread, spread) / 3, 4)) for c in colour)
    return red, green, blue


def _dye(rng: np.random.Generator, grey: float) -> Colour:
    """A colour of cloth about as bright as `grey`."""
    red, green, blue = (float(max(grey * (1 + rng.uniform(-0.32, 0.32)), 8)) for _ in range(3))
    return red, green, blue


def _between(low: float, high: float) -> Any:
    """A field that :meth:`Feature.draw` draws from this range."""
    return field(metadata={"range": (low, high)})


class Feature:
    """A part of a face."""

    @classmethod
    def draw(cls, rng: np.random.Generator, first: str = "") -> Self:
        """Draws each field from its range: one of them first if it is named, then the others in their order."""
        ranges = {f.name: f.metadata["range"] for f in fields(cls)}  # type: ignore[arg-type] # subclasses are dataclasses
        return cls(**{name: rng.uniform(*ranges[name]) for name in sorted(ranges, key=lambda name: name != first)})


@dataclass(frozen=True)
class Skull(Feature):
    """The face's outline: height chin to hairline, half widths at temple, cheekbone, jaw and chin, as shares of it."""

    chin_y: float = _between(386, 398)
    height: float = _between(254, 288)
    temple: float = _between(0.93, 0.99)  # this, jaw and chin are drawn as shares of the cheeks
    cheek: float = _between(0.345, 0.395)
    jaw: float = _between(0.72, 0.86)
    chin: float = _between(0.36, 0.52)
    lean: float = _between(-3, 3)  # px by which the jaw is wider on the right of the picture than on its left
    brow_ridge: float = _between(1.5, 5.5)  # px of relief
    cheekbone: float = _between(3, 8)  # px of relief

    @classmethod
    def sample(cls, rng: np.random.Generator) -> Self:
        """Draws a skull."""
        found = cls.draw(rng, "cheek")
        width = found.cheek
        return replace(found, temple=width * found.temple, jaw=width * found.jaw, chin=width * found.chin)


@dataclass(frozen=True)
class Eyes:
    """Eyes: half the distance of their centres, width, opening above and below the line where the lids meet."""

    level: float  # height over the chin as a share of the face's height
    half_distance: float
    width: float
    upper: float
    lower: float
    tilt: float  # px by which the outer corner lies higher
    crease: float  # depth of the fold of the upper lid, 0 to 1
    bags: float  # darkness under the eye, 0 to 1
    iris: Colour
    iris_radius: float

    @classmethod
    def sample(cls, rng: np.random.Generator, skin_tone: Colour) -> Self:
        """Draws eyes; dark skin goes with dark eyes."""
        width = rng.uniform(38, 45)
        shares = (0.6, 0.3, 0.1, 0.0, 0.0) if skin_tone[0] < DARK_SKIN else (0.2, 0.24, 0.18, 0.14, 0.24)
        iris = IRIS_TONES[rng.choice(len(IRIS_TONES), p=shares)]
        return cls(
            level=rng.uniform(0.56, 0.585),
            half_distance=rng.uniform(41, 46.5),
            width=width,
            upper=width * rng.uniform(0.20, 0.265),
            lower=width * rng.uniform(0.085, 0.115),
            tilt=rng.uniform(-1.0, 3.5),
            crease=rng.uniform(0.25, 1.0),
            bags=rng.uniform(0.0, 1.0),
            iris=_jitter(rng, iris, 10),
            iris_radius=width * rng.uniform(0.195, 0.215),
        )


@dataclass(frozen=True)
class Brows(Feature):
    """Eyebrows: height over the eye, length, thickness, arch (px), slope (px, outer end higher), density 0 to 1."""

    height: float = _between(24, 31)
    length: float = _between(48, 60)
    thickness: float = _between(5.5, 11)
    arch: float = _between(1.5, 6.5)
    slope: float = _between(-3, 4)
    density: float = _between(0.55, 1.0)
    uneven: float = _between(-1.8, 1.8)  # px by which the brow on the right of the picture lies higher


@dataclass(frozen=True)
class Nose(Feature):
    """Nose: level of its base over the chin (share of the height), width over the wings, bridge and tip (px)."""

    level: float = _between(0.325, 0.36)
    width: float = _between(42, 57)
    bridge_width: float = _between(6.5, 10)
    bridge_height: float = _between(9, 17)
    tip: float = _between(6, 12)
    bend: float = _between(-1.5, 1.5)  # px by which the tip lies off the middle


@dataclass(frozen=True)
class Mouth(Feature):
    """Mouth: level over the chin (share of the height), width, thickness of the lips (px), tilt of the corners (px)."""

    level: float = _between(0.205, 0.23)
    width: float = _between(62, 76)
    upper: float = _between(5.5, 10.5)
    lower: float = _between(1.1, 1.5)  # drawn as a multiple of the upper lip
    bow: float = _between(0.2, 1.0)  # depth of the cupid's bow, 0 to 1
    corners: float = _between(-1.0, 1.8)  # px by which the corners lie below the middle of the closed mouth
    redness: float = _between(0.35, 1.0)

    @classmethod
    def sample(cls, rng: np.random.Generator) -> Self:
        """Draws a mouth."""
        found = cls.draw(rng, "upper")
        return replace(found, lower=found.upper * found.lower)


@dataclass(frozen=True)
class Skin:
    """Skin: tone, redness, blotches, pores, freckles, shine and depth of wrinkles (0 smooth to 1 and above)."""

    tone: Colour
    redness: float
    blotches: float
    pores: float
    freckles: float
    shine: float
    wrinkles: float

    @classmethod
    def sample(cls, rng: np.random.Generator) -> Self:
        """Draws a skin."""
        place = rng.uniform(0, len(SKIN_TONES) - 1)
        tone = _mix(SKIN_TONES[int(place)], SKIN_TONES[int(place) + 1], place % 1)
        fair = 1 - place / (len(SKIN_TONES) - 1)
        return cls(
            tone=_jitter(rng, tone, 5),
            redness=rng.uniform(0.2, 1.0) * (0.4 + 0.6 * fair),
            blotches=rng.uniform(0.3, 1.0),
            pores=rng.uniform(0.4, 1.0),
            freckles=rng.uniform(0.3, 1.0) if rng.random() < 0.2 * fair else 0.0,
            shine=rng.uniform(0.15, 0.8),
            wrinkles=rng.uniform(0.55, 1.3),
        )


@dataclass(frozen=True)
class Hair:
    """Hair of the head and the face: style, colour, volume (px), rise of the hairline, parting (px), curl, beard."""

    style: HairStyle
    tone: Colour
    volume: float
    recession: float  # px by which the hairline runs higher beside its middle
    parting: float
    curl: float
    beard: BeardStyle

    @classmethod
    def sample(cls, rng: np.random.Generator, skin_tone: Colour) -> Self:
        """Draws hair; dark skin goes with dark hair."""
        dark = skin_tone[0] < DARK_SKIN
        shares = (0.5, 0.3, 0.14, 0.02, 0.0, 0.0, 0.0, 0.04) if dark else (0.2, 0.2, 0.2, 0.12, 0.09, 0.07, 0.05, 0.07)
        styles: tuple[HairStyle, ...] = ("bald", "buzz", "short", "parted", "fringe", "long", "tied")
        beards: tuple[BeardStyle, ...] = ("none", "stubble", "moustache", "goatee", "full")
        style = styles[rng.choice(len(styles), p=(0.04, 0.1, 0.24, 0.16, 0.12, 0.22, 0.12))]
        beard = beards[rng.choice(len(beards), p=(0.5, 0.25, 0.06, 0.08, 0.11))]
        return cls(
            style=style,
            tone=_jitter(rng, HAIR_TONES[rng.choice(len(HAIR_TONES), p=shares)], 7),
            volume=rng.uniform(12, 30),
            recession=rng.uniform(0, 24),
            parting=rng.uniform(-45, 45),
            curl=rng.uniform(0, 1),
            beard=beard if style in ("bald", "buzz", "short", "parted") else "none",
        )


@dataclass(frozen=True)
class Outfit:
    """What is not the face: glasses, clothes, the wall behind, the camera's noise and where the main light stands."""

    glasses: GlassesStyle
    glasses_tone: Colour
    clothes: Colour
    neckline: Literal["crew", "v", "collar"]
    wall: Colour
    light_side: float  # -1 from the left of the picture to 1 from its right
    noise: float  # standard deviation in grey levels

    @classmethod
    def sample(cls, rng: np.random.Generator) -> Self:
        """Draws an outfit."""
        frames: tuple[GlassesStyle, ...] = ("none", "round", "square")
        necklines: tuple[Literal["crew", "v", "collar"], ...] = ("crew", "v", "collar")
        dark, light = rng.uniform(25, 70), rng.uniform(90, 190)
        grey = rng.uniform(125, 205)
        return cls(
            glasses=frames[rng.choice(3, p=(0.76, 0.12, 0.12))],
            glasses_tone=_jitter(rng, (48, 42, 40), 30),
            clothes=_dye(rng, dark if rng.random() < 0.6 else light),
            neckline=necklines[rng.choice(3)],
            wall=_jitter(rng, (grey, grey, grey), 10),
            light_side=rng.uniform(-0.7, 0.7),
            noise=rng.uniform(1.2, 2.6),
        )


@dataclass(frozen=True)
class Identity:
    """A generated person; the same seed gives the same person in every process."""

    skull: Skull
    eyes: Eyes
    brows: Brows
    nose: Nose
    mouth: Mouth
    skin: Skin
    hair: Hair
    outfit: Outfit
    texture_seed: int

    @classmethod
    def sample(cls, seed: int | np.random.SeedSequence) -> Self:
        """Draws a person.

        >>> Identity.sample(3) == Identity.sample(3)
        True
        """
        rng = np.random.default_rng(seed)
        skin = Skin.sample(rng)
        return cls(
            skull=Skull.sample(rng),
            eyes=Eyes.sample(rng, skin.tone),
            brows=Brows.draw(rng),
            nose=Nose.draw(rng),
            mouth=Mouth.sample(rng),
            skin=skin,
            hair=Hair.sample(rng, skin.tone),
            outfit=Outfit.sample(rng),
            texture_seed=int(rng.integers(2**31)),
        )
