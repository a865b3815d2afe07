import shutil

import pytest

from fedn_lightning.datasets import read
from fedn_lightning.errors import AnnotationError, ConfigError, CorpusNotFoundError
from fedn_lightning.events import Expression
from lookalikes.casme2 import ROWS, write_casme2, write_workbook

WORKBOOK = "CAS(ME)^2code_final.xlsx"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_casme2(tmp_path_factory.mktemp("casme2"))


def with_rows(root, tmp_path, *rows):
    """The look-alike with other rows."""
    shutil.copytree(root, tmp_path / "corpus")
    write_workbook(tmp_path / "corpus" / WORKBOOK, rows)
    return str(tmp_path / "corpus")


def spans(corpus):
    return {e.source_row: (e.start, e.end) for e in corpus.expressions}


def test_reads_the_schema(root):
    corpus = read("casme2", str(root))
    assert corpus.subjects == ("s15", "s16", "s19", "s23")
    assert len(corpus.videos) == 6, "unannotated videos count"
    video = corpus.videos[0]
    assert (video.key, video.fps, video.first_frame, video.n_frames) == ("s15/15_0101disgustingteeth", 30, 1, 60)
    assert corpus.expressions_of(video)[0] == Expression(
        "casme2", "s15", "15_0101disgustingteeth", 2, 12, 6, "macro", "negative", "disgust", "4", 1
    )


def test_frames_are_converted_to_half_open_from_zero(root):
    found = spans(read("casme2", str(root)))
    assert found[1] == (2, 12)
    assert found[7] == (0, 60), "frames 1 to 60 of a video of 60 frames"


@pytest.mark.parametrize("kind", ["rawpic", "cropped"])
def test_frame_folders_give_the_same_expressions(root, kind, tmp_path):
    frames = read("casme2", str(write_casme2(tmp_path, kind)))
    assert frames.expressions == read("casme2", str(root)).expressions
    assert {(v.fps, v.first_frame, v.n_frames) for v in frames.videos} == {(30, 1, 60)}


def test_a_video_belongs_to_the_subject_in_its_name_not_to_its_folder(root):
    corpus = read("casme2", str(root))
    stray = next(v for v in corpus.videos if v.name == "23_0502funnyerrors")
    assert stray.subject == "s23"
    assert "/s19/" in stray.path
    assert [e.source_row for e in corpus.expressions_of(stray)] == [5, 6]


def test_a_misspelt_video_name_is_matched_by_number_and_code(root):
    assert next(e for e in read("casme2", str(root)).expressions if e.source_row == 4).video == "16_0502unnyfarting"


@pytest.mark.parametrize(
    ("policy", "span"),
    [("apex", (19, 24)), ("apex_plus:20", (19, 44)), ("apex_plus:99", (19, 60)), ("mirror", (19, 28)), ("drop", None),
     ("keep", (19, 20))],
)  # fmt: skip
def test_an_unknown_offset_follows_the_policy_and_is_listed(root, policy, span):
    corpus = read("casme2", str(root), offset_policy=policy)
    assert spans(corpus).get(2) == span
    repair = next(r for r in corpus.repairs if r.rule == f"offset_policy={policy}")
    assert (repair.row, repair.before) == (2, "onset 20, apex 24, offset unknown")
    assert (repair.after == "dropped") == (span is None)
    assert [e.end_known for e in corpus.expressions if e.source_row == 2] == [False] * (span is not None)
    assert all(e.end_known for e in corpus.expressions if e.source_row != 2)


def test_an_unknown_offset_and_apex_is_dropped(root, tmp_path):
    corpus = read("casme2", with_rows(root, tmp_path, ROWS[0], [1, "anger1_1", 5, 0, 0, 4, *ROWS[2][6:]]))
    assert spans(corpus) == {1: (2, 12)}
    assert [r.after for r in corpus.repairs] == ["apex unknown", "dropped"]


def test_every_repair_is_listed(root):
    rules = [(r.row, r.rule) for r in read("casme2", str(root)).repairs]
    assert rules == [
        (2, "offset_policy=apex"),
        (4, "spelling"),
        (4, "apex 0 is unknown"),
        (5, "apex outside the expression"),
    ]


def test_labels_are_stripped_lowered_and_spelt(root):
    found = {e.source_row: e for e in read("casme2", str(root)).expressions}
    assert found[3].emotion == "negative"
    assert found[4].emotion_self == "happiness"


def test_the_type_may_come_from_the_duration(root):
    label = {e.source_row: e.type for e in read("casme2", str(root)).expressions}
    corpus = read("casme2", str(root), type_source="duration")
    duration = {e.source_row: e.type for e in corpus.expressions}
    assert label[1] == "macro"
    assert duration[1] == "micro", "10 frames"
    assert duration[7] == "macro"
    changed = {row for row in label if label[row] != duration[row]}
    assert changed == {r.row for r in corpus.repairs if r.rule == "type_source=duration"}


