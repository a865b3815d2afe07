"""The server of a review: who may ask, what it answers, and the files that follow every change."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys

import pytest

from fedn_lightning.cli.main import main
from fedn_lightning.datasets import read
from fedn_lightning.datasets.eaf import read_eaf
from fedn_lightning.datasets.elan import coded_events
from fedn_lightning.errors import ConfigError, PredictionFileError
from fedn_lightning.review.events import ReviewEvent
from fedn_lightning.review.files import read_videos
from fedn_lightning.review.session import Session

pytest.importorskip("starlette", reason="the extra review is not installed")
from starlette.testclient import TestClient

from fedn_lightning.review.server import application


@pytest.fixture
def client(films, out):
    return reviewing(films / "p", out)


def reviewing(target, out, **options) -> TestClient:
    client = TestClient(application(Session(read_videos(target, **options), out, "cora"), "secret"))
    client.base_url = "http://127.0.0.1/secret/"
    return client


def keys(client) -> list[str]:
    return [row["id"] for row in client.get("api/queue").json()]


def decide(client, key, event, **fields):
    return client.post(
        f"api/videos/{key}/changes", json={"kind": "event", "before": event, "after": {**event, **fields}}
    )


def finish(client, key, state="accepted"):
    for event in client.get(f"api/videos/{key}").json()["events"]:
        assert decide(client, key, event, state=state).status_code == 200
    assert client.post(f"api/videos/{key}/changes", json={"kind": "done", "after": True}).status_code == 200


def test_only_the_token_and_this_machine_have_access(client):
    assert client.get("").status_code == 200
    assert "frame-ancestors 'none'" in client.get("").headers["content-security-policy"]
    for address in ("http://127.0.0.1/", "http://127.0.0.1/wrong/", "http://127.0.0.1/api/queue"):
        assert client.get(address).status_code == 404
    assert client.get("api/queue", headers={"host": "evil.example"}).status_code == 400


def test_the_server_needs_no_torch():
    code = "import sys, fedn_lightning.review.server, fedn_lightning.review.files; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


def test_the_most_uncertain_video_comes_first(client):
    queue = client.get("api/queue").json()
    assert f'<video id="video" src="media/{queue[0]["id"]}"' in client.get("").text
    assert [row["name"] for row in queue] == ["anna", "ben"]
    assert queue[0]["uncertainty"] > queue[1]["uncertainty"] > 0


def test_a_video_is_served_by_ranges(client, films):
    answer = client.get(f"media/{keys(client)[0]}", headers={"range": "bytes=100-199"})
    assert answer.status_code == 206
    assert answer.content == (films / "anna.mp4").read_bytes()[100:200]


def test_frames_crops_and_curves(client):
    key = keys(client)[0]
    for query in ("", "?face=1", "?face=1&since=40", "?face=9"):
        answer = client.get(f"frames/{key}/60{query}")
        assert answer.headers["content-type"] == "image/jpeg"
        assert answer.content.startswith(b"\xff\xd8")
    curves = client.get(f"api/videos/{key}/curves?first=35&last=75").json()
    assert sorted(curves) == ["confidence_macro", "confidence_micro", "motion_brows", "motion_mouth"]
    assert max(curves["confidence_macro"]["values"]) == pytest.approx(0.9)
    assert len(curves["confidence_macro"]["values"]) == 41
    line = client.get(f"api/videos/{key}/timeline").json()
    assert line == {"fps": 30.0, "start": 0.0, "n_frames": 300, "times": None}


@pytest.mark.parametrize(
    "address",
    ["frames/KEY/0", "frames/KEY/301", "frames/KEY/5?face=x", "api/videos/none", "api/videos/KEY/curves?first=-1"],
)
def test_what_cannot_be_is_a_sentence(client, address):
    answer = client.get(address.replace("KEY", keys(client)[0]))
    assert answer.status_code == 400
    assert answer.json()["error"].endswith(".")


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b'{"kind": "other"}', b'{"kind": "event", "after": {"id": 1}}', b'{"kind": "event", "after": 7}'],
)
def test_a_change_that_cannot_be_read_is_refused(client, body):
    answer = client.post(f"api/videos/{keys(client)[0]}/changes", content=body)
    assert answer.status_code == 400


def test_a_stale_page_is_told_and_gets_the_new_state(client):
    key = keys(client)[0]
    state = client.get(f"api/videos/{key}").json()
    event = state["events"][0]
    assert client.get(f"api/videos/{key}?since={state['version']}").status_code == 204
    assert decide(client, key, event, state="accepted").status_code == 200
    assert decide(client, key, event, state="rejected").status_code == 409
    newer = client.get(f"api/videos/{key}?since={state['version']}").json()
    assert newer["events"][0]["state"] == "accepted"


def test_finished_videos_are_a_corpus_that_the_csv_reader_reads(client, out):
    key = keys(client)[0]
    event = client.get(f"api/videos/{key}").json()["events"][1]
    decide(client, key, event, onset=118, apex=125, emotion="disgust", state="accepted")
    finish(client, key)
    client.post(f"api/videos/{key}/changes", json={"kind": "subject", "after": "berta"})
    corpus = read("csv", str(out))
    assert corpus.subjects == ("berta",)
    found = [(e.start, e.end, e.apex, e.type, e.emotion) for e in corpus.expressions]
    assert found == [
        (39, 70, None, "macro", "positive"),
        (117, 131, 124, "micro", "disgust"),
        (199, 240, None, "macro", "negative"),
    ]
    assert [p.name for p in (out / "videos").iterdir()] == ["berta"]
    assert (out / "people.csv").read_text().splitlines() == ["video,person", "ben,ben", "anna,berta"]
    assert {tier.person for tier in read_eaf(out / "elan" / f"{key}.eaf").tiers} == {"berta"}
    client.post(f"api/videos/{key}/changes", json={"kind": "done", "after": False})
    assert list(csv.DictReader((out / "annotations.csv").open())) == []


def test_a_rejected_event_is_not_in_the_table(client, out):
    finish(client, keys(client)[1], "rejected")
    corpus = read("csv", str(out))
    assert (len(corpus.videos), len(corpus.expressions)) == (1, 0)


def test_elan_files_hold_the_accepted_events_to_the_millisecond(client, out):
    key = keys(client)[0]
    for event in client.get(f"api/videos/{key}").json()["events"]:
        decide(client, key, event, state="accepted", apex=125 if event["type"] == "micro" else None)
    overlapping = ReviewEvent("mine", 60, 90, "macro", "fear", "accepted").to_dict()
    client.post(f"api/videos/{key}/changes", json={"kind": "event", "before": None, "after": overlapping})
    document = read_eaf(out / "elan" / f"{key}.eaf")
    assert document.video.name == "anna.mp4"
    read_back = [(e.start_ms, e.end_ms, e.type, e.emotion, e.coder) for e in coded_events(document)]
    assert sorted(read_back) == [
        (1300, 2333, "macro", "positive", "cora"),
        (1967, 3000, "macro", "fear", "cora"),
        (3967, 4367, "micro", "surprise", "cora"),
        (6633, 8000, "macro", "negative", "cora"),
    ]
    apex = next(e.attributes["apex"] for e in coded_events(document) if e.type == "micro")
    assert float(apex) == pytest.approx((125 - 1) / 30, abs=0.001)


def test_a_corpus_is_reviewed_and_comes_back(client, out, tmp_path):
    finish(client, keys(client)[0])
    again = reviewing(out, tmp_path / "second")
    state = again.get(f"api/videos/{keys(again)[0]}").json()
    assert state["annotated"]
    assert {e["state"] for e in state["events"]} == {"accepted"}
    again.post(f"api/videos/{state['id']}/changes", json={"kind": "done", "after": True})
    assert (tmp_path / "second" / "annotations.csv").read_text().replace(",1,\n", ",1,0\n").count("\n") == 4
    assert read("csv", str(tmp_path / "second")).expressions == read("csv", str(out)).expressions


def test_media_that_moved_are_found_by_name(films, out, tmp_path):
    shutil.copytree(films / "p", tmp_path / "p")
    record = tmp_path / "p" / "anna" / "prediction.json"
    record.write_text(record.read_text().replace(str(films / "anna.mp4"), "/nowhere/anna.mp4"))
    lost = reviewing(tmp_path / "p", out)
    row = next(row for row in lost.get("api/queue").json() if row["name"] == "anna")
    assert "not there" in row["error"]
    assert "--media" in lost.get(f"media/{row['id']}").json()["error"]
    found = reviewing(tmp_path / "p", out, media=str(films))
    assert found.get(f"media/{row['id']}").status_code == 200


def test_predictions_that_cannot_be_read_are_named(tmp_path, films):
    shutil.copytree(films / "p", tmp_path / "p")
    (tmp_path / "p" / "ben" / "events.csv").write_text("face,type\n1,macro\n")
    with pytest.raises(PredictionFileError, match=r"ben.*onset"):
        read_videos(tmp_path / "p")
    with pytest.raises(ConfigError, match=r"prediction\.json"):
        read_videos(tmp_path)


def test_the_command_refuses_what_it_cannot_use(tmp_path, films, capsys):
    assert main(["review", str(tmp_path / "none")]) == 2
    assert main(["review", str(films / "p"), "--coder", "a/b"]) == 2
    assert main(["review", str(films / "p"), "--out", str(tmp_path), "--port", "99999"]) == 2
    said = capsys.readouterr().err
    assert all(word in said for word in ("There is no folder", "--coder", "--port 99999"))


def test_files_that_a_person_edited_are_kept(films, out, capsys):
    client = reviewing(films / "p", out)
    key = keys(client)[1]
    finish(client, key)
    table, coded = out / "annotations.csv", out / "elan" / f"{key}.eaf"
    before = table.read_text()
    reviewing(films / "p", out)
    assert not (out / "edited").exists(), "nobody has edited anything"
    table.write_text(before.replace("positive", "contempt"))
    coded.write_text(coded.read_text() + " ")
    again = reviewing(films / "p", out)
    assert "contempt" in (out / "edited" / "annotations-1.csv").read_text()
    assert table.read_text() == before
    assert (out / "edited" / f"{key}-1.eaf").is_file()
    assert capsys.readouterr().err.count("was edited outside fedn review") == 2
    again.post(f"api/videos/{key}/changes", json={"kind": "subject", "after": "berta"})
    assert len(list((out / "edited").iterdir())) == 2


def test_a_history_is_plain_text_with_coder_and_time(client, out):
    key = keys(client)[0]
    decide(client, key, client.get(f"api/videos/{key}").json()["events"][0], state="rejected")
    lines = [json.loads(line) for line in (out / "history" / f"{key}.jsonl").read_text().splitlines()]
    assert [line["kind"] for line in lines] == ["start", "event"]
    assert (lines[1]["coder"], lines[1]["before"]["state"], lines[1]["after"]["state"]) == ("cora", "open", "rejected")
    assert "time" in lines[1]
