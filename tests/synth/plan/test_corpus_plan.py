from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedn_lightning.errors import ConfigError
from fedn_synth.plan.corpus_plan import apportion, plan_corpus
from fedn_synth.plan.presets import PRESETS, TITLES, find_preset

VALENCES = {"happiness": "positive", "surprise": "surprise"} | dict.fromkeys(
    ("disgust", "anger", "fear", "sadness"), "negative"
)


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("seed", [0, 7])
def test_totals_are_the_presets_own(name: str, seed: int) -> None:
    preset = PRESETS[name]
    scenes = plan_corpus(preset, seed)
    types = Counter(planned.type for scene in scenes for planned in scene.expressions)

    assert len(scenes) == preset.n_videos
    assert (types["macro"], types["micro"]) == (preset.macros, preset.micros)
    assert {(scene.subject, scene.folder) for scene in scenes} == set(enumerate(preset.folders, start=1))
    assert len({(scene.folder, scene.code) for scene in scenes}) == preset.n_videos


def test_casme2_has_the_size_and_the_labels_of_the_release() -> None:
    scenes = plan_corpus(PRESETS["casme2"], 3)
    frames = [scene.n_frames for scene in scenes]
    expressions = [planned for scene in scenes for planned in scene.expressions]
    analysed = [planned for planned in expressions if planned.expert != "others"]

    assert (len(scenes), min(frames), max(frames)) == (97, 659, 4374)
    assert abs(sum(frames) - 252_000) < 200
    assert Counter(planned.expert for planned in expressions) == {
        "negative": 126,
        "positive": 124,
        "others": 82,
        "surprise": 25,
    }
    assert sum(VALENCES.get(planned.self_report) == planned.expert for planned in analysed) == 246
    assert not any(VALENCES.get(planned.self_report) == "others" for planned in expressions)
    assert sum(len(scene.overlaps) for scene in scenes) == 18


@pytest.mark.parametrize("name", PRESETS)
def test_only_unannotated_videos_have_no_expressions(name: str) -> None:
    preset = PRESETS[name]
    empty = {(scene.folder, scene.code) for scene in plan_corpus(preset, 1) if not scene.expressions}

    assert empty == set(preset.unannotated)


@pytest.mark.parametrize("name", PRESETS)
def test_one_stem_has_a_typo_and_one_lies_under_another_subject(name: str) -> None:
    scenes = plan_corpus(PRESETS[name], 2)
    typos = [scene for scene in scenes if scene.stem != f"{scene.folder}_{scene.code}{TITLES[scene.code]}"]
    strays = [scene for scene in scenes if scene.parent != f"s{scene.folder}"]

    assert [typo.stem for typo in typos] == [f"{typo.folder}_{typo.code}{TITLES[typo.code][1:]}" for typo in typos]
    assert len(typos) == 1
    assert typos[0].expressions
    assert [(stray.stem, stray.parent) for stray in strays] == [("23_0502funnyerrors", "s19")]


def test_standard_videos_are_alike() -> None:
    counts = [
        Counter(planned.type for planned in scene.expressions)
        for scene in plan_corpus(PRESETS["standard"], 0)
        if scene.expressions
    ]

    assert all(3 <= count["macro"] <= 10 and 1 <= count["micro"] <= 4 for count in counts)


def test_expressions_match_the_film_that_elicits_them() -> None:
    expressions = [
        (scene.material, planned.expert) for scene in plan_corpus(PRESETS["casme2"], 0) for planned in scene.expressions
    ]
    funny = Counter(expert for material, expert in expressions if material.startswith("happy"))
    nasty = Counter(expert for material, expert in expressions if not material.startswith("happy"))

    assert funny["positive"] > 2 * funny["negative"]
    assert nasty["negative"] > 2 * nasty["positive"]


def test_another_seed_casts_another_corpus() -> None:
    assert plan_corpus(PRESETS["tiny"], 0) == plan_corpus(PRESETS["tiny"], 0)
    assert plan_corpus(PRESETS["tiny"], 0) != plan_corpus(PRESETS["tiny"], 1)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.floats(0.01, 100), st.integers(0, 20)), min_size=1, max_size=12),
    st.floats(0, 1),
)
def test_apportion_shares_everything_within_the_caps(shares: list[tuple[float, int]], filling: float) -> None:
    weights, caps = [share[0] for share in shares], [share[1] for share in shares]
    total = round(filling * sum(caps))

    given_out = apportion(total, weights, caps)

    assert sum(given_out) == total
    assert all(0 <= got <= cap for got, cap in zip(given_out, caps, strict=True))


@settings(deadline=None)
@given(st.integers(0, 500), st.lists(st.floats(0.01, 100), min_size=1, max_size=12))
def test_apportion_is_within_one_of_the_exact_share(total: int, weights: list[float]) -> None:
    for got, weight in zip(apportion(total, weights), weights, strict=True):
        assert abs(got - total * weight / sum(weights)) < 1 + 1e-6


def test_an_unknown_preset_is_named() -> None:
    with pytest.raises(ConfigError, match=r"no preset 'huge'; choose one of tiny, standard, casme2"):
        find_preset("huge")
