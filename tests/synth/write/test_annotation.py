import time
from collections import Counter
from itertools import pairwise
from pathlib import Path

import openpyxl
import pytest
from error_runs import write_generated_truth

from fedn_lightning.datasets.generated_truth import EXPRESSIONS_FILE, FOLDER, read_distractors, read_expressions
from fedn_lightning.errors import AnnotationError
from fedn_synth.plan.corpus_plan import plan_corpus
from fedn_synth.plan.presets import PRESETS
from fedn_synth.plan.video_plan import plan_expressions
from fedn_synth.write.annotation import WORKBOOK_NAME, AnnotationRow, annotate, write_workbook


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
def test_tiny_has_every_quirk(seed: int) -> None:
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


PRESET = PRESETS["tiny"]
SCENES = plan_corpus(PRESET, 0)
ROWS = annotate(SCENES, {scene.index: plan_expressions(scene, PRESET, 0) for scene in SCENES}, PRESET, 0)


def test_the_three_sheets_have_the_release_s_cells_and_no_headers(tmp_path: Path) -> None:
    path = tmp_path / WORKBOOK_NAME
    write_workbook(path, ROWS, SCENES)
    annotation, subjects, materials = openpyxl.load_workbook(path).worksheets

    assert [len(row) for row in annotation.iter_rows(values_only=True)] == [9] * len(ROWS)
    first = [cell.value for cell in annotation[1]]
    assert [type(cell) for cell in first] == [int, str, int, int, int, type(ROWS[0].action_units), str, str, str]
    assert list(subjects.iter_rows(max_row=3, values_only=True)) == [
        (15, "s15", 1),
        (15, "s15", 1),
        (16, "s16", 2),
    ]
    assert [cell.value for cell in materials[1]] == ["0101", "disgust1"]
    assert materials.max_row == 9


def test_equal_workbooks_are_equal_files(tmp_path: Path) -> None:
    write_workbook(tmp_path / "a.xlsx", ROWS, SCENES)
    time.sleep(1.1)  # openpyxl stamps the file with the second in which it is saved
    write_workbook(tmp_path / "b.xlsx", ROWS, SCENES)

    assert (tmp_path / "a.xlsx").read_bytes() == (tmp_path / "b.xlsx").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.xlsx", "b.xlsx"]


def test_what_was_written_is_read(tmp_path: Path) -> None:
    plans = write_generated_truth(tmp_path)
    expressions = read_expressions(tmp_path / FOLDER)
    for scene, plan in plans:
        key = f"s{scene.folder}", scene.stem
        happened = [(event.kind, event.start, event.end) for event in plan.distractors]
        assert list(read_distractors(tmp_path / FOLDER, *key)) == happened
        found = [
            (expression.start, expression.end, expression.emotion, expression.peak)
            for expression in expressions.get(key, [])
        ]
        assert found == [
            (expression.start, expression.end, expression.planned.emotion, round(expression.peak, 4))
            for expression in plan.expressions
        ]


def test_damage_is_named(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match=r"expressions\.csv cannot be read: No such file"):
        read_expressions(tmp_path)
    (tmp_path / EXPRESSIONS_FILE).write_text("subject,video,start,end,peak,emotion\ns15,a,12,3x,0.5,anger\n")
    with pytest.raises(AnnotationError, match="row 2, is not a row of a generated corpus"):
        read_expressions(tmp_path)
    with pytest.raises(AnnotationError, match=r"a\.npz is missing or damaged"):
        read_distractors(tmp_path, "s15", "a")
    (tmp_path / "s15").mkdir()
    (tmp_path / "s15" / "a.npz").write_bytes(b"PK half a file")
    with pytest.raises(AnnotationError, match=r"a\.npz is missing or damaged"):
        read_distractors(tmp_path, "s15", "a")
