import pytest

from fedn_lightning.datasets import read
from fedn_lightning.errors import AnnotationError, CorpusNotFoundError
from lookalikes.others import SAMM_ROWS, write_samm


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return str(write_samm(tmp_path_factory.mktemp("samm")))


def spans(corpus):
    return {e.source_row - 10: (e.start, e.end) for e in corpus.expressions}


def rules(corpus):
    return [(r.row - 10, r.rule) for r in corpus.repairs]


def test_reads_the_schema(root):
    corpus = read("samm_lv", root)
    assert corpus.subjects == ("006", "010", "011")
    assert [v.key for v in corpus.videos] == ["006/006_1", "010/010_2", "011/011_3"]
    assert {(v.fps, v.first_frame, v.n_frames) for v in corpus.videos} == {(200, 1, 80)}
    first = corpus.expressions[0]
    assert (first.start, first.end, first.apex, first.type, first.action_units) == (4, 60, 19, "macro", "12")


def test_every_quirk_is_repaired_and_listed(root):
    assert rules(read("samm_lv", root)) == [
        (3, "fractions=half_up"),
        (4, "zero_onset=keep"),
        (5, "apex -1 is unknown"),
        (6, "past_end=clip"),
    ]


def test_fractions_are_rounded_half_up_or_kept(root):
    assert spans(read("samm_lv", root))[3] == (30, 50)
    assert spans(read("samm_lv", root, fractions="keep"))[3] == (29.5, 50.25)


def test_an_onset_of_zero_is_the_first_frame_or_dropped(root):
    assert spans(read("samm_lv", root))[4] == (0, 70)
    assert 4 not in spans(read("samm_lv", root, zero_onset="drop"))


def test_an_apex_of_minus_one_is_unknown(root):
    assert next(e for e in read("samm_lv", root).expressions if e.source_row == 15).apex is None


def test_an_offset_past_the_end_is_clipped_or_unusable(root):
    assert spans(read("samm_lv", root))[6] == (49, 80)
    with pytest.raises(AnnotationError, match=r"row 16: the offset lies past the last frame \(80\) of 010/010_2"):
        read("samm_lv", root, past_end="unusable")


def test_emotions_are_joined_by_file_name_and_macro_has_none(root):
    assert {e.source_row - 10: e.emotion for e in read("samm_lv", root).expressions if e.emotion} == {
        2: "anger",
        5: "other",
    }


def test_types_with_halves_are_micro(root):
    assert [e.source_row - 10 for e in read("samm_lv", root).expressions if e.type == "micro"] == [2, 5]


def test_emotions_need_the_other_workbook(tmp_path):
    write_samm(tmp_path)
    (tmp_path / "SAMM_Micro_FACS_Codes_v2.xlsx").unlink()
    assert {e.emotion for e in read("samm_lv", str(tmp_path)).expressions} == {""}


def test_the_newest_annotation_is_read(tmp_path):
    write_samm(tmp_path, SAMM_ROWS[:1], version=1)
    write_samm(tmp_path, SAMM_ROWS[:2], version=2)
    assert len(read("samm_lv", str(tmp_path)).expressions) == 2


def test_faults_are_explained(tmp_path):
    with pytest.raises(CorpusNotFoundError, match=r"SAMM Long Videos was looked for .*licence"):
        read("samm_lv", str(tmp_path))
    write_samm(tmp_path, [*SAMM_ROWS[:1], ["012", "012_1_1", 1, 1, 2, 3, 3, "Macro", "", ""]])
    with pytest.raises(AnnotationError, match="row 12: there is no usable video for it"):
        read("samm_lv", str(tmp_path))
    write_samm(tmp_path, [["006", "006_1_1", 1, "soon", 2, 3, 3, "Macro", "", ""]])
    with pytest.raises(AnnotationError, match="row 11: type or frames are not as expected"):
        read("samm_lv", str(tmp_path))
