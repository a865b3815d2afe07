import json
import re
import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest

from fedn_lightning.cli.evaluate import PROTOCOL_NAMES
from fedn_lightning.cli.main import main
from fedn_lightning.metrics.functional.evaluation import PROTOCOLS, evaluate
from metrics.random_events import realistic

KINDS, EMOTIONS = ("macro", "micro"), ("negative", "positive", "others")


def rows(table, score=True):
    for e in table.to_rows().tolist():
        subject, video, start, end, kind, emotion = (int(x) for x in e[:6])
        scores = [repr(e[6])] if score else []
        yield ",".join([f"s{subject}", f"v{video}", str(start + 1), str(end), KINDS[kind], EMOTIONS[emotion], *scores])


@pytest.fixture
def tables():
    rng = np.random.default_rng(9)
    truths = realistic(rng, 12, 5)
    return realistic(rng, 12, 15, near=truths), truths


@pytest.fixture
def files(tmp_path, tables):
    found, truths = tables
    head = "subject,video,onset,offset,type,emotion"
    (tmp_path / "P.csv").write_text("\n".join([f"{head},score", *rows(found)]) + "\n")
    (tmp_path / "T.csv").write_text("\n".join([head, *rows(truths, score=False)]) + "\n")
    videos = [f"s{v % 22},v{v},3600,30" for v in range(13)]  # the last has no event at all
    (tmp_path / "V.csv").write_text("\n".join(["subject,video,n_frames,fps", *videos]) + "\n")
    return tmp_path


def run(files, *options):
    return main(["evaluate", "--predictions", str(files / "P.csv"), "--truth", str(files / "T.csv"), *options])


def as_json(files, capsys, *options):
    assert run(files, "--json", *options) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("protocol", PROTOCOL_NAMES)
def test_the_json_holds_what_the_library_computes(files, tables, capsys, protocol):
    got = as_json(files, capsys, "--protocol", protocol, "--threshold", "0.3")
    found, truths = tables
    for table in tables:
        table.emotion[table.emotion == EMOTIONS.index("others")] = -1
    e = evaluate(found, truths, PROTOCOLS[protocol], 0.3)
    assert got["protocol"] == protocol
    assert got["selection"] == {"mode": "fixed", "threshold": 0.3, "label": "threshold 0.3, given"}
    assert got["spotting"] == e.spotting.to_dict()
    assert {k: v for k, v in got["detection"].items() if k != "per_class"} == e.detection.summary()
    assert got["detection"]["per_class"] == {EMOTIONS[c]: ap for c, ap in e.detection.per_class().items()}
    assert {k: got["recognition"][k] for k in ("f1_analysis", "uf1", "uar")} == e.recognition["micro"].to_dict()
    assert got["strs"] == e.strs["micro"]
    assert got["strs_by_group"] == e.strs


def test_the_truth_against_itself_scores_one(files, capsys):
    (files / "P.csv").write_text((files / "T.csv").read_text())
    got = as_json(files, capsys)
    assert got["spotting"]["overall"]["f1"] == got["strs"] == got["detection"]["map@0.5:0.95"] == 1
    assert got["selection"]["mode"] == "none"
    assert got["selection"]["threshold"] is None


def test_published_selection_is_labelled_and_strict_uses_other_subjects(files, capsys):
    published = as_json(files, capsys, "--select", "published")
    assert "selected on test data" in published["selection"]["label"]
    best = max(
        as_json(files, capsys, "--threshold", str(t))["spotting"]["overall"]["f1"] for t in np.arange(0, 1, 0.02)
    )
    assert published["spotting"]["overall"]["f1"] >= best
    for name in ("P.csv", "T.csv"):
        (files / f"val{name}").write_text(re.sub("(?m)^s(?=[0-9])", "w", (files / name).read_text()))
    validation = ["--validation", str(files / "valP.csv"), str(files / "valT.csv")]
    strict = as_json(files, capsys, "--select", "strict", *validation)
    assert strict["selection"]["threshold"] == published["selection"]["threshold"]
    assert strict["selection"]["label"].endswith("chosen on 12 validation subjects")
    pair = as_json(files, capsys, "--select", "published", "--per-type")["selection"]["threshold"]
    assert len(pair) == 2


