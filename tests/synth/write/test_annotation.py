from collections import Counter
from itertools import pairwise

import pytest

from fedn_synth.plan.corpus_plan import plan_corpus
from fedn_synth.plan.presets import PRESETS
from fedn_synth.plan.video_plan import plan_expressions
from fedn_synth.write.workbook import AnnotationRow, annotate


def rows_of(name: str, seed: int = 0) -> tuple[AnnotationRow, ...]:
    preset = PRESETS[name]
    scenes = plan_corpus(preset, seed)
    return annotate(scenes, {scene.index: plan_expressions(scene, preset, seed) for scene in scenes}, preset, seed)


def quirks(rows: tuple[AnnotationRow, ...]) -> Counter[str]:
    found: Counter[str] = Counter()
    for row in rows:
        found["offset 0"] += row.offset == 0
        found["apex 0"] += row.apex == 0
        found["late apex"] += 0 < row.offset < row.apex
        found["happyiness"] += row.self_report == "happyiness"
        found["stray case"] += row.expert != row.expert.lower()
        found["stray space"] += row.expert != row.expert.strip()
    found["overlap"] = sum(
        second.material.split("_")[0] == first.material.split("_")[0]
        and (second.subject, second.onset > first.onset) == (first.subject, True)
        and second.onset <= first.offset
        for first, second in pairwise(rows)
    )
    return found


def test_casme2_has_the_oddities_of_the_release_in_their_number() -> None:
    assert quirks(rows_of("casme2")) == {
        "offset 0": 44,
        "apex 0": 1,
        "late apex": 3,
        "happyiness": 1,
        "stray case": 4,
        "stray space": 4,
        "overlap": 18,
    }


@pytest.mark.parametrize("seed", range(4))
def test_tiny_has_every_oddity(seed: int) -> None:
    found = quirks(rows_of("tiny", seed))

    assert found["offset 0"] == 2
    assert all(
        found[name] == 1 for name in ("apex 0", "late apex", "happyiness", "stray case", "stray space", "overlap")
    )


def test_zero_offsets_strike_macro_expressions_only() -> None:
    assert {row.type for row in rows_of("standard") if row.offset == 0} == {"macro-expression"}


def test_faithful_rows_count_from_one_and_include_the_offset() -> None:
    preset = PRESETS["tiny"]
    scenes = plan_corpus(preset, 0)
    expressions = {scene.index: plan_expressions(scene, preset, 0) for scene in scenes}
    rows = annotate(scenes, expressions, preset, 0)
    truths = [expression for scene in scenes for expression in expressions[scene.index]]

    for row, expression in zip(rows, truths, strict=True):
        assert row.onset == expression.start + 1
        assert row.offset in (expression.end, 0)
        assert str(row.action_units) == expression.action_units
    assert any(isinstance(row.action_units, int) for row in rows)
    assert any(isinstance(row.action_units, str) for row in rows)
    assert {row.subject for row in rows} == {1, 2, 3, 4}
