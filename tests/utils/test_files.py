from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from fedn_lightning.utils.files import write_atomically, write_json, write_text


def test_a_failure_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = write_text(tmp_path / "new" / "a.txt", "old")

    def fail(temporary: Path) -> None:
        temporary.write_text("half")
        raise OSError

    with pytest.raises(OSError):  # noqa: PT011 (its own error, without a message)
        write_atomically(path, fail)
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]


def test_the_temporary_file_has_the_suffix_that_writers_look_at(tmp_path: Path) -> None:
    seen = []
    write_atomically(tmp_path / "a.png", lambda temporary: seen.append(temporary) or temporary.touch())
    assert seen[0].suffix == ".png"
    assert seen[0].parent == tmp_path
    assert (tmp_path / "a.png").stat().st_mode & 0o777 == 0o644


def test_undefined_numbers_become_null(tmp_path: Path) -> None:
    value = {"a": float("nan"), "b": [np.float64(1), np.int64(2), float("inf")], 3: "x"}
    path = write_json(tmp_path / "r.json", value)
    assert json.loads(path.read_text()) == {"a": None, "b": [1.0, 2, None], "3": "x"}
