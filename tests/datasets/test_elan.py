"""A corpus coded in ELAN, as anything but the happy path finds it."""

import shutil

import numpy as np
import pytest

from fedn_lightning.datasets import read
from fedn_lightning.datasets.eaf import CodedEvent, read_eaf, write_eaf
from fedn_lightning.datasets.elan import TierMap, coded_events, frame_at, frame_shown, read_tier_map, unmapped
from fedn_lightning.errors import AnnotationError, ConfigError, CorpusNotFoundError
from fedn_lightning.video.containers import Timeline
from lookalikes.movies import numbered, write_movie

MACRO = CodedEvent(200, 1000, "macro", "Happiness", attributes={"apex": "0.52", "action_units": "6+12"})
MICRO = CodedEvent(1000, 1200, "micro", "surprise")


@pytest.fixture
def root(tmp_path):
    """Two people; one video of 50 frames at 25 frames a second each."""
    for person in ("P1", "P2"):
        write_movie(tmp_path / person / "talk.mp4", map(numbered, range(50)), fps=25.0)
        write_eaf(tmp_path / person / "talk.eaf", tmp_path / person / "talk.mp4", [MACRO, MICRO])
    return tmp_path


def test_a_corpus_like_any_other(root):
    corpus = read("elan", str(root))
    assert [(v.key, v.fps, v.first_frame, v.n_frames) for v in corpus.videos] == [
        ("P1/talk", 25, 1, 50),
        ("P2/talk", 25, 1, 50),
    ]
    found = [(e.start, e.end, e.apex, e.type, e.emotion, e.action_units) for e in corpus.expressions]
    assert found == 2 * [(5, 25, 13, "macro", "happiness", "6+12"), (25, 30, None, "micro", "surprise", "")]
    assert corpus.repairs == ()


def test_the_folder_may_be_moved_and_the_file_renamed(root, tmp_path_factory):
    moved = tmp_path_factory.mktemp("elsewhere") / "corpus"
    shutil.move(root, moved)
    (moved / "P1" / "talk.eaf").rename(moved / "P1" / "coded again.eaf")
    assert [v.key for v in read("elan", str(moved)).videos] == ["P1/talk", "P2/talk"]


def test_frames_are_those_that_a_player_shows():
    """Picture 0.65 s after the sound, and a rate that changes."""
    even = Timeline(np.arange(50) / 25, 0.65, 25.0)
    assert [frame_at(ms, even) for ms in (650, 670.1, 850, 2650)] == [0, 1, 5, 50]
    uneven = Timeline(np.concatenate([np.arange(20) / 20, 1 + np.arange(30) / 50]), 0.0, 30.0)
    assert [frame_at(ms, uneven) for ms in (500, 1000, 1200)] == [10, 20, 30]


@pytest.mark.parametrize("fps", [24.0, 29.97, 60.0, 200.0])
def test_every_frame_comes_back_from_its_millisecond(fps):
    rng = np.random.default_rng(3)
    uneven = np.concatenate([[0], np.cumsum(rng.uniform(0.8, 1.2, 3000) / fps)])
    for timeline in (Timeline(np.arange(3001) / fps, 0.123, fps), Timeline(uneven, 0.0, 3000 / uneven[-1])):
        shown = timeline.start + timeline.times
        assert [frame_at(round(1000 * t), timeline) for t in shown] == list(range(3001))
        middles = shown[:-1] + np.diff(timeline.times) / 2
        assert [frame_shown(round(1000 * t), timeline) for t in middles] == list(range(3000))


