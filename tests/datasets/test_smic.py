import pytest

from fedn_lightning.datasets import read
from fedn_lightning.datasets.smic import COLUMNS
from fedn_lightning.errors import AnnotationError, CorpusNotFoundError
from lookalikes.others import write_sheet, write_smic


def test_frames_count_from_the_clips_start(tmp_path):
    corpus = read("smic", str(write_smic(tmp_path)))
    assert [v.key for v in corpus.videos] == ["s01/s01_ne_01", "s01/s01_sur_02"]
    assert {(v.fps, v.n_frames) for v in corpus.videos} == {(100, 40)}
    found = [(e.video, e.start, e.end, e.type, e.emotion) for e in corpus.expressions]
    assert found == [("s01_ne_01", 9, 30, "micro", "negative"), ("s01_sur_02", 4, 35, "micro", "surprise")]


def test_images_that_do_not_start_at_the_first_frame_are_shifted(tmp_path):
    root = write_smic(tmp_path)
    for path in sorted((root / "HS" / "s01" / "s01_ne_01").iterdir()):
        path.rename(path.with_name(f"image{int(path.stem[5:]) - 1000:06d}.jpg"))
    first = read("smic", str(root)).expressions[0]
    assert (first.start, first.end) == (9, 30)


def test_remarks_below_the_table_are_no_rows(tmp_path):
    assert read("smic", str(write_smic(tmp_path))).repairs == ()


def test_faults_are_explained(tmp_path):
    with pytest.raises(CorpusNotFoundError, match="SMIC-E-HS was looked for"):
        read("smic", str(tmp_path))
    write_smic(tmp_path)
    write_sheet(tmp_path / "SMIC-HS-E_annotation.xlsx", "Sheet1", [COLUMNS, [9, "s9_ne_01", 5, 9, 1, 20, "negative"]])
    with pytest.raises(AnnotationError, match="row 2: there is no usable video for it"):
        read("smic", str(tmp_path))
    write_sheet(tmp_path / "SMIC-HS-E_annotation.xlsx", "Sheet1", [["Subject", "Filename"]])
    with pytest.raises(AnnotationError, match="has no header row with the columns Subject, Filename, OnsetF"):
        read("smic", str(tmp_path))
