from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedn_lightning.errors import SplitError
from fedn_lightning.loso.experiment import choose_folds, make_folds

SUBJECTS = st.lists(st.text("abc123", min_size=1), min_size=2, max_size=30, unique=True)


@given(SUBJECTS, st.integers(1, 5), st.sampled_from([[7], [1, 2, 3]]))
def test_every_subject_is_held_out_once_per_seed(subjects: list[str], group: int, seeds: list[int]) -> None:
    group = min(group, len(subjects) - 1)
    folds = make_folds(subjects, seeds, group)
    for seed in seeds:
        held_out = [subject for fold in folds if fold.seed == seed for subject in fold.subjects]
        assert sorted(held_out) == sorted(subjects)
    sizes = {len(fold.subjects) for fold in folds}
    assert max(sizes) <= group
    assert max(sizes) - min(sizes) <= 1


def test_the_order_of_subjects_does_not_matter() -> None:
    assert make_folds(["b", "a", "c"], [1], 2) == make_folds(["c", "b", "a"], [1], 2)


@pytest.mark.parametrize(
    ("group", "seeds", "message"), [(0, [1], "--group 0"), (3, [1], "--group 3"), (1, [1, 1], "twice")]
)
def test_impossible_folds_are_refused(group: int, seeds: list[int], message: str) -> None:
    with pytest.raises(SplitError, match=message):
        make_folds(["a", "b", "c"], seeds, group)


def test_folds_are_chosen_by_any_spelling_of_a_subject() -> None:
    folds = make_folds(["s07", "s08", "s09"], [1, 2], 2)
    assert [fold.name for fold in choose_folds(folds, [7], ["s07", "s08", "s09"])] == ["s07+s09", "s07+s09"]
    assert choose_folds(folds, [], ["s07"]) == folds
    with pytest.raises(SplitError, match="Subject 5 is not in this corpus"):
        choose_folds(folds, [5], ["s07", "s08", "s09"])
