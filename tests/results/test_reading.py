import numpy as np
import pytest

from fedn_lightning.errors import PredictionFileError
from fedn_lightning.events import NO_EMOTION
from fedn_lightning.results import Names, read_events, read_videos

HEAD = "subject,video,onset,offset,type,emotion,score\n"


@pytest.fixture
def write(tmp_path):
    def write(text, name="P.csv"):
        path = tmp_path / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write


def test_inclusive_frames_become_half_open(write):
    names = Names()
    file = read_events(write(HEAD + "07,v1,1,10,macro,Happy,0.5\n07,v2,11.5,12,micro,others,0.25\n"), names)
    events = file.events
    assert events.start.tolist() == [0, 10.5]
    assert events.end.tolist() == [10, 12]
    assert events.type.tolist() == [0, 1]
    assert events.score.tolist() == [0.5, 0.25]
    assert events.emotion.tolist() == [names.emotions["happy"], NO_EMOTION]
    assert names.subjects == {"07": 0}  # text stays text
    assert (file.format, file.duplicates, file.set_aside) == ("fedn", 0, ())


def test_score_and_emotion_may_be_missing_and_columns_stand_in_any_order(write):
    file = read_events(write("\ufeffType, offset ,onset,apex,video,subject\nMACRO,9,2,5,v,s\n"), Names())
    assert file.events.to_rows().tolist() == [[0, 0, 1, 9, 0, -1, 1, 1, 1]]


def test_the_emotion_score_is_read_where_it_is_written(write):
    head = HEAD.replace("score", "score,emotion_score")
    assert read_events(write(head + "s,v,1,9,macro,happy,0.5,0.25\n"), Names()).events.emotion_score.tolist() == [0.25]


def test_truths_tell_whose_offset_is_unknown_and_predictions_do_not(write):
    head = HEAD.replace("score", "offset_known")
    path = write(head + "s,v,1,9,macro,happy,0\ns,v,20,29,macro,happy,1\n")
    assert read_events(path, Names(), truth=True).events.end_known.tolist() == [False, True]
    assert read_events(path, Names()).events.end_known.tolist() == [True, True]


def test_truths_have_no_score(write):
    file = read_events(write(HEAD + "s,v,1,9,macro,happy,\n"), Names(), truth=True)
    assert file.events.score.tolist() == [1.0]


def test_the_spotting_challenge_file_finds_its_videos_by_name(write):
    names = Names()
    read_events(
        write("subject,video,onset,offset,type\ns1,a,1,9,macro\ns2,a,1,9,macro\ns2,b,1,9,macro\n"), names, truth=True
    )
    text = "vid,pred_onset,pred_offset,type\nb,2,9,me\ns1_a,2,9,mae\ns2/a,2,9,me\nnew,2,9,me\n"
    file = read_events(write(text), names)
    assert file.format == "megc"
    assert file.events.type.tolist() == [1, 0, 1, 1]
    keys = list(names.videos)
    assert [keys[v] for v in file.events.video] == [("s2", "b"), ("s1", "a"), ("s2", "a"), ("new", "new")]


def test_a_name_that_several_subjects_share_is_refused_where_it_stands_alone(write):
    names = Names()
    read_events(write("subject,video,onset,offset,type\ns1,a,1,9,macro\ns2,a,1,9,macro\n"), names, truth=True)
    with pytest.raises(PredictionFileError, match=r"row 2: video 'a' exists for several subjects \(s1, s2"):
        read_events(write("vid,pred_onset,pred_offset,type\na,2,9,me\n"), names)


def test_the_spot_then_recognise_file_holds_micro_expressions(write):
    file = read_events(write("subject,video,onset,offset,emotion\ns,v,1,9,negative\n"), Names())
    assert (file.format, file.events.type.tolist(), file.has_emotion) == ("str", [1], True)


BAD = {
    "s,v,9,5,macro,happy,0.5": "the offset 5 is before the onset 9",
    "s,v,1,5,nano,happy,0.5": "the type 'nano' is not known",
    "s,v,1,5,macro,happy,nan": "the score 'nan' is not a number",
    "s,v,1,5,macro,happy,": "the score '' is not a number",
    "s,v,one,5,macro,happy,0.5": "the onset 'one' is not a number",
    "s,v,1,inf,macro,happy,0.5": "the offset 'inf' is not a number",
    "s,,1,5,macro,happy,0.5": "the video has no name",
    "s,v,1,5,macro,happy": "it has 6 cells, the first row has 7",
}


@pytest.mark.parametrize(("row", "reason"), BAD.items())
def test_a_bad_row_is_named_with_its_file_and_reason(write, row, reason):
    path = write(f"{HEAD}s,v,1,5,macro,happy,0.5\n\n{row}\n")
    with pytest.raises(PredictionFileError) as caught:
        read_events(path, Names())
    # The blank row counts as a row of the file, as in any editor.
    assert str(caught.value).startswith(f"{path}, row 4: {reason}")


