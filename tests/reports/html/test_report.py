"""What stands on the page of `fedn report`, and what it says where something is missing."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pulses import write_pulses
from report_runs import EMOTIONS, invent_record, pool_runs, write_run
from toys import make_record

from fedn_lightning.analysis.errors import false_negatives, false_positives
from fedn_lightning.cli.main import main
from fedn_lightning.events import Corpus, EventTable, Expression
from fedn_lightning.reports.html.report import NOTHING_SPOTTED, report_page
from fedn_lightning.reports.html.strips import apex_of
from fedn_lightning.results.run_folder import read_run

STORE = {"crops": {"store": "store"}}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a clip store and, in `run`, a run on two of its three subjects."""
    home = tmp_path_factory.mktemp("report")
    corpus = write_pulses(home / "store", subjects=3)
    write_run(home / "run", invent_record(corpus, ("p0", "p1")), STORE)
    return home


@pytest.fixture(scope="module")
def whole(home: Path) -> str:
    return report_page(read_run(home / "run", draws=20), strips=2, looks=3)


@pytest.fixture
def copy(home: Path, tmp_path: Path) -> Path:
    """A copy of the run to take something away from; its store is where it was."""
    shutil.copytree(home / "run", tmp_path / "run")
    (tmp_path / "store").symlink_to(home / "store")
    (tmp_path / "run" / "env.txt").write_text(f"folder: {tmp_path}\n")
    return tmp_path / "run"


def part(page: str, anchor: str) -> str:
    """A section of a page."""
    found = re.search(rf"<section id='{anchor}'>.*?</section>", page, re.DOTALL)
    assert found
    return found[0]


def reasons(section: str) -> list[str]:
    """Sentences about what is missing."""
    return re.findall(r"<p class='missing'>(.*?)</p>", section)


def page_of(folder: Path) -> str:
    return report_page(read_run(folder, draws=10), strips=2, looks=2)


def test_headlines_are_those_of_the_result(home: Path, whole: str) -> None:
    run = read_run(home / "run", draws=20)
    summary = part(whole, "summary")
    assert f"<b>{run.result['spotting']['overall']['f1']:.3f}</b>" in summary
    assert "published" not in summary
    assert reasons(summary) == []


def test_an_interval_is_shown_unless_the_subjects_are_too_few_for_one(home: Path, tmp_path: Path) -> None:
    few = part(page_of(home / "run"), "summary")
    assert few.count("no interval") == 5
    assert "2 subjects are too few for an interval" in few
    corpus = write_pulses(tmp_path / "store", subjects=5)
    folder = write_run(tmp_path / "run", invent_record(corpus, ("p0", "p1", "p2", "p3", "p4")), {})
    interval = (read_run(folder, draws=10).strict.intervals or {})["spotting.overall.f1"]
    enough = part(page_of(folder), "summary")
    assert f"95 % {interval.low:.3f} to {interval.high:.3f}" in enough
    assert "10 draws of the 5 subjects" in enough


def test_every_event_is_drawn_and_listed(home: Path, whole: str) -> None:
    run = read_run(home / "run", draws=20)
    timelines = part(whole, "timelines")
    events = len(run.truths) + len(run.predicted)
    assert len(re.findall(r"<rect data-i=", timelines)) == events
    assert len(re.findall(r"<th scope='row'>(?:truth|prediction)<", timelines)) == events
    alarms = len(false_positives(run.predicted, run.truths))
    missed = len(false_negatives(run.predicted, run.truths, run.proposals))
    assert len(re.findall(r"class='e\d false-positive'", timelines)) - 1 == alarms > 0  # one stands in the key
    assert len(re.findall(r"class='e\d false-negative'", timelines)) - 1 == missed > 0
    assert timelines.count("false positive</td>") == alarms
    assert timelines.count("<article class='video'") == 2


def test_the_worst_errors_are_shown_and_the_others_counted(home: Path, whole: str) -> None:
    run = read_run(home / "run", draws=20)
    errors = part(whole, "errors")
    alarms = false_positives(run.predicted, run.truths)
    assert f"2 of {len(alarms)}, by descending confidence" in errors
    assert len(re.findall("<figure class='strip'>", errors)) == 4
    highest = run.predicted.score[alarms[0].event]
    assert f"confidence {highest:.2f}" in errors
    assert "data:image/jpeg;base64," in errors
    assert "Apexes are not known here" in errors


def test_attention_is_shown_for_a_hit_a_false_positive_and_a_false_negative(whole: str) -> None:
    attention = part(whole, "attention")
    assert reasons(attention) == []
    assert attention.count("<figure class='look'>") == 3
    assert "the highest scoring hit" in attention
    assert "the highest scoring false positive" in attention
    # Two of the weights of a segment of eight frames are not needed to know the sum.
    weights = [float(weight) for weight in re.findall(r", weight ([\d.]+)'", attention)]
    assert len(weights) == 3 * 8
    np.testing.assert_allclose(np.reshape(weights, (3, 8)).sum(axis=1), 1, atol=0.01)


def test_nothing_leads_out_of_the_page(whole: str) -> None:
    assert set(re.findall(r"""(?:src|href)=['"]?([^'" >]{1,11})""", whole)) == {
        target for target in re.findall(r"""(?:src|href)=['"]?([^'" >]{1,11})""", whole)
        if target.startswith(("#", "data:image/"))
    }  # fmt: skip
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", whole)
    assert "default-src 'none'" in whole
    assert len(whole) < 1_000_000


