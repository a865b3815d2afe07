import argparse
import json
from pathlib import Path

import pytest

from fedn_lightning.cli.data import add_target, target_of
from fedn_lightning.cli.main import main
from fedn_lightning.video.store import ClipStore
from lookalikes.casme2 import ROWS, write_casme2, write_workbook


@pytest.fixture
def root(tmp_path):
    return write_casme2(tmp_path / "casme2", frames=60)


def experiment(tmp_path, root):
    path = tmp_path / "toy.yaml"
    path.write_text(
        f"""
data:
  init_args:
    corpus: {{dataset: casme2, root: "{root}", policies: {{offset_policy: drop}}}}
    crops: {{store: "{tmp_path}/store", size: 48, jobs: 0}}
"""
    )
    return str(path)


def check(capsys, *words):
    """Exit code and JSON of a check."""
    code = main(["data", "check", *words, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_a_whole_corpus_is_ready(root, capsys):
    code, found = check(capsys, str(root))
    assert code == 0
    assert found["ready"]
    assert found["counts"]["macro"] == 5
    assert found["published"]["macro"] == 300
    assert [r["row"] for r in found["repairs"]] == [2, 4, 4, 5]


def test_an_experiment_names_corpus_and_policies_and_arguments_win(root, tmp_path, capsys):
    path = experiment(tmp_path, root)
    assert check(capsys, path)[1]["counts"]["macro"] == 4
    assert check(capsys, path, "--policy", "offset_policy=mirror")[1]["counts"]["macro"] == 5


def test_unusable_rows_and_videos_are_listed_and_stop_training(root, capsys):
    write_workbook(root / "CAS(ME)^2code_final.xlsx", [*ROWS, [1, "disgust2_1", 1, 2, 3, 4, *ROWS[0][6:]]])
    code, found = check(capsys, str(root))
    assert code == 1
    assert [(f["row"], f["rule"]) for f in found["faults"]] == [(8, "unusable: there is no usable video 15_0102")]
    assert main(["data", "check", str(root)]) == 1
    assert "Training cannot start before this is fixed." in capsys.readouterr().out


def test_decoding_finds_a_broken_video(root, tmp_path, capsys):
    path = root / "rawvideo" / "s16" / "16_0502unnyfarting.avi"
    path.write_bytes(path.read_bytes()[:30000])
    code, found = check(capsys, str(root), "--decode", "--jobs", "1", "--cache", str(tmp_path / "cache.json"))
    assert code == 1
    readers = {key: result["reader"] for key, result in found["decoding"].items()}
    assert readers.pop("s16/16_0502unnyfarting") == "none"
    assert set(readers.values()) == {"decord"}
    assert (tmp_path / "cache.json").is_file()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "CAS(ME)^2 was looked for in"),
        (["none.yaml"], "none.yaml cannot be read as an experiment"),
        ([".", "--policy", "apex"], "must have the form NAME=VALUE"),
        ([".", "--policy", "offset=apex"], "has no policy 'offset'"),
    ],
)
def test_wrong_targets_are_one_sentence_and_exit_code_2(words, message, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert main(["data", "check", *words]) == 2
    error = capsys.readouterr().err
    assert error.startswith("fedn: error: ")
    assert message in error


def test_an_experiment_over_another_reads_what_both_say(root, tmp_path, capsys):
    base = Path(experiment(tmp_path, root))
    (tmp_path / "over").mkdir()
    path = tmp_path / "over" / "toy.yaml"
    path.write_text("base: ../toy.yaml\ndata: {init_args: {crops: {size: 32}}}\n")
    args = argparse.ArgumentParser()
    add_target(args)
    target, under = (target_of(args.parse_args([str(file)])) for file in (path, base))
    assert (target.dataset, target.root, target.policies) == (under.dataset, under.root, under.policies)
    assert target.crops == {**under.crops, "size": 32}
    assert under.crops["size"] != 32
    path.write_text("base: nowhere.yaml\n")
    assert main(["data", "check", str(path)]) == 2
    assert "names the base nowhere.yaml" in capsys.readouterr().err


def test_an_experiment_without_a_corpus_is_refused(tmp_path, capsys):
    (tmp_path / "empty.yaml").write_text("data: {init_args: {corpus: {root: a}}}")
    assert main(["data", "check", str(tmp_path / "empty.yaml")]) == 2
    assert "names no corpus: data.init_args.corpus needs the keys dataset and root" in capsys.readouterr().err


def test_prepare_takes_its_settings_from_the_experiment(root, tmp_path, capsys):
    assert main(["data", "prepare", experiment(tmp_path, root), "--align", "none"]) == 0
    store = ClipStore(tmp_path / "store")
    assert len(store) == 6
    assert next(iter(store)).frames.shape == (60, 48, 48, 3)
    assert "6 videos prepared, 0 were current, 0 set aside" in capsys.readouterr().out


def test_prepare_reports_what_it_sets_aside(root, tmp_path, capsys):
    path = root / "rawvideo" / "s16" / "16_0502unnyfarting.avi"
    path.write_bytes(path.read_bytes()[:30000])
    write_workbook(root / "CAS(ME)^2code_final.xlsx", [*ROWS, [99, *ROWS[0][1:]]])
    assert main(["data", "prepare", experiment(tmp_path, root), "--align", "none"]) == 1
    error = capsys.readouterr().err
    assert "set aside: s16/16_0502unnyfarting: " in error
    assert "row 8: unusable: the naming rules do not know" in error


def test_prepare_needs_a_store(root, capsys):
    assert main(["data", "prepare", str(root)]) == 2
    assert "--store is missing" in capsys.readouterr().err


def test_prepare_reads_boxes(root, tmp_path, capsys):
    (tmp_path / "boxes.csv").write_text("video,x,y,width,height\n15_0101disgustingteeth,0,0,40,40\n")
    words = ["data", "prepare", experiment(tmp_path, root), "--boxes", str(tmp_path / "boxes.csv")]
    assert main(words) == 1, "the look-alikes show no face"
    assert [video.key for video in ClipStore(tmp_path / "store")] == ["s15/15_0101disgustingteeth"]
    (tmp_path / "boxes.csv").write_text("video,x,y,width,height\n15_0101,0,0,40,40\n")
    assert main(words) == 2
    assert "row 2: '15_0101' names 0 videos of the corpus" in capsys.readouterr().err


def test_an_experiment_whose_names_need_quotes_is_read(tmp_path, root, capsys):
    path = tmp_path / "odd.yaml"
    corpus = f'{{dataset: casme2, root: "{root}", policies: {{offset_policy: drop}}}}'
    path.write_text(f"data:\n  init_args:\n    corpus: {corpus}\n    test_subject: [017]\n")
    assert check(capsys, str(path))[1]["counts"]["macro"] == 4
