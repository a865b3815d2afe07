from __future__ import annotations

import itertools

import numpy as np

from fedn_synth.face.identity import Identity


def test_a_seed_is_a_person() -> None:
    assert Identity.sample(7) == Identity.sample(7)
    assert Identity.sample(np.random.SeedSequence([1, 2])) == Identity.sample(np.random.SeedSequence([1, 2]))


def test_no_two_seeds_share_a_skull_a_face_or_a_skin() -> None:
    people = [Identity.sample(seed) for seed in range(40)]
    for first, second in itertools.combinations(people, 2):
        for part in ("skull", "eyes", "brows", "nose", "mouth", "skin"):
            assert getattr(first, part) != getattr(second, part)


def test_people_are_of_all_kinds() -> None:
    people = [Identity.sample(seed) for seed in range(300)]
    assert {p.hair.style for p in people} == {"bald", "buzz", "short", "parted", "fringe", "long", "tied"}
    assert {p.hair.beard for p in people} == {"none", "stubble", "moustache", "goatee", "full"}
    assert {p.outfit.glasses for p in people} == {"none", "round", "square"}
    tones = np.array([p.skin.tone[0] for p in people])
    assert np.histogram(tones, [100, 140, 180, 210, 245])[0].min() > 20


def test_faces_are_as_high_as_specified() -> None:
    heights = [Identity.sample(seed).skull.height for seed in range(200)]
    assert min(heights) >= 250
    assert max(heights) <= 300