def test_without_checkpoint_or_crops_the_page_says_so(copy: Path) -> None:
    shutil.rmtree(copy / "checkpoints")
    (copy / "metrics.csv").unlink()
    page = page_of(copy)
    assert "There is no checkpoint at" in reasons(part(page, "attention"))[0]
    assert "metrics.csv is not there" in reasons(part(page, "training"))[0]
    assert "<figure class='strip'>" in page
    (copy.parent / "store").unlink()
    page = page_of(copy)
    for anchor in ("errors", "attention"):
        assert "There is no clip store" in reasons(part(page, anchor))[0]
    assert page.count("<article class='video'") == 2


def test_an_older_run_without_proposals_or_result_is_shown(copy: Path) -> None:
    for name in ("proposals.csv", "result.json"):
        (copy / name).unlink()
    sentences = reasons(part(page_of(copy), "summary"))
    assert [sentence.split()[0] for sentence in sentences] == ["result.json", "proposals.csv"]


def test_generated_faces_and_validation_have_a_notice(home: Path) -> None:
    run = read_run(home / "run", draws=10)
    notices = [
        re.findall(r"<p class='notice' role='note'>(.*?)</p>", report_page(each, 0, 0))
        for each in (
            replace(run, generated=True),
            replace(run, generated=False),
            replace(run, generated=None, result={**run.result, "split": "validation"}),
        )
    ]
    assert [len(found) for found in notices] == [1, 0, 2]
    assert notices[0][0].startswith("These are generated faces")
    assert "not a result to report" in notices[2][1]


def test_pooled_folds_show_both_selections_and_each_threshold(tmp_path: Path) -> None:
    study = tmp_path / "toy" / "0badcafe"
    homes = {name: write_run(study / "seed7" / name, make_record(name), {}) for name in ("05", "06", "07")}
    page = page_of(pool_runs(study, homes, make_record("06")))
    assert "published (selected on test data)" in part(page, "summary")
    assert "Selected on test data: one pair of thresholds" in part(page, "summary")
    assert "chosen by each fold" in part(page, "curves")
    assert "median of 3 folds" in part(page, "training")
    assert part(page, "training").count('class="faint"') == 9


def test_names_are_escaped_everywhere(home: Path, tmp_path: Path) -> None:
    script = "<script>alert(1)</script>"
    record = invent_record(write_pulses(tmp_path / "store", subjects=2), ("p0", "p1"))
    videos = tuple(replace(v, subject=f"{script}{v.subject}", name=f"{script}'\"&") for v in record.videos)
    odd = replace(record, videos=videos, emotions=(script, "positive", "surprise"))
    folder = write_run(tmp_path / script.replace("/", "_"), odd, {"crops": {"store": f"../{script}"}})
    page = page_of(folder)
    assert page.count("<script") == page.count("</script") == 1  # the page's own
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") > 20
    assert "&lt;script&gt;alert(1)&lt;_script&gt;" in page  # the folder's name


def test_a_run_that_found_nothing_and_missed_nothing_is_a_page_too(tmp_path: Path) -> None:
    record = replace(make_record(), truths=EventTable(), predictions=EventTable())
    page = page_of(write_run(tmp_path / "run", record, {}))
    assert "No expression with an analysed emotion was spotted." in page
    assert page.count("Nothing is annotated and nothing was found here.") == 2


def test_the_apex_is_the_annotated_one(home: Path) -> None:
    run = read_run(home / "run", draws=10)
    video = run.videos[0]
    expression = Expression("pulses", video.subject, video.name, 30, 66, 44, "macro", EMOTIONS[0])
    known = replace(run, corpus=Corpus("pulses", (video,), (expression,)))
    assert apex_of(known, video, 30, 66) == 44
    assert apex_of(known, video, 30, 65) is None
    assert apex_of(run, video, 30, 66) is None


def test_the_command_writes_beside_the_run_and_opens(copy: Path, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    assert main(["report", str(copy), "--strips", "0", "--looks", "0", "--bootstrap", "5", "--open"]) == 0
    page = copy / "report.html"
    assert opened == [page.resolve().as_uri()]
    assert capsys.readouterr().out.startswith(f"{page} (0.")
    assert page.read_text().endswith("</html>\n")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [(["nowhere"], "holds no result of a run"), (["run", "--strips", "-1"], "--strips: must be a whole number")],
)
def test_a_user_error_is_one_sentence(words: list[str], sentence: str, capsys, tmp_path: Path) -> None:
    assert main(["report", str(tmp_path / words[0]), *words[1:]]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1


def test_given_intervals_are_not_shown_as_spotted(tmp_path: Path) -> None:
    record = replace(make_record(), intervals="truth")
    page = page_of(write_run(tmp_path / "run", record, {}))
    assert "recognition on labelled intervals" in page
    assert "<span>UF1 (micro)</span>" in part(page, "summary")
    assert "F1 overall" not in page
    assert "spotting" not in part(page, "summary")
    for anchor in ("subjects", "curves"):
        assert reasons(part(page, anchor)) == [NOTHING_SPOTTED]
