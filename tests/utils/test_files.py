from __future__ import annotations

import json
import pickle
import resource
from pathlib import Path

import numpy as np
import pytest

from fedn_lightning.utils.files import StoredArray, unmap_all, write_atomically, write_json, write_text


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


@pytest.fixture
def few_files():
    """As many open files as `ulimit -n 256` allows."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_five_thousand_arrays_are_at_hand_under_a_limit_of_256_open_files(tmp_path, few_files):
    paths = [tmp_path / f"{number}.npy" for number in range(5000)]
    for number, path in enumerate(paths):
        np.save(path, np.full((4, 2), number, np.float16))
    arrays = [StoredArray(path) for path in paths]
    assert [int(array[3, 1]) for array in arrays[:2048]] == list(range(2048))  # float16 tells integers up to there
    unmap_all()


def test_it_reads_as_the_array_does(tmp_path):
    values = np.arange(24, dtype=np.uint8).reshape(6, 2, 2)
    np.save(tmp_path / "a.npy", values)
    stored = StoredArray(tmp_path / "a.npy")
    assert (len(stored), stored.shape, stored.dtype) == (6, (6, 2, 2), np.uint8)
    assert np.array_equal(stored, values)
    assert np.array_equal(stored[2:4], values[2:4])
    assert np.array_equal(stored[np.array([5, 0])], values[[5, 0]])
    assert np.array_equal(pickle.loads(pickle.dumps(stored)), values)


def test_a_file_that_was_written_anew_is_read_anew(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros(3))
    stored = StoredArray(tmp_path / "a.npy")
    assert stored[0] == 0
    np.save(tmp_path / "b.npy", np.ones(4))
    (tmp_path / "b.npy").replace(tmp_path / "a.npy")
    assert StoredArray(tmp_path / "a.npy")[3] == 1