def test_strict_refuses_test_subjects(files, capsys):
    assert run(files, "--select", "strict", "--validation", str(files / "P.csv"), str(files / "T.csv")) == 2
    assert "a threshold chosen on test subjects is not strict" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--select", "strict"], "belong together"),
        (["--validation", "a", "b"], "belong together"),
        (["--per-type"], "--per-type says how --select chooses"),
        (["--threshold", "1", "2", "3"], "takes one number, or two"),
        (["--bootstrap", "-1"], "at least 0"),
    ],
)
def test_options_that_contradict_are_an_error(files, capsys, options, sentence):
    assert run(files, *options) == 2
    assert sentence in capsys.readouterr().err


def test_the_text_names_protocol_and_selection(files, capsys):
    with (files / "P.csv").open("a") as stream:
        stream.write("s99,v99,1,9,micro,positive,0.5\n" * 2)
    assert run(files, "--per-subject", "--bootstrap", "20", "--protocol", "exclusive") == 0
    text = capsys.readouterr().out
    assert re.search(r"protocol +exclusive: AUW-GCN", text)
    assert "selection   none: every prediction counts" in text
    assert "1 rows repeat another exactly (kept, so false positives)" in text
    assert "1 videos have predictions but no truth: 2 predictions, false positives" in text
    assert re.search(r"spotting.overall.f1 +0\.\d{4} +\[0\.\d{4}, 0\.\d{4}\]", text)
    assert re.search(r"(?m)^s99 +0 +2 +0 +- +0.0000 +0.0000$", text)


def test_a_subject_with_nothing_to_find_and_nothing_found_has_no_score(files, capsys):
    with (files / "V.csv").open("a") as stream:
        stream.write("calm,v,100,30\n")
    got = as_json(files, capsys, "--per-subject", "--videos", str(files / "V.csv"))
    assert got["per_subject"]["calm"]["overall"] == dict.fromkeys(("precision", "recall", "f1")) | {
        "tp": 0,
        "fp": 0,
        "fn": 0,
    }
    total = sum(s["overall"]["tp"] for s in got["per_subject"].values())
    assert total == got["spotting"]["overall"]["tp"]


def test_false_positives_are_counted_over_all_videos(files, capsys):
    got = as_json(files, capsys, "--videos", str(files / "V.csv"))
    assert got["froc"]["minutes"] == 26
    assert len(got["froc"]["recall"]["macro"]) == len(got["froc"]["false_positives_per_minute"])
    assert got["files"]["n_videos"] == 13
    assert "froc" not in as_json(files, capsys)


def test_a_video_missing_from_the_list_is_an_error(files, capsys):
    (files / "V.csv").write_text("subject,video,n_frames,fps\ns0,v0,100,30\n")
    assert run(files, "--videos", str(files / "V.csv")) == 2
    assert re.search(r"T\.csv, row 7: video 'v1' of subject 's1' is not listed", capsys.readouterr().err)


def test_a_bad_row_ends_with_a_sentence_unless_lenient(files, capsys):
    with (files / "P.csv").open("a") as stream:
        stream.write("s0,v0,9,3,macro,positive,0.5\n")
    assert run(files) == 2
    error = capsys.readouterr().err
    assert re.fullmatch(r"fedn: error: .*P\.csv, row 182: the offset 3 is before the onset 9\..*--lenient\.\n", error)
    assert run(files, "--lenient") == 0
    assert "1 rows set aside (row 182: the offset 3 is before the onset 9)" in capsys.readouterr().out


def test_challenge_predictions_are_scored(files, capsys):
    lines = [line.split(",") for line in (files / "T.csv").read_text().splitlines()[1:]]
    spotting = [f"{v},{a},{b},{'me' if kind == 'micro' else 'mae'}" for _, v, a, b, kind, _ in lines]
    (files / "P.csv").write_text("\n".join(["vid,pred_onset,pred_offset,type", *spotting]))
    got = as_json(files, capsys)
    assert got["files"]["predictions"]["format"] == "megc"
    assert got["spotting"]["overall"]["f1"] == 1
    assert got["recognition"]["uf1"] is None  # the file says no emotion


