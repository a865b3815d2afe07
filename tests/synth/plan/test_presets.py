from itertools import product

from fedn_synth.plan import presets as seeds
from fedn_synth.plan.presets import PRESETS, Draw


def test_no_person_of_the_stills_can_occur_in_a_corpus() -> None:
    corpus = {
        seeds.identity_seed(seeds.CORPUS, s, p.key, i)
        for s, p in product(range(3), PRESETS.values())
        for i in range(1, 23)
    }
    stills = {seeds.identity_seed(seeds.STILLS, s, i) for s, i in product(range(3), range(600))}

    assert {seed >> 56 for seed in corpus} == {seeds.CORPUS}
    assert {seed >> 56 for seed in stills} == {seeds.STILLS}
    assert len(corpus) == 3 * len(PRESETS) * 22
    assert len(stills) == 3 * 600


def test_streams_of_different_addresses_differ_and_of_one_address_agree() -> None:
    first = seeds.stream(seeds.CORPUS, 0, Draw.EXPRESSIONS, 1, 2).random(4)

    assert (first == seeds.stream(seeds.CORPUS, 0, Draw.EXPRESSIONS, 1, 2).random(4)).all()
    for other in (
        seeds.stream(seeds.STILLS, 0, Draw.EXPRESSIONS, 1, 2),
        seeds.stream(seeds.CORPUS, 1, Draw.EXPRESSIONS, 1, 2),
        seeds.stream(seeds.CORPUS, 0, Draw.NOISE, 1, 2),
        seeds.stream(seeds.CORPUS, 0, Draw.EXPRESSIONS, 2, 1),
        seeds.stream(seeds.CORPUS, 0, Draw.EXPRESSIONS, 1),
    ):
        assert (first != other.random(4)).all()
