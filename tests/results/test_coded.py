"""Coded videos in every form in which they come."""

import json

import pytest

from fedn_lightning.datasets.eaf import CodedEvent, write_eaf
from fedn_lightning.errors import AnnotationError, PredictionFileError
from fedn_lightning.results.coded import find_sources, read_coded
from lookalikes.movies import numbered, write_movie

HEAD = "video,face,type,emotion,confidence,emotion_confidence,onset,offset,start_seconds,end_seconds,start_timecode"


def predicted(folder, faces=(1,), rows=(), files=("events.csv",), unreliable=()):
    """A folder as `fedn predict` leaves it, of a video of 100 s."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [HEAD, *(f"talk.mp4,{face},{kind},{emotion},0.8,0.7,1,2,{a},{b},x" for face, kind, emotion, a, b in rows)]
    (folder / "events.csv").write_text("\n".join(lines) + "\n")
    spans = [
        {"face": f, "start_seconds": a, "end_seconds": b, "start": 0, "end": 1, "reason": "no face"}
        for f, a, b in unreliable
    ]
    record = {
        "files": list(files), "video": "/v/talk.mp4", "seconds": 100.0, "fps": 25.0, "unreliable": spans,
        "faces": [{"face": face, "box": None} for face in faces],
    }  # fmt: skip
    (folder / "prediction.json").write_text(json.dumps(record))
    return folder


def test_a_folder_of_predict(tmp_path):
    folder = predicted(tmp_path / "talk", rows=[(1, "micro", "positive", 1.2345, 1.5)], unreliable=[(1, 0, 2.5)])
    (video,) = read_coded(folder)
    assert (video.name, video.seconds, video.fps, video.persons) == ("talk", 100, 25, ("",))
    (event,) = video.events
    assert (event.start_ms, event.end_ms, event.type, event.emotion) == (1234, 1500, "micro", "positive")
    assert event.attributes == {"confidence": "0.8", "emotion confidence": "0.7"}
    assert video.unreliable_seconds("") == 2.5


def test_faces_are_people_also_those_without_an_event(tmp_path):
    folder = predicted(tmp_path / "talk", (1, 2), [(2, "macro", "", 1, 3)], unreliable=[(1, 0, 10), (1, 5, 15)])
    (video,) = read_coded(folder)
    assert video.persons == ("face 1", "face 2")
    assert [event.person for event in video.events] == ["face 2"]
    assert (video.unreliable_seconds("face 1"), video.unreliable_seconds("face 2")) == (15, 0)


def test_a_corrected_file_is_what_counts(tmp_path):
    folder = predicted(tmp_path / "talk", files=("events.eaf",))
    write_eaf(folder / "events.eaf", "/v/talk.mp4", [CodedEvent(0, 900, "macro", "joy", coder="anna")])
    (video,) = read_coded(folder)
    assert ([e.emotion for e in video.events], video.coder, video.seconds) == (["joy"], "anna", 100)


def test_a_file_of_elan_alone_learns_its_length_from_the_video(tmp_path):
    write_movie(tmp_path / "v.mp4", map(numbered, range(50)), fps=25.0)
    path = write_eaf(tmp_path / "v.eaf", tmp_path / "v.mp4", [], spans={"unreliable": [(0, 400, "no face")]})
    (video,) = read_coded(path)
    assert (video.seconds, video.fps, video.unreliable_seconds("")) == (pytest.approx(2), 25, 0.4)
    (tmp_path / "v.mp4").unlink()
    (video,) = read_coded(path)
    assert str(video.seconds) == "nan"


def test_a_table_of_several_videos_and_coders(tmp_path):
    table = tmp_path / "all.csv"
    table.write_text("video;person;coder;type;start_seconds;end_seconds\na.mp4;P1;anna;me;1;2\nb.mp4;;anna;macro;0;1\n")
    first, second = read_coded(table)
    assert (first.name, first.events[0].type, first.persons, second.name) == ("a", "micro", ("P1",), "b")
    table.write_text(table.read_text() + "a.mp4;P1;ben;macro;3;4\n")
    with pytest.raises(PredictionFileError, match=r"is coded by several people \(anna, ben\)"):
        read_coded(table)
    with pytest.raises(PredictionFileError, match=r"has nothing of the coder 'carl'"):
        read_coded(table, coder="carl")


def test_what_cannot_be_used_is_told(tmp_path):
    table = tmp_path / "t.csv"
    table.write_text("type,start_seconds,end_seconds\nmacro,2,1\n")
    with pytest.raises(PredictionFileError, match=r"t\.csv, row 2: end_seconds 1 is before start_seconds 2"):
        read_coded(table)
    table.write_text("type,start_seconds,end_seconds\nmakro,1,2\n")
    with pytest.raises(PredictionFileError, match=r"row 2: the type 'makro' is not known"):
        read_coded(table)
    table.write_text("type,onset,offset\nmacro,1,2\n")
    with pytest.raises(PredictionFileError, match="lacks the column start_seconds"):
        read_coded(table)
    path = write_eaf(tmp_path / "v.eaf", "v.mp4", [CodedEvent(0, 9, "macro")])
    path.write_text(path.read_text().replace('"macro"', '"speech"'))
    with pytest.raises(AnnotationError, match="nobody says what the tier 'speech' holds"):
        read_coded(path)
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "prediction.json").write_text('{"source": {}}')
    with pytest.raises(PredictionFileError, match="of a video that was not finished"):
        read_coded(tmp_path / "half")
    folder = predicted(tmp_path / "megc", files=("predictions_megc.csv",))
    with pytest.raises(PredictionFileError, match="holds no events with times"):
        read_coded(folder)


def test_sources_are_found_below_a_folder_once(tmp_path):
    folder = predicted(tmp_path / "out" / "talk", files=("events.eaf",))
    write_eaf(folder / "events.eaf", "v.mp4", [])
    loose = write_eaf(tmp_path / "out" / "anna.eaf", "v.mp4", [])
    assert find_sources([tmp_path, folder]) == [folder, loose]
    assert find_sources([folder / "events.eaf"]) == [folder / "events.eaf"]
    with pytest.raises(PredictionFileError, match="There is no file or folder"):
        find_sources([tmp_path / "none"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(PredictionFileError, match=r"holds neither outputs of fedn predict .* nor \.eaf files"):
        find_sources([tmp_path / "empty"])
