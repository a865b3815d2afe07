from __future__ import annotations

from pathlib import Path

import pytest

from fedn_lightning.errors import ConfigError, SplitError
from fedn_lightning.study.plan import Row, read_plan


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("abl").mkdir()
    for name in ("fedn", "spotter", "recogniser"):
        Path(f"abl/{name}.yaml").write_text("experiment: x\n")


def study(text: str) -> str:
    Path("abl/study.yaml").write_text(text)
    return "abl"


FULL = """
group: 4
baseline: fedn
labels: [fedn, spotter]
rows:
  - { name: fedn, seeds: [3, 5] }
  - spotter
  - { name: two_step, pipeline: { spotter: spotter, recogniser: recogniser.yaml }, seeds: 2 }
"""


def test_a_study_file_lists_rows_in_order() -> None:
    plan = read_plan([study(FULL)])
    assert (plan.name, plan.group, plan.baseline, plan.labels) == ("abl", 4, "fedn", ("fedn", "spotter"))
    assert plan.rows == (
        Row("fedn", ("abl/fedn.yaml",), (3, 5)),
        Row("spotter", ("abl/spotter.yaml",), 1),
        Row("two_step", ("abl/spotter.yaml", "abl/recogniser.yaml"), 2, spotter="spotter"),
    )
    assert read_plan(["abl/study.yaml"]) == plan


def test_a_folder_or_files_alone_are_rows() -> None:
    assert [row.name for row in read_plan(["abl"]).rows] == ["fedn", "recogniser", "spotter"]
    plan = read_plan(["abl/spotter.yaml", "abl/fedn.yaml"])
    assert (plan.name, plan.baseline, plan.group) == ("study", "spotter", 1)


def test_seeds_are_a_number_or_a_list() -> None:
    plan = read_plan(["abl"])
    assert {row.seeds_from(7) for row in plan.with_seeds([3]).rows} == {(7, 8, 9)}
    assert {row.seeds_from(7) for row in plan.with_seeds([4, 2]).rows} == {(4, 2)}
    assert plan.with_seeds([]) == plan


def test_only_chooses_rows() -> None:
    plan = read_plan([study(FULL)])
    assert [row.name for row in plan.only(["two_step", "fedn"]).rows] == ["fedn", "two_step"]
    with pytest.raises(
        ConfigError, match="--only three_step: the study abl has no such row; its rows are fedn, spotter"
    ):
        plan.only(["three_step"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rows: []", r"abl/study\.yaml has no rows"),
        ("rows: [absent]", r"row 1 of rows: there is no experiment file abl/absent\.yaml"),
        ("rows: [fedn, fedn]", r"two rows are called fedn"),
        ("rows: [fedn]\ngruop: 2", r"has the key 'gruop'; known are name, group"),
        ("rows: [fedn]\ngroup: 0", r"group must be a whole number of at least 1, not 0"),
        ("rows: [{ name: fedn, seeds: [7, 7] }]", r"seeds must be a number, or a list of different whole numbers"),
        ("rows: [[fedn]]", r"row 1 of rows must be a name, or a mapping with the key name"),
        ("rows: [fedn]\nbaseline: best", r"baseline must name a row of fedn"),
        ("rows: [{ name: fedn, train: a }]", r"train must be a list of names or shell patterns"),
        ("rows: [fedn]\ntests: { all: a }", r"tests must be a list of names or shell patterns"),
        ("rows: [fedn]\nlabels: [fedn]", r"labels must name two rows of fedn"),
        ("rows: [{ name: p, pipeline: { spotter: fedn } }]", r"pipeline takes a spotter \(a row above\) and"),
        (
            "rows: [{ name: p, pipeline: { spotter: fedn, recogniser: recogniser.yaml } }]",
            r"the spotter 'fedn' is no experiment among the rows above it",
        ),
        ("- fedn", r"abl/study\.yaml is no mapping"),
        ("rows: [fedn", r"abl/study\.yaml cannot be read as YAML"),
    ],
)
def test_a_mistake_in_a_study_file_is_one_sentence(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_plan([study(text)])


def test_a_row_may_train_on_some_subjects_and_hold_all_others_out() -> None:
    plan = read_plan([study("tests: { flat: [a-*] }\nrows: [{ name: fedn, train: [a-1, b-*] }]")])
    assert plan.tests == {"flat": ("a-*",)}
    (fold,) = plan.rows[0].folds(["a-1", "a-2", "b-1", "b-2"], seed=7, group=1)
    assert (fold.seed, fold.subjects) == (7, ("a-2",))
    with pytest.raises(SplitError, match=r"train has 'b-\*', which fits none of a-1, a-2"):
        plan.rows[0].folds(["a-1", "a-2"], seed=7, group=1)
    with pytest.raises(SplitError, match="nobody is left to test on"):
        plan.rows[0].folds(["a-1", "b-2"], seed=7, group=1)


def test_what_is_not_there_is_named() -> None:
    with pytest.raises(ConfigError, match=r"there is no experiment file abl/none\.yaml"):
        read_plan(["abl/none.yaml"])
    Path("empty").mkdir()
    with pytest.raises(ConfigError, match=r"empty holds neither a study\.yaml nor an experiment file"):
        read_plan(["empty"])