@pytest.mark.parametrize(("last", "kind"), [(17, "micro"), (18, "macro")])
def test_half_a_second_is_the_longest_micro_expression(root, tmp_path, last, kind):
    rows = [[1, "disgust1_1", 3, 7, last, 4, "negative", "macro-expression", "disgust"]]
    corpus = read("casme2", with_rows(root, tmp_path, *rows), type_source="duration")
    assert corpus.expressions[0].type == kind


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({4: 61}, r"row 2: the offset lies past the last frame \(60\) of s15/15_0101"),
        ({2: 0}, "row 2: the onset lies before the first frame"),
        ({4: 2}, "row 2: the offset lies before the onset"),
        ({2: "three"}, "row 2: onset, apex and offset must be numbers"),
        ({7: "makro"}, "row 2: the type must be one of macro-expression, micro-expression"),
        ({6: "joy"}, "row 2: the emotion must be one of negative"),
        ({0: 99}, "row 2: the naming rules do not know the row's subject"),
        ({1: "boredom1_1"}, "row 2: the naming rules do not know"),
        ({1: "disgust2_1"}, "row 2: there is no usable video 15_0102"),
    ],
)
def test_an_unusable_row_is_an_error_or_dropped_by_policy(root, tmp_path, change, message):
    bad = [change.get(column, cell) for column, cell in enumerate(ROWS[0])]
    corpus = with_rows(root, tmp_path, ROWS[0], bad, ROWS[2])
    with pytest.raises(AnnotationError, match=message):
        read("casme2", corpus)
    kept = read("casme2", corpus, unusable_rows="drop")
    assert sorted(spans(kept)) == [1, 3]
    assert [(r.row, r.after) for r in kept.repairs] == [(2, "dropped")]


def test_a_row_past_the_end_of_a_video_may_be_clipped(root, tmp_path):
    corpus = read("casme2", with_rows(root, tmp_path, [*ROWS[0][:4], 63, *ROWS[0][5:]]), past_end="clip")
    assert spans(corpus) == {1: (2, 60)}
    assert [(r.rule, r.after) for r in corpus.repairs] == [("past_end=clip", "onset 3, apex 7, offset 60")]


def test_an_error_counts_the_other_unusable_rows(root, tmp_path):
    bad = [*ROWS[0][:7], "makro", "disgust"]
    with pytest.raises(AnnotationError, match=r"row 1: .* 2 more cannot be used either"):
        read("casme2", with_rows(root, tmp_path, bad, bad, bad))


def test_a_missing_corpus_is_explained(tmp_path):
    with pytest.raises(CorpusNotFoundError, match=r"nowhere, which does not exist.*licence.*synthetic\.yaml"):
        read("casme2", str(tmp_path / "nowhere"))


def test_a_workbook_without_videos_is_explained(tmp_path):
    write_workbook(tmp_path / WORKBOOK)
    with pytest.raises(CorpusNotFoundError, match="holds no videos"):
        read("casme2", str(tmp_path))


def test_the_folder_above_the_release_is_accepted(root, tmp_path):
    shutil.copytree(root, tmp_path / "download" / "CASME2-long")
    assert len(read("casme2", str(tmp_path / "download")).expressions) == len(ROWS)


def test_a_file_that_is_no_workbook_is_refused(root, tmp_path):
    broken = with_rows(root, tmp_path)
    (tmp_path / "corpus" / WORKBOOK).write_text("not a workbook")
    with pytest.raises(AnnotationError, match=r"code_final\.xlsx cannot be read as a spreadsheet"):
        read("casme2", broken)


def test_a_workbook_without_naming_rules_is_refused(root, tmp_path):
    import openpyxl

    broken = with_rows(root, tmp_path)
    openpyxl.Workbook().save(tmp_path / "corpus" / WORKBOOK)
    with pytest.raises(AnnotationError, match="has no sheet number 2"):
        read("casme2", broken)


def test_a_renamed_workbook_is_found_and_two_are_refused(root, tmp_path):
    corpus = with_rows(root, tmp_path, *ROWS)
    (tmp_path / "corpus" / WORKBOOK).rename(tmp_path / "corpus" / "code_final.xlsx")
    assert len(read("casme2", corpus).expressions) == len(ROWS)
    write_workbook(tmp_path / "corpus" / WORKBOOK)
    with pytest.raises(AnnotationError, match="several annotation tables"):
        read("casme2", corpus)


def test_two_files_of_one_video_are_set_aside(root, tmp_path):
    corpus = with_rows(root, tmp_path, *ROWS)
    folder = tmp_path / "corpus" / "rawvideo" / "s15"
    shutil.copy(folder / "15_0401girlcrashing.avi", folder / "15_0401copy.avi")
    with pytest.raises(AnnotationError, match="another path has the same video name, 15_0401"):
        read("casme2", corpus)
    kept = read("casme2", corpus, unusable_rows="drop")
    assert 3 not in spans(kept)
    assert {r.row for r in kept.repairs if r.after == "dropped"} == {0, 3}


def test_a_video_that_cannot_be_opened_is_set_aside(root, tmp_path):
    corpus = with_rows(root, tmp_path, *ROWS)
    (tmp_path / "corpus" / "rawvideo" / "s15" / "15_0401girlcrashing.avi").write_bytes(b"RIFF no more")
    with pytest.raises(AnnotationError, match=r"15_0401girlcrashing\.avi: the video cannot be opened"):
        read("casme2", corpus)
    assert len(read("casme2", corpus, unusable_rows="drop").videos) == 5


def test_misspelt_policies_and_corpora_are_refused(root):
    with pytest.raises(ConfigError, match="offset_policy is 'apexx'"):
        read("casme2", str(root), offset_policy="apexx")
    with pytest.raises(ConfigError, match="Did you mean offset_policy"):
        read("casme2", str(root), offset_polcy="apex")
    with pytest.raises(ConfigError, match="Did you mean casme2"):
        read("casme_2", str(root))
    with pytest.raises(ConfigError, match="type_source is 'length'"):
        read("casme2", str(root), type_source="length")


def test_frame_folders_count_from_their_first_number(tmp_path):
    root = write_casme2(tmp_path, "rawpic")
    folder = tmp_path / "rawpic" / "s15" / "15_0101disgustingteeth"
    for number in (1, 2):
        (folder / f"img{number:03d}.jpg").unlink()
    corpus = read("casme2", str(root))
    video = next(v for v in corpus.videos if v.name == folder.name)
    assert (video.first_frame, video.n_frames) == (3, 58)
    assert spans(corpus)[1] == (0, 10)
