"""`fedn study` as a user types it, on folds that are finished, and from the rows' files alone."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from studies import fake_fold, make_experiment

from fedn_lightning.cli import inspection
from fedn_lightning.cli.main import main
from fedn_lightning.loso.experiment import Experiment, make_folds

RESULTS = Path("experiments/results/abl")
STUDY = """
group: 1
labels: [fedn, self_report]
rows:
  - { name: fedn, seeds: 2 }
  - self_report
"""


@pytest.fixture(autouse=True)
def _study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two rows whose folds are finished; the second reads other emotions into the same expressions."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "disabled")
    Path("abl").mkdir()
    for name in ("fedn", "self_report"):
        Path(f"abl/{name}.yaml").write_text(f"experiment: {name}\n")
    Path("abl/study.yaml").write_text(STUDY)

    def inspect(
        requests: Sequence[Sequence[str]], runs: str, group: int, threads: int, warm_up: bool
    ) -> list[Experiment]:
        return [experiment(Path(words[1]).stem, runs) for words in requests]

    monkeypatch.setattr(inspection, "inspect_each_in_child", inspect)
    for name, seeds in (("fedn", [7, 8]), ("self_report", [7])):
        mine = experiment(name, "runs/abl")
        for fold in make_folds(list(mine.subjects), seeds):
            other = {"felt": "surprise", "chosen_on": "training"} if name == "self_report" else {}
            fake_fold(mine, fold, **other)


def experiment(name: str, runs: str) -> Experiment:
    return replace(make_experiment(Path(runs)), name=name, trained_parameters=1_234_567)


def test_finished_rows_become_a_table_which_comes_again_from_their_files_alone(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["study", "abl", "--jobs", "1", "--bootstrap", "50"]) == 0
    said = capsys.readouterr()
    assert "fedn, seed 8: written to experiments/results/abl/fedn.json" in said.err
    assert "| fedn | 2 |" in said.out
    assert "1.23 M" in said.out
    assert "## Differences from fedn" in said.out
    assert "Without validation subjects, on the training subjects: self_report." in said.out
    written = {path.name: path.read_bytes() for path in RESULTS.iterdir()}
    assert set(written) == {"fedn.json", "self_report.json", "labels.json", "study.md", "study.json", "study.png"}
    shutil.rmtree("runs")
    for name in ("study.md", "study.json", "study.png"):
        (RESULTS / name).unlink()
    assert main(["study", "abl", "--table-only", "--bootstrap", "50"]) == 0
    assert capsys.readouterr().out == said.out
    assert {path.name: path.read_bytes() for path in RESULTS.iterdir() if path.suffix != ".png"} == {
        name: content for name, content in written.items() if not name.endswith(".png")
    }


def test_groups_of_held_out_subjects_have_tables_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    Path("abl/study.yaml").write_text("tests: { first: [a], rest: [b, c] }\nrows: [fedn, self_report]\n")
    assert main(["study", "abl", "--jobs", "1", "--bootstrap", "20"]) == 0
    page = capsys.readouterr().out
    assert page.index("## Tested on first") < page.index("## Tested on rest")
    stored = json.loads((RESULTS / "study.json").read_text())
    assert list(stored["tests"]) == ["first", "rest"]
    assert list(stored["tests"]["rest"]) == ["fedn", "self_report"]


def test_the_same_command_again_books_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    main(["study", "abl", "--jobs", "1", "--bootstrap", "20"])
    first = capsys.readouterr()
    assert main(["study", "abl", "--jobs", "1", "--bootstrap", "20"]) == 0
    again = capsys.readouterr()
    assert "written to" in first.err
    assert "written to" not in again.err
    assert again.out == first.out


def test_the_label_question_is_answered_for_both_sources(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", "abl", "--jobs", "1", "--bootstrap", "20"]) == 0
    page = capsys.readouterr().out
    # Three subjects with three expressions each: negative, positive and one that is not analysed; all are surprise
    # to those who felt them.
    assert "Of 9 expressions, 6 have an analysed class by both sources, and 0 the same one" in page
    assert "| negative | 0 | 0 | 3 | 0 |" in page
    assert "| others | 0 | 0 | 3 | 0 |" in page
    asked = json.loads((RESULTS / "study.json").read_text())["labels"]
    cells = {name: cell["value"] for name, cell in asked["map@0.5"].items()}
    # By the expert's labels negative is found without fault and positive never; one truth of three is called surprise.
    assert cells["expert by expert"] == pytest.approx(1 / 2)
    assert cells["expert by self_report"] == pytest.approx(1 / 3)
    change = asked["costs"]["expert by self_report - expert by expert"]
    assert change["value"] == pytest.approx(1 / 3 - 1 / 2)


def test_a_dry_run_shows_the_state_and_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree("runs/abl/fedn/0badcafe/seed8/b")
    before = sorted(Path().rglob("*"))
    assert main(["study", "abl", "--dry-run"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [(row[0], row[1], row[-1]) for row in rows if row[0] in ("fedn", "self_report")] == [
        ("fedn", "7", "3/3"),
        ("fedn", "8", "2/3"),
        ("self_report", "7", "3/3"),
    ]
    assert sorted(Path().rglob("*")) == before


def test_only_some_rows(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", "abl", "--only", "self_report", "--jobs", "1", "--bootstrap", "20"]) == 0
    assert sorted(path.name for path in RESULTS.glob("*.json")) == ["self_report.json", "study.json"]
    assert "## Differences" not in capsys.readouterr().out  # the baseline has no result


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["abl", "--only", "none"], "the study abl has no such row"),
        (["abl", "--group", "0"], "--group: must be a whole number of at least 1"),
        (["abl", "--group", "3"], "--group 3 must be at least 1 and less than"),
        (["abl", "--seeds", "0"], "--seeds must be a whole number of at least 1, not 0"),
        (["nowhere"], "there is no experiment file nowhere"),
    ],
)
def test_a_user_error_is_one_sentence(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", *words]) == 2
    assert message in capsys.readouterr().err


def test_a_table_without_a_row_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", "abl", "--table-only"]) == 1
    assert "no result yet of fedn, self_report in experiments/results/abl" in capsys.readouterr().err
