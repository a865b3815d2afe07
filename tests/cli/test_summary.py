"""`fedn summary`, from files to files."""

import csv
import json
import subprocess
import sys

import pytest

from fedn_lightning.cli.main import main
from fedn_lightning.datasets.eaf import CodedEvent, write_eaf
from lookalikes.movies import numbered, write_movie


@pytest.fixture
def coded(tmp_path):
    for name, n in (("anna_1", 2), ("ben 50%", 1)):
        write_movie(tmp_path / f"{name}.mp4", map(numbered, range(50)), fps=25.0)
        events = [CodedEvent(100 + 400 * k, 400 + 400 * k, "micro", "joy & fear") for k in range(n)]
        spans = {"unreliable": [(1000, 2000, "no face")]} if n == 1 else {}
        write_eaf(tmp_path / f"{name}.eaf", tmp_path / f"{name}.mp4", events, spans=spans)
    return tmp_path


def test_tables_and_picture(coded, capsys):
    assert main(["summary", str(coded), "--out", str(coded / "out")]) == 0
    shown = capsys.readouterr()
    assert "wrote summary.csv, summary.md, summary.tex, summary.json, summary.png" in shown.err
    with (coded / "out" / "summary.csv").open(newline="") as file:
        rows = {(row["person"], row["type"], row["emotion"]): row for row in csv.DictReader(file)}
    assert rows["anna_1", "micro", "all"]["per_minute"] == "60"
    assert rows["ben 50%", "all", "joy & fear"]["per_minute"] == "60"  # one event in the second that was analysed
    assert rows["ben 50%", "macro", "all"]["per_minute"] == "0"
    assert rows["ben 50%", "macro", "all"]["duration_mean"] == ""
    assert float(rows["all", "micro", "all"]["per_minute"]) == pytest.approx(60)
    assert rows["all", "micro", "all"]["people"] == "2"
    tex = (coded / "out" / "summary.tex").read_text()
    assert r"anna\_1 & 1 & 0.03" in tex
    assert r"joy \& fear/min" in tex
    assert r"ben 50\%" in tex
    page = (coded / "out" / "summary.md").read_text()
    assert "| anna_1 | 1 | 0.03 | 0.00 |" in page
    assert (coded / "out" / "summary.png").stat().st_size > 5000
    told = json.loads((coded / "out" / "summary.json").read_text())
    assert len(told) == len(rows)
    assert told[0]["intensity_mean"] is None


def test_json_and_messages(coded, capsys):
    assert main(["summary", str(coded / "anna_1.eaf"), "--by", "video", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["video"] == "anna_1"
    assert main(["summary", str(coded), "--by", "condition"]) == 2
    assert "--by condition is not known" in capsys.readouterr().err
    assert main(["summary", str(coded / "none")]) == 2
    assert "There is no file or folder" in capsys.readouterr().err


def test_it_needs_no_torch(coded):
    code = f"""
import sys
from fedn_lightning.cli.main import main
assert main(["summary", {str(coded)!r}, "--out", {str(coded / "out")!r}]) == 0
assert "torch" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
