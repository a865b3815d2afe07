import time
from pathlib import Path

import openpyxl

from fedn_synth.plan.corpus_plan import plan_corpus
from fedn_synth.plan.presets import PRESETS
from fedn_synth.plan.video_plan import plan_expressions
from fedn_synth.write.workbook import WORKBOOK_NAME, annotate, write_workbook

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
