from pathlib import Path

import pytest
from error_runs import write_generated_truth

from fedn_lightning.datasets.generated_truth import EXPRESSIONS_FILE, FOLDER, read_distractors, read_expressions
from fedn_lightning.errors import AnnotationError


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
