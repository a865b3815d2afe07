import pytest

from fedn_lightning.datasets import read
from fedn_lightning.errors import AnnotationError, ConfigError, CorpusNotFoundError
from lookalikes.others import CASME3_ROWS, write_casme3


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return str(write_casme3(tmp_path_factory.mktemp("casme3")))


def by_row(corpus):
    return {e.source_row - 1: e for e in corpus.expressions}


def test_reads_the_schema_from_text_cells(root):
    corpus = read("casme3", root)
    assert corpus.subjects == ("spNO.1", "spNO.2")
    assert {v.key: (v.fps, v.first_frame, v.n_frames) for v in corpus.videos} == {
        "spNO.1/a": (30, 10, 40),
        "spNO.1/J": (30, 0, 40),
        "spNO.2/a": (30, 0, 40),
    }
    assert corpus.videos[1].path.endswith("spNO.1/a/color")


def test_frames_count_from_the_folders_first_number(root):
    first = by_row(read("casme3", root))[1]
    assert (first.start, first.apex, first.end) == (2, 5, 11)


def test_a_folder_with_a_capital_name_is_the_same_video(root):
    assert by_row(read("casme3", root))[3].video == "J"


def test_unknown_offsets_follow_the_policy(root):
    assert by_row(read("casme3", root))[3].end == 9
    assert by_row(read("casme3", root, offset_policy="mirror"))[3].end == 12
    assert 3 not in by_row(read("casme3", root, offset_policy="drop"))


def test_an_offset_before_the_apex_forgets_the_apex(root):
    corpus = read("casme3", root)
    assert (by_row(corpus)[4].end, by_row(corpus)[4].apex) == (16, None)
    assert (5, "apex outside the expression") in [(r.row, r.rule) for r in corpus.repairs]


def test_emotions_of_micro_expressions_come_from_the_second_workbook(root):
    assert {row: e.emotion for row, e in by_row(read("casme3", root)).items()} == {
        1: "disgust",
        2: "",
        3: "",
        4: "",
        5: "others",
    }


def test_long_micro_expressions_are_dropped_on_request(root):
    corpus = read("casme3", root, max_length="15")
    assert sorted(by_row(corpus)) == [1, 2, 3, 4]
    assert [(r.row, r.after) for r in corpus.repairs if r.rule == "max_length=15"] == [(6, "dropped")]
    with pytest.raises(ConfigError, match="max_length is 'short'"):
        read("casme3", root, max_length="short")


def test_expressions_across_a_gap_are_kept_or_dropped(root):
    assert 2 in by_row(read("casme3", root))
    corpus = read("casme3", root, across_gap="drop")
    assert sorted(by_row(corpus)) == [1, 3, 4, 5]
    assert [r.row for r in corpus.repairs if r.rule == "across_gap=drop"] == [3]


def test_faults_are_explained(tmp_path):
    with pytest.raises(CorpusNotFoundError, match=r"CAS\(ME\)\^3 part A was looked for"):
        read("casme3", str(tmp_path))
    write_casme3(tmp_path, [*CASME3_ROWS[:1], ["spNO.9", *CASME3_ROWS[0][1:]]])
    with pytest.raises(AnnotationError, match=r"row 3: there is no usable video for it \(spNO\.9, a, 12"):
        read("casme3", str(tmp_path))
    write_casme3(tmp_path, [[*CASME3_ROWS[0][:6], "both", "I"]])
    with pytest.raises(AnnotationError, match="row 2: type or onset are not as expected"):
        read("casme3", str(tmp_path))
