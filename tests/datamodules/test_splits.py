"""Splits by subject."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedn_lightning.datamodules.splits import find_subject, split_subjects
from fedn_lightning.errors import SplitError

PEOPLE = [f"s{n}" for n in range(15, 27)]


@given(st.integers(0, 5), st.integers(0, 5), st.integers(0, 3))
def test_nobody_is_in_two_parts_and_nobody_is_lost(n_test, n_val, seed):
    split = split_subjects(PEOPLE, PEOPLE[:n_test], n_val, seed)
    parts = [split.train, split.val, split.test]
    assert sorted(sum(parts, ())) == sorted(PEOPLE)
    assert [len(part) for part in parts] == [12 - n_test - n_val, n_val, n_test]


def test_validation_subjects_depend_on_the_seed_and_not_on_the_order_subjects_come_in():
    assert split_subjects(PEOPLE, ["s15"], 3, 1) == split_subjects(PEOPLE[::-1], ["s15"], 3, 1)
    assert len({split_subjects(PEOPLE, ["s15"], 3, seed).val for seed in range(5)}) > 1


@pytest.mark.parametrize(
    ("given_name", "people", "meant"),
    [
        ("s15", ["s15", "s16"], "s15"),
        (15, ["s15", "s1"], "s15"),
        (7, ["006", "007"], "007"),
        ("07", ["006", "007"], "007"),
        ("spNO.1", ["spNO.1", "spNO.11"], "spNO.1"),
    ],
)
def test_a_subject_is_found_by_its_number(given_name, people, meant):
    assert find_subject(given_name, people) == meant


def test_wrong_splits_are_told_in_a_sentence():
    with pytest.raises(SplitError, match="Subject 's99' is not in this corpus; its subjects are s15"):
        split_subjects(PEOPLE, ["s99"], 1)
    with pytest.raises(SplitError, match="could be a1 or b1"):
        find_subject(1, ["a1", "b1"])
    with pytest.raises(SplitError, match="nobody is left to train on"):
        split_subjects(PEOPLE, PEOPLE[:2], 10)
    with pytest.raises(SplitError, match=r"s16 is in both data\.test_subject and data\.val_subject"):
        split_subjects(PEOPLE, ["s16"], ["s16"])
    with pytest.raises(SplitError, match="No subject is left to train on"):
        split_subjects(["a", "b"], ["a"], ["b"])
