import json

import cv2
import pytest
from error_runs import write_generated_run
from toys import make_record

from fedn_lightning.cli.main import main
from fedn_lightning.results.writing import write_tables


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    place = tmp_path_factory.mktemp("runs")
    for seed, name in enumerate(("one", "two")):
        write_generated_run(place / name, place / "corpus", seed)
    return place


def test_one_run_gives_tables_and_pictures(home, capsys):
    assert main(["errors", str(home / "one"), "--out", str(home / "out")]) == 0
    output = capsys.readouterr().out
    for word in (
        "localisation",
        "F1 if corrected",
        "mAP if corrected",
        "named, overlapping",
        "c alone",
        "by chance",
        "offset unknown",
    ):
        assert word in output
    for name in ("kinds.png", "corrected.png", "sensitivity.png"):
        picture = cv2.imread(str(home / "out" / name))
        assert picture is not None, name
        assert picture.std() > 5, name
    content = json.loads((home / "out" / "errors.json").read_text())
    assert content["kinds"]["spotting"]["background"]["false_positives"] > 0
    assert "# Errors of one" in (home / "out" / "errors.md").read_text()
    assert main(["errors", str(home / "one"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == content


def test_two_runs_side_by_side(home, capsys):
    runs = [str(home / "one"), str(home / "two")]
    assert main(["errors", *runs, "--names", "joint", "two step", "--out", str(home / "both")]) == 0
    output = capsys.readouterr().out
    assert all(word in output for word in ("two step: F1", "two step: predictions", "ranked by c alone"))
    names = {str(path.relative_to(home / "both")) for path in (home / "both").rglob("*") if path.is_file()}
    each = {"errors.csv", "errors.md", "errors.json", "kinds.png", "corrected.png", "sensitivity.png"}
    assert names == {f"{run}/{name}" for run in ("joint", "two step") for name in each} | {
        "errors.md", "errors.json", "losses.png",
    }  # fmt: skip
    assert cv2.imread(str(home / "both" / "losses.png")).std() > 5


def test_a_run_on_no_generated_corpus_and_one_without_any_error(tmp_path, capsys):
    write_tables(make_record(), tmp_path / "toy")
    assert main(["errors", str(tmp_path / "toy")]) == 0
    output = capsys.readouterr().out
    assert "Distractors and intensities are unknown" in output
    assert "by chance" not in output
    for name in ("predictions.csv", "proposals.csv", "truth.csv"):
        head = (tmp_path / "toy" / name).read_text().splitlines()[0]
        (tmp_path / "toy" / name).write_text(f"{head}\n")
    assert main(["errors", str(tmp_path / "toy"), "--out", str(tmp_path / "out")]) == 0
    assert "now -" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "holds no result of a run"),
        (["one", "two", "--names", "a"], "got 2 runs and 1 names"),
        (["one", "two", "--names", "a", "a"], "Runs need different names, got a, a"),
        (["one", "--truth", "two"], "expressions.csv cannot be read"),
    ],
)
def test_user_errors_exit_with_code_2(home, capsys, monkeypatch, words, message):
    monkeypatch.chdir(home)
    assert main(["errors", *words]) == 2
    assert message in " ".join(capsys.readouterr().err.split())