def test_tiers_and_texts_are_mapped_by_a_small_file(root):
    shutil.rmtree(root / "P2")
    document = root / "P1" / "talk.eaf"
    text = document.read_text().replace('LINGUISTIC_TYPE_REF="macro"', 'LINGUISTIC_TYPE_REF="default-lt"')
    document.write_text(text.replace('TIER_ID="macro"', 'TIER_ID="FaceExpr"').replace("surprise", "ME-neg"))
    with pytest.raises(
        AnnotationError, match=r"talk\.eaf: nobody says what the tier 'FaceExpr' holds \(1 annotations\)"
    ):
        read("elan", str(root))
    dropped = read("elan", str(root), unusable_rows="drop")
    assert [e.type for e in dropped.expressions] == ["micro"]
    assert "FaceExpr" in dropped.repairs[0].rule
    (root / "elan.yaml").write_text(
        "tiers: {faceexpr*: {type: duration, emotion: joy}}\nvalues: {me-NEG: {type: macro, emotion: negative}}\n"
    )
    corpus = read("elan", str(root))
    assert [(e.type, e.emotion) for e in corpus.expressions] == [("macro", "joy"), ("macro", "negative")]
    (root / "other.yaml").write_text("tiers: {'*': ignore}")
    assert read("elan", str(root), tiers="other.yaml").expressions == ()
    with pytest.raises(ConfigError, match=r"none\.yaml cannot be read"):
        read("elan", str(root), tiers="none.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tiers: [a]", "tiers must be a table"),
        ("tier: {a: macro}", "must hold the keys tiers and values; it has tier"),
        ("- a", "must hold the keys tiers and values"),
        ("tiers: {a: makro}", r"type in .*tiers\.a is 'makro'; it must be one of macro, micro, duration, ignore"),
        ("values: {joy: {emotoin: x}}", r"values\.joy is .*; it must be a word, or a table with type and emotion"),
        ("values: {joy: 1}", r"values\.joy is 1"),
        ("tiers: {a", "cannot be read as a map of tiers"),
    ],
)
def test_a_map_that_cannot_be_is_told(tmp_path, text, message):
    (tmp_path / "elan.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_tier_map(tmp_path / "elan.yaml")


def test_a_tier_may_hold_types_as_texts(tmp_path):
    write_eaf(tmp_path / "a.eaf", tmp_path / "a.mp4", [CodedEvent(0, 900, "", "Micro"), CodedEvent(900, 950, "")])
    events = coded_events(read_eaf(tmp_path / "a.eaf"), TierMap())
    assert [(e.type, e.emotion) for e in events] == [("micro", ""), ("", "")]
    assert unmapped(read_eaf(tmp_path / "a.eaf"), TierMap()) == []


def test_one_of_several_coders_is_chosen(root):
    shutil.rmtree(root / "P2")
    video = root / "P1" / "talk.mp4"
    (root / "P1" / "talk.eaf").unlink()
    write_eaf(root / "P1" / "a.eaf", video, [CodedEvent(200, 1000, "macro", "joy", coder="anna")])
    write_eaf(root / "P1" / "b.eaf", video, [CodedEvent(0, 120, "micro", "fear", coder="ben")])
    with pytest.raises(AnnotationError, match=r"several people coded this video; .*policy coder \(anna, ben\)"):
        read("elan", str(root))
    assert [e.emotion for e in read("elan", str(root), coder="ben").expressions] == ["fear"]
    with pytest.raises(AnnotationError, match=r"the coder 'carl' has no tier for this video \(coders: anna, ben\)"):
        read("elan", str(root), coder="carl")
    write_eaf(root / "P1" / "c.eaf", video, [CodedEvent(0, 120, "micro", "fear", coder="anna")])
    with pytest.raises(AnnotationError, match=r"a\.eaf and .*c\.eaf code one video \(talk\), and both name .*'anna'"):
        read("elan", str(root), coder="ben")


def test_two_files_without_a_coder(root):
    shutil.copy(root / "P1" / "talk.eaf", root / "P1" / "copy.eaf")
    with pytest.raises(AnnotationError, match=r"both name the coder 'fedn-lightning'"):
        read("elan", str(root))


def test_who_is_filmed(root, tmp_path_factory):
    flat = tmp_path_factory.mktemp("flat")
    shutil.copy(root / "P1" / "talk.mp4", flat / "talk.mp4")
    write_eaf(flat / "talk.eaf", flat / "talk.mp4", [MACRO])
    with pytest.raises(AnnotationError, match=r"nobody says who is filmed; use a folder for each person"):
        read("elan", str(flat))
    assert [v.key for v in read("elan", str(flat), subject="file").videos] == ["talk/talk"]
    write_eaf(flat / "talk.eaf", flat / "talk.mp4", [CodedEvent(0, 900, "macro", person="Zoë")])
    assert [v.key for v in read("elan", str(flat)).videos] == ["Zoë/talk"]
    pair = [CodedEvent(0, 900, "macro", person="Zoë"), CodedEvent(0, 800, "macro", person="Max")]
    write_eaf(flat / "talk.eaf", flat / "talk.mp4", pair)
    with pytest.raises(AnnotationError, match=r"its tiers are of several people; set the policy subject=participant"):
        read("elan", str(flat))
    corpus = read("elan", str(flat), subject="participant")
    assert [(e.video_key, e.end) for e in corpus.expressions] == [("Max/talk", 20), ("Zoë/talk", 22)]
    write_eaf(flat / "talk.eaf", flat / "talk.mp4", [CodedEvent(0, 900, "macro", person="face 1")])
    with pytest.raises(AnnotationError, match=r"the tiers do not name their people"):
        read("elan", str(flat), subject="participant")


def test_what_cannot_be_used_is_named(root):
    empty = root / "P3"
    empty.mkdir()
    with pytest.raises(CorpusNotFoundError, match=r"holds no \.eaf file"):
        read("elan", str(empty))
    with pytest.raises(ConfigError, match="subject is 'me'"):
        read("elan", str(root), subject="me")
    (root / "P1" / "talk.mp4").rename(root / "P1" / "other name.mp4")
    with pytest.raises(
        AnnotationError, match=r"talk\.eaf: the file cannot be used \(The video of .* was looked for at"
    ):
        read("elan", str(root))
    (root / "P1" / "talk.mp4").write_text("no video")
    with pytest.raises(AnnotationError, match=r"talk\.mp4: the video cannot be opened"):
        read("elan", str(root))
    assert [v.key for v in read("elan", str(root), unusable_rows="drop").videos] == ["P2/talk"]


def test_an_annotation_past_the_end_is_clipped_and_listed(root):
    shutil.rmtree(root / "P2")
    write_eaf(root / "P1" / "talk.eaf", root / "P1" / "talk.mp4", [CodedEvent(1000, 2100, "macro", "joy")])
    corpus = read("elan", str(root))
    assert [(e.start, e.end) for e in corpus.expressions] == [(25, 50)]
    assert [r.rule for r in corpus.repairs] == ["past_end=clip"]
    with pytest.raises(AnnotationError, match=r"row 2: the offset lies past the last frame \(50\)"):
        read("elan", str(root), past_end="unusable")