def test_the_page_stands_alone(files, capsys):
    page = files / "page.html"
    options = ["--videos", str(files / "V.csv"), "--per-subject", "--bootstrap", "10", "--html", str(page)]
    assert run(files, *options) == 0
    text = page.read_text()
    assert not re.search(r"(?:src|href)\s*=|@import|url\(", text)
    charts = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert len(charts) == 3
    for chart in charts:
        lines = ElementTree.fromstring(chart).findall(".//{http://www.w3.org/2000/svg}polyline")
        assert len(lines) == 3
        assert all(len(line.get("points").split()) > 5 for line in lines)
    assert "selected" not in text
    assert len(text) < 100_000


def test_names_in_the_page_are_escaped(files, capsys):
    for name in ("P.csv", "T.csv"):
        (files / name).write_text((files / name).read_text().replace("s0,", "<b>s0,"))
    assert run(files, "--per-subject", "--html", str(files / "page.html")) == 0
    assert "&lt;b&gt;s0" in (files / "page.html").read_text()


def test_a_page_that_cannot_be_written_is_an_error(files, capsys):
    (files / "file").write_text("")
    assert run(files, "--html", str(files / "file" / "page.html")) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_a_recognisers_files_are_no_spotting_score(files, capsys):
    assert run(files) == 0
    assert capsys.readouterr().err == ""
    (files / "result.json").write_text('{"intervals": "truth"}')
    assert run(files) == 0
    assert "recognition on labelled intervals" in capsys.readouterr().err


def test_the_protocols_of_the_command_are_those_of_the_library():
    assert tuple(PROTOCOLS) == PROTOCOL_NAMES


def test_the_command_imports_neither_torch_nor_pandas(files):
    code = (
        "import sys; from fedn_lightning.cli.main import main; "
        f"main(['evaluate', '--predictions', {str(files / 'P.csv')!r}, '--truth', {str(files / 'T.csv')!r}]); "
        "assert not {'torch', 'pandas', 'scipy', 'matplotlib', 'lightning'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


HEAD = "subject,video,onset,offset,type\n"


def evaluate_texts(folder, predictions, truth, *options):
    (folder / "P.csv").write_text(HEAD + predictions, encoding="utf-8")
    (folder / "T.csv").write_text(HEAD + truth, encoding="utf-8")
    return run(folder, *options)


def test_files_of_different_videos_are_no_f1_of_zero(tmp_path, capsys):
    assert evaluate_texts(tmp_path, "a,clip,1,9,micro\n", "b,other,1,9,micro\n") == 2
    error = capsys.readouterr().err
    assert "a/clip" in error
    assert "b/other" in error


@pytest.mark.parametrize(
    ("here", "there"), [("7,base.mp4", "7,base"), ("07,base", "7,base"), ("7,Base", "7,base"), ("7,01", "7,1")]
)
def test_two_spellings_of_one_video_are_both_shown(tmp_path, capsys, here, there):
    assert evaluate_texts(tmp_path, f"{here},1,9,micro\n", f"{there},1,9,micro\n") == 2
    error = capsys.readouterr().err
    assert all(repr(word) in error for word in [*here.split(","), *there.split(",")])


def test_leniency_does_not_turn_another_spelling_into_a_miss(tmp_path, capsys):
    assert evaluate_texts(tmp_path, "7,base.mp4,1,9,micro\n", "7,base,1,9,micro\n", "--lenient") == 2
    assert "'base.mp4'" in capsys.readouterr().err


def test_unicode_forms_of_a_name_meet(tmp_path, capsys):
    assert evaluate_texts(tmp_path, "u\u0308,a,1,9,micro\n", "\u00fc,a,1,9,micro\n", "--json") == 0
    assert json.loads(capsys.readouterr().out)["spotting"]["overall"]["f1"] == 1


def test_a_video_without_ground_truth_is_named(tmp_path, capsys):
    assert evaluate_texts(tmp_path, "a,x,1,9,micro\na,y,1,9,micro\n", "a,x,1,9,micro\n") == 0
    assert "a/y" in capsys.readouterr().err
