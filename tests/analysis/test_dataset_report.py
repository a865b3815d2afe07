import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from fedn_lightning.analysis.dataset_report import (
    VALENCES,
    Agreement,
    DatasetReport,
    cohen_kappa,
    draw_report,
    print_report,
    save_report,
)
from fedn_lightning.datasets import read
from fedn_lightning.datasets.base import published_counts
from fedn_lightning.events import Corpus, Expression, Repair, Video
from lookalikes.casme2 import ROWS, write_casme2


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    root = write_casme2(tmp_path_factory.mktemp("casme2"))
    return DatasetReport(read("casme2", str(root)), {"subjects": 22, "videos": 6})


def corpus(*expressions, repairs=()):
    video = Video("toy", "s1", "v", "v.avi", 30.0, 1, 100)
    other = Video("toy", "s2", "v", "w.avi", 30.0, 1, 100)
    return Corpus("toy", (video, other), expressions, repairs)


def expression(start, end, row=1, subject="s1", **labels):
    return Expression(
        "toy", subject, "v", start, end, None, "micro", labels.get("emotion", ""), labels.get("own"), "", row
    )


def text_of(report, **options):
    console = Console(width=200, record=True, file=open("/dev/null", "w"))  # noqa: PTH123, SIM115
    print_report(report, console, **options)
    return console.export_text()


def test_everything_is_counted(report):
    counts = report.counts()
    assert counts == {
        "subjects": 4, "videos": 6, "annotated videos": 5, "frames": 360, "macro": 5, "micro": 2,
    }  # fmt: skip
    assert report.labels()["expert"] == {"negative": 3, "others": 2, "positive": 1, "surprise": 1}
    assert report.rates() == {"30": 6}
    assert report.lengths()["micro"] == [10, 12]
    assert sum(report.counts()[kind] for kind in ("macro", "micro")) == len(ROWS)


def test_a_corpus_is_ready_if_nothing_is_unusable_and_two_subjects_express_something():
    usable = corpus(expression(0, 9), expression(0, 9, subject="s2"))
    assert DatasetReport(usable).ready
    assert not DatasetReport(corpus(expression(0, 9))).ready
    fault = Repair("t.csv", 3, "unusable: no video", "", "dropped")
    assert not DatasetReport(Corpus("toy", usable.videos, usable.expressions, (fault,))).ready
    repaired = Repair("t.csv", 3, "offset_policy=apex", "", "")
    assert DatasetReport(Corpus("toy", usable.videos, usable.expressions, (repaired,))).ready


def test_overlaps_are_listed_as_the_release_counts():
    found = DatasetReport(corpus(expression(0, 10, 4), expression(9, 20, 5), expression(20, 30, 6))).overlaps()
    assert [(o.video, o.rows, o.frames) for o in found] == [("s1/v", (4, 5), ("1-10", "10-20"))]


def test_agreement_maps_self_reports_to_valences():
    rows = [("negative", "fear"), ("negative", "happiness"), ("others", "sympathy"), ("surprise", "surprise")]
    both = DatasetReport(corpus(*(expression(0, 5, emotion=e, own=s) for e, s in rows))).agreement()
    assert (both.agreeing, both.confusion.sum()) == (3, 4)
    assert both.confusion[VALENCES.index("negative")].tolist() == [1, 1, 0, 0]
    assert (both.analysed().agreeing, both.analysed().confusion.sum()) == (2, 3)
    assert DatasetReport(corpus(expression(0, 5, emotion="fear"))).agreement() is None


def test_kappa_equals_its_definition_by_counting_pairs():
    rng = np.random.default_rng(0)
    for _ in range(20):
        pairs = rng.integers(0, 4, (50, 2))
        pairs[:30, 1] = pairs[:30, 0]
        confusion = np.zeros((4, 4), np.int64)
        np.add.at(confusion, tuple(pairs.T), 1)
        chance = np.mean([a == b for a in pairs[:, 0] for b in pairs[:, 1]])
        assert cohen_kappa(confusion) == pytest.approx((np.mean(pairs[:, 0] == pairs[:, 1]) - chance) / (1 - chance))
    assert np.isnan(Agreement(np.array([[5]])).kappa)


def test_kappa_of_published_agreement_without_others():
    # 246 of 275 agree (kappa 0.82) where the marginals are about those of the release.
    confusion = np.array([[113, 4, 6, 3], [6, 112, 2, 4], [2, 1, 21, 1]])
    assert Agreement(confusion).agreeing == 246
    assert Agreement(confusion).kappa == pytest.approx(0.82, abs=0.02)


def test_the_text_lists_every_repair_and_marks_counts_that_differ(report):
    text = text_of(report)
    assert "published" in text
    assert "row 2: offset_policy=apex: onset 20, apex 24, offset unknown -> onset 20, apex 24, offset 24" in text
    assert "expert (rows) and self-report agree on 5 of 7" in text


def test_long_lists_are_cut_unless_asked_for():
    repairs = tuple(Repair("t.csv", n, "rule", "a", "b") for n in range(1, 21))
    assert "... and 8 more" in text_of(DatasetReport(corpus(expression(0, 9), repairs=repairs)))
    everything = text_of(DatasetReport(corpus(expression(0, 9), repairs=repairs)), everything=True)
    assert "row 20: rule" in everything
    assert "more" not in everything


def test_the_picture_has_a_panel_for_lengths_each_label_and_agreement(report, tmp_path):
    assert [axes.get_title() for axes in draw_report(report).axes] == [
        "length",
        "expert labels",
        "self-reported labels",
        f"kappa {report.agreement().kappa:.2f}",
    ]
    save_report(report, tmp_path / "check.png")
    assert Image.open(tmp_path / "check.png").size[0] > 1000


def test_a_generated_corpus_has_no_published_counts(tmp_path):
    assert published_counts("casme2", str(tmp_path))["micro"] == 57
    (tmp_path / "corpus.json").write_text("{}")
    assert published_counts("casme2", str(tmp_path)) is None
