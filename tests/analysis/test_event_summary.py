from pathlib import Path

import pytest

from fedn_lightning.analysis.event_summary import observe, read_covariates, summarise
from fedn_lightning.datasets.eaf import CodedEvent
from fedn_lightning.errors import ConfigError, PredictionFileError
from fedn_lightning.results.coded import CodedVideo


def video(name, events, persons=("",), seconds=120.0, unreliable=()):
    return CodedVideo(Path(f"{name}.eaf"), name, tuple(events), seconds, 25.0, tuple(unreliable), persons)


JOY = CodedEvent(10_000, 12_000, "macro", "Joy", attributes={"intensity": "2.0"})
FEAR = CodedEvent(20_000, 20_400, "micro", "fear", attributes={"intensity": "1.0"})
LONG = CodedEvent(50_000, 56_000, "", "")


def test_rates_durations_and_intensities():
    (group,) = summarise(observe([video("a", [JOY, FEAR, LONG], unreliable=[(60_000, 90_000, "")])]))
    assert (group.labels, group.minutes, group.unreliable_minutes) == ({"person": "a"}, 1.5, 0.5)
    assert group.cell("all").events == 3
    macro = group.cell("macro")  # an event without a type is macro by its length
    assert (macro.events, macro.per_minute.value, macro.duration.value) == (2, pytest.approx(2 / 1.5), 4)
    assert macro.duration_sd == pytest.approx(8**0.5)
    assert group.cell("all").intensity.value == 1.5
    assert group.cell("macro", "joy").events == 1
    assert group.cell("macro", "none").events == 1
    assert group.cell("micro", "fear").duration.value == pytest.approx(0.4)


def test_events_in_unreliable_time_do_not_count():
    (group,) = summarise(observe([video("a", [JOY, FEAR], unreliable=[(9_000, 15_000, ""), (0, 1, "face 2")])]))
    assert (group.set_aside, group.cell("all").events) == (1, 1)
    assert group.minutes == pytest.approx(114 / 60)


def test_each_face_is_a_person_with_time_of_its_own():
    two = video("a", [CodedEvent(0, 900, "macro", person="face 2")], ("face 1", "face 2"), 60, [(0, 30_000, "face 1")])
    first, second, everyone = summarise(observe([two]))
    assert (first.labels["person"], first.minutes, first.cell("all").events) == ("a, face 1", 0.5, 0)
    assert (second.labels["person"], second.minutes, second.cell("all").events) == ("a, face 2", 1, 1)
    assert (everyone.people, everyone.videos, everyone.minutes) == (2, 1, 1.5)


def test_a_video_that_one_coder_coded_twice_is_refused():
    with pytest.raises(PredictionFileError, match=r"a\.eaf and a\.eaf both hold the video a of a, .* count twice"):
        observe([video("a", [JOY]), video("a", [JOY, FEAR])])
    anna, ben = (video("a", [CodedEvent(0, 900, "macro", person=who)], (who,)) for who in ("anna", "ben"))
    assert len(observe([anna, ben])) == 2


def test_groups_by_person_and_condition(tmp_path):
    table = tmp_path / "covariates.csv"
    table.write_text("video,person,condition\na.mp4,P1,calm\nb,P1,stress\nc,P2,stress\n")
    videos = [video("a", [JOY]), video("b", [FEAR, JOY]), video("c", [FEAR])]
    seen = observe(videos, read_covariates(table))
    groups = summarise(seen, ["condition"])
    assert [(g.labels["condition"], g.people, g.videos, g.cell("all").events) for g in groups] == [
        ("calm", 1, 1, 1),
        ("stress", 2, 2, 3),
        ("all", 2, 3, 4),
    ]
    both = summarise(seen, ["person", "condition"])
    assert [tuple(g.labels.values()) for g in both][:3] == [("P1", "calm"), ("P1", "stress"), ("P2", "stress")]
    with pytest.raises(
        ConfigError, match=r"--by group is not known; it must be one of video, person, condition, coder"
    ):
        summarise(seen, ["group"])


def test_covariates_by_person_and_by_face(tmp_path):
    table = tmp_path / "covariates.csv"
    table.write_text("person,group\nZoë,patients\n")
    (seen,) = observe([video("a", [], ("Zoë",))], read_covariates(table))
    assert (seen.labels["person"], seen.labels["group"]) == ("Zoë", "patients")
    table.write_text("video,face,person\na,1,Anna\na,2,Ben\n")
    labels = [s.labels["person"] for s in observe([video("a", [], ("face 1", "face 2"))], read_covariates(table))]
    assert labels == ["Anna", "Ben"]


def test_what_is_missing_is_told(tmp_path):
    table = tmp_path / "covariates.csv"
    table.write_text("video,seconds\nb,60\n")
    with pytest.raises(PredictionFileError, match=r"covariates\.csv has no rows for video 'a'"):
        observe([video("a", [])], read_covariates(table))
    unknown = video("b", [JOY], seconds=float("nan"))
    with pytest.raises(PredictionFileError, match=r"Nothing tells how long the video of b\.eaf is"):
        observe([unknown])
    assert observe([unknown], read_covariates(table))[0].seconds == 60
    table.write_text("name\na\n")
    with pytest.raises(PredictionFileError, match="lacks the column video"):
        read_covariates(table)
    table.write_text("video,person\na,b,c\n")
    with pytest.raises(PredictionFileError, match=r"row 2: "):
        read_covariates(table)
