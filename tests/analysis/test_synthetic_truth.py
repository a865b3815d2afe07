from pathlib import Path

import numpy as np
import pytest
from error_runs import write_generated_run, write_generated_truth
from hypothesis import given, settings
from hypothesis import strategies as st

from fedn_lightning.analysis.run import read_run_errors
from fedn_lightning.analysis.synthetic_truth import DISTRACTORS, NONE, WHAT, SyntheticTruth, find_truth, presence
from fedn_lightning.errors import AnnotationError
from fedn_lightning.events import EventTable
from fedn_synth.plan.distractors import Distractor

SPANS = st.tuples(st.sampled_from(sorted(WHAT)), st.integers(0, 60), st.integers(1, 25))


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 60), st.integers(1, 30), st.lists(SPANS, max_size=5))
def test_presence_counts_the_frames_that_both_have(start, length, spans):
    events = [Distractor(kind, first, first + n) for kind, first, n in spans]
    there = presence(np.array([float(start)]), length, events)[0]
    mine = set(range(start, start + length))
    for column, what in enumerate(DISTRACTORS):
        shares = [
            len(mine & set(range(e.start, e.end))) / min(length, e.end - e.start)
            for e in events
            if WHAT[e.kind] == what
        ]
        assert there[column] == any(share >= 0.5 for share in shares)


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    home = tmp_path_factory.mktemp("witness")
    record = write_generated_run(home / "run", home / "corpus")
    return home, record


@pytest.fixture(scope="module")
def synthetic_truth(places) -> SyntheticTruth:
    found = read_run_errors(places[0] / "run", "run").synthetic_truth
    assert found is not None
    return found


def test_intensities_and_true_ends_are_those_of_the_corpus(places, synthetic_truth):
    _home, record = places
    assert ((synthetic_truth.peak > 0) & (synthetic_truth.peak <= 1)).all()
    micro = record.truths.type == 1
    assert synthetic_truth.peak[micro].max() < synthetic_truth.peak[~micro].min()
    cut = synthetic_truth.end > record.truths.end
    assert cut.tolist() == [row % 5 == 4 for row in range(len(record.truths))]
    assert (synthetic_truth.end[~cut] == record.truths.end[~cut]).all()


def test_chance_is_the_share_of_clear_places_counted_one_by_one(places, synthetic_truth):
    home, _ = places
    run = read_run_errors(home / "run", "run")
    plans = {(f"s{scene.folder}", scene.stem): plan for scene, plan in write_generated_truth(home / "again")}
    for row in (0, len(run.predictions) - 1):
        video, length = run.predictions.video[row], run.predictions.end[row] - run.predictions.start[row]
        truths = run.truths[run.truths.video == video]
        events, seen, clear = plans[run.videos[video]].distractors, np.zeros(4), 0
        alone = 0
        for start in range(int(600 - length) + 1):
            if all(start + length <= s or start >= e for s, e in zip(truths.start, truths.end, strict=True)):
                there = presence(np.array([float(start)]), length, events)[0]
                clear, seen, alone = clear + 1, seen + there, alone + (not there.any())
        np.testing.assert_allclose(synthetic_truth.chance[row], seen / clear)
        np.testing.assert_allclose(synthetic_truth.nothing[row], alone / clear)


def test_the_main_distractor_is_one_of_those_there(synthetic_truth):
    for main, there in zip(synthetic_truth.main, synthetic_truth.there, strict=True):
        assert (main == NONE) == (not there.any())
        assert main == NONE or there[DISTRACTORS.index(main)]


def test_another_corpus_and_a_folder_that_is_none_are_refused(places, tmp_path):
    write_generated_truth(tmp_path / "other", seed=1)
    with pytest.raises(AnnotationError, match=r"corpus of this run: no expression begins in frame \d+ of s1"):
        read_run_errors(places[0] / "run", "run", str(tmp_path / "other"))
    with pytest.raises(AnnotationError, match=r"expressions\.csv cannot be read"):
        read_run_errors(places[0] / "run", "run", str(tmp_path))


def test_the_corpus_is_found_from_where_the_run_was_started_and_beside_pooled_folds(places, tmp_path):
    home, _ = places
    fold = tmp_path / "exp" / "seed7" / "s15"
    fold.mkdir(parents=True)
    (fold / "config.yaml").write_text("data: {init_args: {corpus: {root: corpus}}}\n")
    pooled = tmp_path / "exp" / "pooled-seed7"
    assert find_truth(pooled) is None  # not from here
    (fold / "env.txt").write_text(f"python: 3\nfolder: {home}\n")
    assert find_truth(pooled) == home / "corpus" / "truth"
    assert find_truth(Path(tmp_path)) is None


def test_without_a_generated_corpus_there_is_no_witness(places, tmp_path):
    (tmp_path / "run").mkdir()
    for name in ("predictions.csv", "proposals.csv", "truth.csv", "videos.csv"):
        (tmp_path / "run" / name).write_bytes((places[0] / "run" / name).read_bytes())
    assert read_run_errors(tmp_path / "run", "run").synthetic_truth is None
    assert isinstance(read_run_errors(tmp_path / "run", "run").truths, EventTable)
