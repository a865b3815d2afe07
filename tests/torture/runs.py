"""Folders of runs, outputs of `fedn predict` and files of ELAN, damaged after they were written."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import yaml
from pulses_data import write_corpus

from fedn_lightning.datasets import read
from fedn_lightning.datasets.eaf import CodedEvent, write_eaf
from lookalikes.movies import numbered, write_movie
from torture import damage
from torture.checkpoints import CONF
from torture.running import Case, Ended, run
from torture.tables import BAD_CELLS, bad_cell, bad_shape, cut, events_of
from torture.videos import film_face, write_detector

PAGE = ["report", "run", "--out", "page.html", "--bootstrap", "20", "--strips", "1", "--looks", "1"]
COMMANDS = {
    "report": PAGE,
    "errors": ["errors", "run", "--json"],
    "compare": ["compare", "run", "other", "--bootstrap", "20", "--json"],
}
FILES = (
    "predictions.csv",
    "proposals.csv",
    "truth.csv",
    "videos.csv",
    "result.json",
    "config.yaml",
    "metrics.csv",
    "env.txt",
)


def damaged_table(path: Path, rng: Random) -> tuple[bytes, str]:
    """A table of a run with a bad cell, a bad row, or without its end."""
    rows = [line.split(",") for line in path.read_text().splitlines()]
    if len(rows) < 2:
        return b"", "nothing"
    draw = rng.randrange(3)
    if draw == 0:
        numbers = [name for name in rows[0] if name in ("onset", "offset", "n_frames", "fps", "score")]
        data, what, _ = bad_cell(rows, rng, numbers, BAD_CELLS)
    elif draw == 1:
        data, what, _ = bad_shape(rows, rng)
    else:
        data, what = cut(rows, rng)
    return data, what


class RunFolders:
    """The folder of a small run, read by the commands that look at runs."""

    name, count, short = "run folder", 60, 6

    def __init__(self, shop: Path) -> None:
        self.shop = shop
        write_corpus(shop / "pulses", subjects=3)
        text = (CONF / "pulses.yaml").read_text().replace("max_epochs: 6", "max_epochs: 2")
        (shop / "pulses.yaml").write_text(text)
        self._run(["fit", "--config", "pulses.yaml", "--run_dir", "run"])
        shutil.copytree(shop / "run", shop / "other")
        self.answers = {name: self._answer(name, self._run(words), shop) for name, words in COMMANDS.items()}

    def _run(self, words: list[str]) -> Ended:
        ended = run(words, self.shop)
        assert ended.code == 0, ended.err
        return ended

    @staticmethod
    def _answer(command: str, ended: Ended, home: Path) -> Any:
        return (home / "page.html").read_text() if command == "report" else ended.json()

    def make(self, number: int, rng: Random, home: Path) -> Case:
        """A case: one file of the folder, one command."""
        command, name = list(COMMANDS)[number % len(COMMANDS)], FILES[number // len(COMMANDS) % len(FILES)]
        home.mkdir(parents=True)
        for path in ("pulses", "other"):
            (home / path).symlink_to(self.shop / path)
        shutil.copytree(self.shop / "run", home / "run")
        target = home / "run" / name
        if target.suffix == ".csv" and name != "metrics.csv" and rng.random() < 0.7:
            data, what = damaged_table(target, rng)
        elif target.suffix in (".json", ".yaml") and rng.random() < 0.6:
            text = target.read_text()
            value, what = damage.change_value(json.loads(text) if name == "result.json" else yaml.safe_load(text), rng)
            data = json.dumps(value).encode()
        else:
            harm = rng.choice(damage.BYTES)
            data, what = harm(target.read_bytes(), rng), harm.__name__
        target.write_bytes(data)
        checked = what not in {harm.__name__ for harm in damage.BYTES} and target.suffix == ".csv"
        return Case(f"{name}: {what}, {command}", COMMANDS[command], home, self._judge(command, home, checked))

    def _judge(self, command: str, home: Path, checked: bool) -> Callable[[Ended], str | None]:
        """An answer is that of the whole folder; a file that is no table may be missed, which the page tells."""

        def judge(ended: Ended) -> str | None:
            found = self._answer(command, ended, home)
            if checked and found != self.answers[command] and not ended.err.strip():
                return "another answer, without a word"
            if command == "report" and re.search(r"<script>alert|\[red\]x", found):
                return "a name stands in the page as it is"
            return None

        return judge


class Outputs:
    """What `fedn predict` wrote, damaged, and the command typed again: it must make what is missing, and no less."""

    name, count, short = "prediction", 20, 2

    def __init__(self, shop: Path) -> None:
        self.shop = shop
        write_movie(shop / "film.mp4", film_face())
        write_detector(shop / "best.ckpt")
        self.words = ["predict", "film.mp4", "--ckpt", "best.ckpt", "--format", "json"]
        ended = run(self.words, shop)
        assert ended.code == 0, ended.err
        self.out = shop / "predictions" / "film"
        self.answer = (self.out / "events.json").read_bytes()

    def make(self, number: int, rng: Random, home: Path) -> Case:
        """A case: the record, or the events."""
        home.mkdir(parents=True)
        for name in ("film.mp4", "best.ckpt"):
            shutil.copy2(self.shop / name, home / name)
        shutil.copytree(self.shop / "predictions", home / "predictions")
        target = home / "predictions" / "film" / ("prediction.json" if number % 2 else "events.json")
        if number % 4 < 2:
            harm = rng.choice(damage.BYTES)
            data, what = harm(target.read_bytes(), rng), harm.__name__
        else:
            value, what = damage.change_value(json.loads(target.read_text()), rng)
            data = json.dumps(value).encode()
        target.write_bytes(data)
        return Case(f"{target.name}: {what}", self.words, home, lambda ended: self._judge(ended, home))

    def _judge(self, ended: Ended, home: Path) -> str | None:
        if "changed since it was written: events.json" in ended.out:
            return None  # it may be a person's correction
        found = [path for path in home.glob("predictions/*/events.json") if path.read_bytes() == self.answer]
        return None if found else "the events are not those of the video, and the command left them so"


class ElanFiles:
    """A corpus coded in ELAN, read by `fedn data check` and `fedn evaluate`."""

    name, count, short = "ELAN file", 40, 4
    EVENTS = (
        CodedEvent(200, 1000, "macro", "happiness"),
        CodedEvent(1000, 1200, "micro", "surprise"),
        CodedEvent(1400, 1900, "macro", "disgust"),
    )

    def __init__(self, shop: Path) -> None:
        self.shop = shop
        write_movie(shop / "anna" / "talk.mp4", map(numbered, range(60)))
        write_eaf(shop / "anna" / "talk.eaf", shop / "anna" / "talk.mp4", list(self.EVENTS))
        self.reference = events_of(read("elan", str(shop)))

    def make(self, number: int, rng: Random, home: Path) -> Case:
        """A case: bytes, or an attribute or text of the document."""
        (home / "anna").mkdir(parents=True)
        shutil.copy2(self.shop / "anna" / "talk.mp4", home / "anna")
        data = (self.shop / "anna" / "talk.eaf").read_bytes()
        what, same = "attribute", False
        if number % 2:
            harm = rng.choice(damage.BYTES)
            data, what = harm(data, rng), harm.__name__
        else:
            data, what, same = self._other_text(data.decode(), rng)
        (home / "anna" / "talk.eaf").write_bytes(data)
        words = ["data", "check", ".", "--dataset", "elan", "--json"]
        if number % 4 == 3:
            (home / "truth.eaf").write_bytes((self.shop / "anna" / "talk.eaf").read_bytes())
            words = ["evaluate", "--truth", "truth.eaf", "--predictions", "anna/talk.eaf", "--json"]
        return Case(what, words, home, self._judge(home, same, words[0]))

    @staticmethod
    def _other_text(text: str, rng: Random) -> tuple[bytes, str, bool]:
        """One attribute changed, an entity bomb, or another spelling of the same document."""
        bomb = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">' + "".join(
            f'<!ENTITY {chr(97 + n)} "{f"&{chr(96 + n)};" * 10}">' for n in range(1, 9)
        )
        outside = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
        head, _, body = text.partition("?>")
        draw = rng.randrange(5)
        if draw == 0:
            spoilt = f"{head}?>{bomb}]>{body.replace('happiness', '&i;')}"
            return spoilt.encode(), "entity bomb", False
        if draw == 1:
            return f"{head}?>{outside}{body.replace('happiness', '&a;')}".encode(), "entity of another file", False
        if draw == 2:
            return text.replace("\n", "\r\n").encode(), "line ends", True
        place = rng.choice(list(re.finditer(r'="([^"]*)"', text)))
        value = rng.choice(("", "abc", "-1", "1e3", "../../etc/passwd", "ts99", "&lt;script&gt;", "9" * 40))
        return (
            (text[: place.start(1)] + value + text[place.end(1) :]).encode(),
            f"{place[1][:30]} is {value[:20]!r}",
            False,
        )

    def _judge(self, home: Path, same: bool, command: str) -> Callable[[Ended], str | None]:
        def judge(ended: Ended) -> str | None:
            if "root:" in ended.out + ended.err:
                return "a file outside was read"
            if command == "evaluate" or not ended.json()["ready"]:
                return None
            found = events_of(read("elan", str(home), unusable_rows="drop"))
            return "ready, but other events" if same and found != self.reference else None

        return judge
