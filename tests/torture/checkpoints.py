"""Checkpoints that are damaged, of another make, or written to run code, through every command that reads one."""

from __future__ import annotations

import builtins
import io
import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import torch
from pulses_data import write_corpus

from lookalikes.movies import write_movie
from torture import damage
from torture.running import SENTINEL, Case, Ended, run
from torture.videos import film_face

CONF = Path(__file__).parents[1] / "conf"
CKPT = "run/checkpoints/best.ckpt"
COMMANDS: dict[str, list[str]] = {
    "predict": ["predict", "film.mp4", "--ckpt", CKPT, "--format", "json", "--out", "out"],
    "test": ["test", "--config", "pulses.yaml", "--ckpt_path", CKPT, "--run_dir", "tested"],
    "report": ["report", "run", "--out", "page.html", "--strips", "1", "--looks", "1", "--bootstrap", "5"],
    "two-step": ["two-step", "run", "namer", "--out", "joined"],
    "fit": ["fit", "--config", "pulses.yaml", "--model.encoder.weights", CKPT, "--run_dir", "again"],
    "resume": ["fit", "--config", "pulses.yaml", "--run_dir", "run", "--ckpt_path", CKPT],
    "export": ["export", "--ckpt", CKPT, "--out", "onnx"],
}
"""What reads a checkpoint; each is run in a folder with the run of a spotter, that of a recogniser, and a film."""

ANSWERS = {"predict": "out/film/events.json", "test": "tested/test/result.json", "fit": "again/result.json"}
"""Where a command's numbers are, which must be those of the undamaged checkpoint."""


class Evil:
    """Runs a function when it is unpickled."""

    def __init__(self, function: Any, argument: str) -> None:
        self.call = (function, (argument,))

    def __reduce__(self) -> Any:
        return self.call


def evils() -> list[tuple[str, Any]]:
    """Objects that make the sentinel when they are unpickled."""
    code = f"open({SENTINEL!r}, 'w').close()"
    return [
        ("os.system", Evil(os.system, f"touch {SENTINEL}")),
        ("exec", Evil(builtins.exec, code)),
        ("eval", Evil(builtins.eval, code)),
    ]


def malicious(content: dict[str, Any], rng: Random) -> tuple[bytes, str]:
    """A checkpoint with code in one of its parts, in one of the formats that torch has had."""
    name, evil = rng.choice(evils())
    part = rng.choice(("state_dict", "fedn", "hyper_parameters", "callbacks", "alone", "weight"))
    spoilt = {**content, part: evil}
    if part == "alone":
        spoilt = evil
    elif part == "weight":
        spoilt = {**content, "state_dict": {**content["state_dict"], "threshold": evil}}
    form = rng.choice(("zip", "legacy", "pickle", "protocol 0"))
    buffer = io.BytesIO()
    if form in ("zip", "legacy"):
        torch.save(spoilt, buffer, _use_new_zipfile_serialization=form == "zip")
    elif form == "pickle":
        pickle.dump(evil, buffer)
    else:
        buffer.write(f"cos\nsystem\n(S'touch {SENTINEL}'\ntR.".encode())
    return buffer.getvalue(), f"{name} in {part}, {form}"


def other_content(content: dict[str, Any], rng: Random) -> tuple[bytes, str, bool]:
    """A whole file that holds something else, what it is, and whether its numbers must be those of the original."""
    weights = dict(content["state_dict"])
    name = rng.choice(list(weights))
    what = rng.choice(("missing", "shape", "nan", "list", "scalar", "record", "record", "script"))
    spoilt: Any = {**content, "state_dict": weights}
    if what == "missing":
        del weights[name]
    elif what == "shape":
        weights[name] = torch.zeros(3, 2, 1)
    elif what == "nan":
        name = rng.choice([key for key in weights if key.startswith("network.") and weights[key].ndim > 1])
        weights[name] = torch.full_like(weights[name], float("nan"))
    elif what == "list":
        spoilt = list(weights.values())
    elif what == "scalar":
        spoilt = 7
    elif what == "record":
        record, name = damage.change_value(dict(content["fedn"]), rng)
        spoilt = {**content, "fedn": record}
    buffer = io.BytesIO()
    if what == "script":
        torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), buffer)
    else:
        torch.save(spoilt, buffer)
    return buffer.getvalue(), f"{what} {name}", what in ("nan", "missing", "shape")


class Checkpoints:
    """The checkpoint of a small run."""

    name, count, short = "checkpoint", 72, 6

    def __init__(self, shop: Path) -> None:
        self.shop = shop
        write_corpus(shop / "pulses", subjects=3)
        write_movie(shop / "film.mp4", film_face())
        for name, folder in (("pulses", "run"), ("pulses_recogniser", "namer")):
            text = (CONF / f"{name}.yaml").read_text()
            (shop / f"{name}.yaml").write_text(text.replace("max_epochs: 6", "max_epochs: 1"))
            self._run(["fit", "--config", f"{name}.yaml", "--run_dir", folder])
        self.content = torch.load(shop / CKPT, weights_only=True)
        for name in ANSWERS:
            self._run(COMMANDS[name])
        self.answers = {name: _numbers(shop / path) for name, path in ANSWERS.items()}

    def _run(self, words: list[str]) -> None:
        ended = run(words, self.shop)
        assert ended.code == 0, ended.err

    def make(self, number: int, rng: Random, home: Path) -> Case:
        """A case; one in twelve is exported, which takes longest."""
        names = ["predict", "test", "report", "two-step", "fit", "resume"]
        command = "export" if number % 12 == 11 else names[number % len(names)]
        home.mkdir(parents=True)
        for name in ("pulses", "film.mp4", "pulses.yaml", "namer"):
            (home / name).symlink_to(self.shop / name)
        shutil.copytree(self.shop / "run", home / "run")
        draw, same = number // len(names) % 3, True
        if draw == 0:
            data, what = malicious(self.content, rng)
        elif draw == 1:
            harm = rng.choice(damage.BYTES)
            data, what = harm((self.shop / CKPT).read_bytes(), rng), harm.__name__
        else:
            data, what, same = other_content(self.content, rng)
        (home / CKPT).write_bytes(data)
        judge = self._judge(command if same else "", home)
        return Case(f"{what}, {command}", COMMANDS[command], home, judge)

    def _judge(self, command: str, home: Path) -> Callable[[Ended], str | None]:
        def judge(ended: Ended) -> str | None:
            if command not in ANSWERS or ended.code == 1:
                return None
            found = _numbers(home / ANSWERS[command])
            return None if found == self.answers[command] else "other numbers than those of the undamaged checkpoint"

        return judge


def _numbers(path: Path) -> Any:
    """An answer without what depends on where it was made."""
    content = json.loads(path.read_text())
    return {key: value for key, value in content.items() if key not in ("video", "checkpoint", "seconds")}
