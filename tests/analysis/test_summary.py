from collections import Counter

import numpy as np
import pytest
from error_runs import write_generated_run

from fedn_lightning.analysis.errors import KINDS
from fedn_lightning.analysis.run import (
    COLUMNS,
    DURATIONS,
    OFFSETS,
    UNKNOWN,
    binned,
    error_rows,
    read_run_errors,
    write_errors,
)
from fedn_lightning.analysis.summary import (
    all_tables,
    count_rows,
    gain_rows,
    kind_rows,
    loss_rows,
    sensitivity_rows,
    summarise,
    summary_json,
)
from fedn_lightning.metrics.functional.detection import detection_scores
from fedn_lightning.metrics.functional.spotting import spotting_scores
from fedn_lightning.metrics.functional.threshold import at_threshold
from fedn_lightning.results import Names, read_events, read_videos


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    place = tmp_path_factory.mktemp("errors")
    write_generated_run(place / "one", place / "corpus", seed=0)
    write_generated_run(place / "two", place / "corpus", seed=5)
    return place


@pytest.fixture(scope="module")
def run(home):
    return read_run_errors(home / "one", "one")


@pytest.fixture(scope="module")
def summary(run):
    return summarise(run)


def test_the_numbers_are_the_evaluators(home, run, summary):
    record = write_generated_run(home / "copy", home / "corpus", seed=0)
    scores = spotting_scores(at_threshold(record.predictions, record.threshold), record.truths)
    assert summary.counts["nothing"] == {g: getattr(scores, g) for g in ("macro", "micro", "overall")}
    assert scores.overall.fp > 3
    assert sum(run.spotting.false_positives().values()) == scores.overall.fp
    assert sum(run.spotting.false_negatives().values()) == scores.overall.fn
    # The file keeps nine digits of a score, so ranks are as they were.
    assert summary.mean_ap["nothing"] == pytest.approx(detection_scores(record.predictions, record.truths).mean((0.5,)))


def test_every_error_is_listed_once(home, run):
    path = write_errors(home / "errors.csv", run)
    head, *body = [line.split(",") for line in path.read_text().splitlines()]
    assert head == list(COLUMNS)
    for errors in (run.spotting, run.detection):
        listed = Counter((row[1], row[2]) for row in body if row[0] == errors.label)
        for kind in KINDS:
            assert listed["false positive", kind] == errors.false_positives()[kind]
            assert listed["false negative", kind] == errors.false_negatives()[kind]


def test_a_row_describes_its_event(home, run):
    """Onset and offset of an error, and of the truth that explains it, are rows of the run's own files."""
    names = Names()
    read_videos(home / "one" / "videos.csv", names)
    truths = read_events(home / "one" / "truth.csv", names, truth=True).events
    spans = {(*run.videos[v], s + 1, e) for v, s, e in zip(truths.video, truths.start, truths.end, strict=True)}
    explained = [row for row in error_rows(run, run.spotting) if row[1] == "false positive" and row[2] != "background"]
    assert explained
    for row in explained:
        cell = dict(zip(COLUMNS, row, strict=True))
        assert (cell["subject"], cell["video"], float(cell["other_onset"]), float(cell["other_offset"])) in spans
        mine = float(cell["onset"]), float(cell["offset"])
        other = float(cell["other_onset"]), float(cell["other_offset"])
        shared = min(mine[1], other[1]) - max(mine[0], other[0]) + 1
        union = max(mine[1], other[1]) - min(mine[0], other[0]) + 1
        assert float(cell["iou"]) == pytest.approx(shared / union, abs=1e-4)
        assert 0 < float(cell["intensity"]) <= 1


def test_sensitivity_shares_out_all_truths_in_a_natural_order(run, summary):
    found = summary.counts["nothing"]["overall"].tp
    assert set(summary.sensitivity) == {"type", "duration", "intensity", "label", "emotion", "subject"}
    for groups in summary.sensitivity.values():
        assert sum(group.n for group in groups) == len(run.truths)
        assert sum(group.hits for group in groups) == found
    assert [group.name for group in summary.sensitivity["label"]] == list(OFFSETS)
    order = binned(np.zeros(0), DURATIONS, " s")[1]
    shown = [group.name for group in summary.sensitivity["duration"]]
    assert shown == [name for name in order if name in shown]


def test_tables_add_up(run, summary):
    _head, *rows, last = kind_rows(summary)
    for column in range(1, 5):
        assert sum(int(row[column]) for row in rows) == int(last[column])
    assert float(last[5]) == pytest.approx(1 - summary.counts["nothing"]["overall"].f1, abs=1e-4)
    assert sum(int(row[2]) for row in sensitivity_rows(summary)[1:]) == 6 * len(run.truths)
    for table in all_tables([summary]):
        assert len({len(row) for row in table}) == 1


def test_differences_of_two_runs_add_up_to_that_of_f1(home, summary):
    other = summarise(read_run_errors(home / "two", "two"))
    _, *kinds, f1, _ = loss_rows([summary, other])
    assert sum(float(row[3]) for row in kinds) == pytest.approx(-float(f1[3]), abs=5e-4)
    assert float(f1[2]) == pytest.approx(other.counts["nothing"]["overall"].f1, abs=1e-4)
    assert [row[0] for row in count_rows([summary, other])[1:]] == list(KINDS)
    assert gain_rows([summary, other])[3][1] == f"{summary.f1_gain('localisation'):+.4f}"


def test_distractors_are_counted_among_false_positives_on_background(run, summary):
    assert summary.distractors is not None
    n = run.spotting.false_positives()["background"]
    assert n > 0
    by_name = {count.name: count for count in summary.distractors}
    assert by_name["none"].seen == sum(
        not there.any() for there in run.synthetic_truth.there[run.spotting.kind == KINDS.index("background")]
    )
    assert all(0 <= count.expected <= n and count.seen <= n for count in summary.distractors)


def test_facts_without_a_generated_corpus_are_unknown(home, tmp_path):
    for name in ("predictions.csv", "proposals.csv", "truth.csv", "videos.csv"):
        (tmp_path / name).write_bytes((home / "one" / name).read_bytes())
    run = read_run_errors(tmp_path, "bare")
    summary = summarise(run)
    assert summary.distractors is None
    assert summary_json(summary)["distractors"] is None
    assert set(summary.sensitivity) == {"type", "duration", "emotion", "subject"}
    assert {tuple(row[-3:]) for row in error_rows(run, run.spotting)} == {(UNKNOWN,) * 3}