def test_lenient_sets_bad_rows_aside_and_keeps_the_others(write):
    names = Names()
    good = "s,v,1,5,macro,happy,0.5\n"
    file = read_events(write(HEAD + good + "".join(f"{row}\n" for row in BAD) + good), names, lenient=True)
    assert len(file.events) == 2
    assert [bad.row for bad in file.set_aside] == list(range(3, 3 + len(BAD)))
    assert [bad.reason.split(";")[0] for bad in file.set_aside] == list(BAD.values())
    assert file.duplicates == 1


def test_a_row_set_aside_leaves_no_video_behind(write):
    names = Names()
    read_events(write(HEAD + "s,v,1,5,macro,happy,0.5\ns,ghost,9,5,macro,happy,0.5\n"), names, lenient=True)
    assert list(names.videos) == [("s", "v")]


def test_blocks_are_read_like_rows(write, monkeypatch):
    rng = np.random.default_rng(0)
    rows = [
        f"s{k % 3},v{k % 7},{o},{o + 4},{('macro', 'ME')[k % 2]},e{k % 4},{k / 100}\n"
        for k, o in enumerate(rng.integers(1, 90, 95))
    ]
    path = write(HEAD + "".join(rows))
    whole = read_events(path, names := Names())
    monkeypatch.setattr("fedn_lightning.results.reading._BLOCK", 10)
    monkeypatch.setattr("fedn_lightning.results.reading._parse_block", lambda *_: None)
    again = Names(names.subjects, names.videos, names.emotions)
    np.testing.assert_array_equal(read_events(path, again).events.to_rows(), whole.events.to_rows())


def test_missing_columns_are_named(write):
    path = write("subject,video,onset,type,score\n")
    with pytest.raises(PredictionFileError, match="lacks the column offset; its first row has subject, video"):
        read_events(path, Names())
    with pytest.raises(PredictionFileError, match="lacks the column pred_offset"):
        read_events(write("vid,pred_onset,type\n"), Names())
    with pytest.raises(PredictionFileError, match="Separate columns by commas"):
        read_events(write("subject|video|onset|offset|type\n"), Names())


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "is empty"),
        (b"\xff\xfe\x00\xd8s\x00", "not CSV text in UTF-8 or UTF-16"),
        (HEAD.encode() + b"s,v\xe9\n", "not CSV text in UTF-8"),
    ],
)
def test_a_file_that_is_no_table_is_refused(write, content, reason):
    with pytest.raises(PredictionFileError, match=reason):
        read_events(write(content), Names())


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(PredictionFileError, match=r"none.csv cannot be read: No such file"):
        read_events(tmp_path / "none.csv", Names())
    with pytest.raises(PredictionFileError, match="cannot be read"):
        read_events(tmp_path, Names())


def test_a_header_alone_is_an_empty_table(write):
    assert len(read_events(write(HEAD), Names()).events) == 0


VIDEOS = "subject,video,n_frames,fps\n"


def test_a_video_list_gives_the_duration_and_closes_the_names(write):
    names = Names()
    assert read_videos(write(VIDEOS + "s,v,3600,30\ns,w,1800,30\n", "V.csv"), names) == 3.0
    assert names.lengths == {("s", "v"): (3600, 30.0), ("s", "w"): (1800, 30.0)}
    with pytest.raises(PredictionFileError, match=r"row 2: video 'x' of subject 's' is not listed in .*V.csv"):
        read_events(write(HEAD + "s,x,1,5,macro,happy,0.5\n"), names)
    lenient = read_events(write(HEAD + "s,x,1,5,macro,happy,0.5\ns,v,1,5,macro,,0.5\n"), names, lenient=True)
    assert (len(lenient.events), len(lenient.set_aside)) == (1, 1)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("s,v,0,30", "must be positive"),
        ("s,v,100,nan", "the fps 'nan' is not a number"),
        ("s,v,100", "it has 3 cells"),
        ("s,v,100,30\ns,v,100,30", "row 3: video 'v' of subject 's' is listed twice"),
    ],
)
def test_a_bad_video_list_is_refused(write, row, reason):
    with pytest.raises(PredictionFileError, match=reason):
        read_videos(write(f"{VIDEOS}{row}\n"), Names())


def test_tables_of_a_spreadsheet_program_read_alike(tmp_path):
    plain, excel = tmp_path / "plain.csv", tmp_path / "excel.csv"
    text = "subject,video,onset,offset,type,score\na,x,1,9,micro,0.5\nb,y,3.25,8,macro,1\n"
    plain.write_text(text)
    rows = text.replace(",", "\t").replace(".", ",").splitlines()
    excel.write_bytes("\r\n".join([rows[0], rows[1], "\t" * 5, "", rows[2]]).encode("utf-16"))
    expected, found = read_events(plain, Names()).events, read_events(excel, Names()).events
    assert found.to_rows().tolist() == expected.to_rows().tolist()
    excel.write_text(text.replace("3.25", '"1,234"'))
    with pytest.raises(PredictionFileError, match="row 3: the onset '1,234' is not a number"):
        read_events(excel, Names())
