import pytest

from fedn_lightning.datasets import read
from fedn_lightning.errors import AnnotationError, ConfigError, CorpusNotFoundError
from lookalikes.movies import numbered, write_frames, write_movie

TABLE = """subject,video,onset,apex,offset,type,emotion,emotion_self,action_units
anna,first take,3,5,9,micro,Surprise,joy,1+2
anna,first take.mp4,11,,30,,,,
ben,frames,100,,,macro,happiness,,12
"""


@pytest.fixture
def root(tmp_path):
    write_movie(tmp_path / "videos" / "anna" / "first take.mp4", map(numbered, range(40)), fps=25.0)
    write_movie(tmp_path / "videos" / "anna" / "ünannotated.avi", map(numbered, range(20)), codec="mjpeg")
    write_frames(tmp_path / "videos" / "ben" / "frames", map(numbered, range(40)), "{}.png", first=90)
    (tmp_path / "annotations.csv").write_text(TABLE, encoding="utf-8-sig")
    return tmp_path


def test_reads_videos_and_rows(root):
    corpus = read("csv", str(root), fps="50", offset_policy="keep")
    assert [(v.key, v.fps, v.first_frame, v.n_frames) for v in corpus.videos] == [
        ("anna/first take", 25, 1, 40),
        ("anna/ünannotated", 30, 1, 20),
        ("ben/frames", 50, 90, 40),
    ]
    found = [(e.video_key, e.start, e.end, e.apex, e.type, e.emotion, e.emotion_self) for e in corpus.expressions]
    assert found == [
        ("anna/first take", 2, 9, 4, "micro", "surprise", "joy"),
        ("anna/first take", 10, 30, None, "macro", "", None),
        ("ben/frames", 10, 11, None, "macro", "happiness", None),
    ]
    assert [e.source_row for e in corpus.expressions] == [2, 3, 4]


def test_frames_may_count_from_zero(root):
    corpus = read("csv", str(root), fps="50", first_frame="0", offset_policy="drop")
    assert [(e.start, e.end) for e in corpus.expressions] == [(3, 10), (11, 31)]
    with pytest.raises(ConfigError, match="first_frame 0 or 1"):
        read("csv", str(root), first_frame="2")


def test_a_folder_needs_its_rate(root):
    with pytest.raises(AnnotationError, match=r"the video cannot be opened .*set the policy fps"):
        read("csv", str(root))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("anna,other,1,,9,,,,", r"row 5: there is no usable video anna/other"),
        ("anna,../ben/frames,1,,9,,,,", r"row 5: there is no usable video anna/\.\./ben/frames"),
        ("anna,first take,one,,9,,,,", r"row 5: onset and offset must be frames"),
        ("anna,first take,1,,9,both,,,", r"row 5: onset and offset must be frames, and the type macro, micro or empty"),
        ("anna,first take,9,,1,,,,", r"row 5: the offset lies before the onset"),
        ("anna,first take,9,,41,,,,", r"row 5: the offset lies past the last frame \(40\)"),
    ],
)
def test_rows_that_cannot_be_used_are_named(root, row, message):
    (root / "annotations.csv").write_text(TABLE + row + "\n", encoding="utf-8")
    with pytest.raises(AnnotationError, match=message):
        read("csv", str(root), fps="50", offset_policy="keep")
    assert len(read("csv", str(root), fps="50", offset_policy="keep", unusable_rows="drop").expressions) == 3


def test_two_files_of_one_video_are_named(root):
    write_movie(root / "videos" / "anna" / "first take.avi", map(numbered, range(5)), codec="mjpeg")
    with pytest.raises(AnnotationError, match="another path has the same video name, anna/first take"):
        read("csv", str(root), fps="50")


def test_tables_that_are_none_are_explained(root):
    with pytest.raises(CorpusNotFoundError, match=r"annotations\.csv beside a folder videos"):
        read("csv", str(root / "videos"))
    (root / "annotations.csv").write_text("subject,video,onset\n")
    with pytest.raises(AnnotationError, match="lacks the column offset; it needs subject, video, onset, offset"):
        read("csv", str(root), fps="50")
    (root / "annotations.csv").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(AnnotationError, match=r"cannot be read as a CSV table|lacks the column"):
        read("csv", str(root), fps="50")


def test_names_in_two_forms_meet_or_both_are_shown(tmp_path):
    for name in ("07/base", "u\u0308/first"):
        write_movie(tmp_path / "videos" / f"{name}.mp4", map(numbered, range(40)), fps=25.0)
    rows = "7,base.mp4,1,9,micro\n07,Base,11,19,micro\n\u00fc,first,1,9,macro\n"
    (tmp_path / "annotations.csv").write_text("subject,video,onset,offset,type\n" + rows, encoding="utf-8")
    corpus = read("csv", str(tmp_path))
    assert [e.video_key for e in corpus.expressions] == ["07/base", "07/base", "\u00fc/first"]
    write_movie(tmp_path / "videos" / "007" / "base.mp4", map(numbered, range(40)), fps=25.0)
    with pytest.raises(AnnotationError, match=r"7/base.* could mean 007/base or 07/base"):
        read("csv", str(tmp_path))


@pytest.mark.parametrize(
    ("delimiter", "encoding"),
    [(";", "utf-8-sig"), ("\t", "utf-16"), (";", "cp1252"), ("\t", "utf-8"), (",", "utf-16-le"), (";", "utf-16-be")],
)
def test_tables_of_a_spreadsheet_program_read_alike(root, delimiter, encoding):
    expected = read("csv", str(root), fps="50", offset_policy="keep").expressions
    text = TABLE.replace(",", delimiter).replace("\n", "\r\n")
    text = text.replace("\r\nben", "\r\n\r\n\r\nben")
    rows = text.split("\r\n")
    rows.insert(2, delimiter * 8)  # what Excel leaves of a deleted row
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    (root / "annotations.csv").write_bytes((mark + "\r\n".join(rows)).encode(encoding))
    found = read("csv", str(root), fps="50", offset_policy="keep").expressions
    strip = [(e.video_key, e.start, e.end, e.apex, e.type, e.emotion) for e in found]
    assert strip == [(e.video_key, e.start, e.end, e.apex, e.type, e.emotion) for e in expected]


def test_excels_own_delimiter_line_and_a_decimal_comma_are_read(root):
    rows = "sep=;\nsubject;video;onset;offset;type\nanna;first take;3,0;9,5;micro\n"
    (root / "annotations.csv").write_text(rows, encoding="utf-8")
    (found,) = read("csv", str(root), fps="50").expressions
    assert (found.start, found.end, found.source_row) == (2, 9.5, 3)
    (root / "annotations.csv").write_text(rows.replace("9,5", "1,234"), encoding="utf-8")
    with pytest.raises(AnnotationError, match="row 3: onset and offset must be frames"):
        read("csv", str(root), fps="50")


def test_an_unknown_encoding_is_refused(root):
    (root / "annotations.csv").write_bytes(TABLE.replace("anna", "\u00fcna").encode("cp1252"))
    with pytest.raises(AnnotationError, match="UTF-8 or UTF-16"):
        read("csv", str(root), fps="50")
