"""Experiment files, as people and programs misspell them, read by `fedn fit`."""

from __future__ import annotations

import math
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import yaml
from pulses_data import write_corpus

from torture import damage
from torture.running import Case, Ended, run

BASE = (Path(__file__).parents[1] / "conf" / "pulses.yaml").read_text().replace("max_epochs: 6", "max_epochs: 1")

SCALARS = (
    "017", "0o17", "1e3", "1:30", "no", "yes", "~", "0x1F", "1_000", ".inf", ".nan", "2024-01-01", '"1"', "'[p0'", "p0",
    "!!python/object/apply:os.system ['touch pwned']", "!!python/name:os.system", "!!binary aGk=", "&a [*a]",
    "*nothing",
    "${oc.env:HOME}", "${nothing}", "{{", "|", "@x", "%x", "[", "- x", "# nothing", "1.0.0", "-1", "1e999", "\tx", "<<",
)  # fmt: skip
SUBJECTS = (
    "017",
    "07",
    "p0.mp4",
    "P0",
    "../p0",
    "null",
    "1e3",
    "no",
    "p0, p0",
    "p0, p1, p2",
    "",
    "'p\\0'",
    "p00",
    "[p0]",
)
CLASSES = (
    "os.system",
    "nothing.Here",
    "builtins.eval",
    "json.JSONDecoder",
    "DetectionTaskk",
    "pathlib.Path",
    "'../x'",
    "1",
)


class Experiments:
    """One file of a small experiment; those that are read train for a second."""

    name, count, short = "experiment file", 100, 8

    def __init__(self, shop: Path) -> None:
        self.corpus = shop / "pulses"
        write_corpus(self.corpus, subjects=3)
        self._write(shop, BASE)
        ended = run(["fit", "--config", "experiment.yaml"], shop)
        assert ended.code == 0, ended.err
        assert _judge(ended, shop) is None

    def make(self, number: int, rng: Random, home: Path) -> Case:
        """A case; the corpus is a copy, since an experiment may write into its store."""
        shutil.copytree(self.corpus, home / "pulses")
        draws = (self._scalar, self._value, self._key, self._subject, self._class, self._base, self._bomb, self._bytes)
        what = draws[number % len(draws)](rng, home)
        return Case(what, ["fit", "--config", "experiment.yaml"], home, lambda ended: _judge(ended, home))

    @staticmethod
    def _write(home: Path, text: str, name: str = "experiment.yaml") -> None:
        (home / name).write_text(text)

    def _scalar(self, rng: Random, home: Path) -> str:
        """One value as text that YAML reads in its own way."""
        place, value = rng.choice(list(re.finditer(r": ([\w.-]+)(?=[ ,\n])", BASE))), rng.choice(SCALARS)
        self._write(home, BASE[: place.start(1)] + value + BASE[place.end(1) :])
        return f"{place[1]} is {value}"

    def _value(self, rng: Random, home: Path) -> str:
        """One value of another type, or none."""
        changed, what = damage.change_value(yaml.safe_load(BASE), rng)
        self._write(home, yaml.safe_dump(changed, sort_keys=False))
        return what

    def _key(self, rng: Random, home: Path) -> str:
        """A key that is misspelt, unknown, or there twice."""
        lines = BASE.splitlines()
        place = rng.choice([n for n, line in enumerate(lines) if re.match(r" *\w+:", line)])
        what = rng.choice(("misspelt", "unknown", "twice", "as text"))
        indent = re.match(" *", lines[place])[0]
        key = lines[place].strip().partition(":")[0]
        if what == "misspelt":
            lines[place] = lines[place].replace(key, key[:-1] + key[-1] * 2, 1)
        elif what == "unknown":
            lines.insert(place, f"{indent}unheard_of: 3")
        elif what == "twice":
            lines.append("seed_everything: 8")
            key = "seed_everything"
        else:
            lines[place] = lines[place].replace(f"{key}:", f'"{key} ":', 1)
        self._write(home, "\n".join(lines) + "\n")
        return f"{key} {what}"

    def _subject(self, rng: Random, home: Path) -> str:
        """Other names of the held-out subject."""
        value = rng.choice(SUBJECTS)
        self._write(home, BASE.replace("[p0]", f"[{value}]"))
        return f"test_subject is [{value}]"

    def _class(self, rng: Random, home: Path) -> str:
        """Another class where the network or the data stands."""
        old, value = rng.choice(("DetectionTask", "pulses_data.PulsesDataModule")), rng.choice(CLASSES)
        self._write(home, BASE.replace(old, value))
        return f"{old} is {value}"

    def _base(self, rng: Random, home: Path) -> str:
        """An experiment over another: in a circle, missing, long, odd."""
        bases = {
            "itself": "experiment.yaml", "circle": "a.yaml", "missing": "none.yaml", "folder": ".", "number": "3",
            "list": "[a.yaml, b.yaml]", "chain": "step0.yaml", "spaces": '"a b\'s.yaml"', "nothing": "",
            "broken": "b.yaml",
        }  # fmt: skip
        what = rng.choice(list(bases))
        self._write(home, f"base: {bases[what]}\nseed_everything: 8\n")
        self._write(home, "base: experiment.yaml\n", "a.yaml")
        self._write(home, "a: [", "b.yaml")
        self._write(home, BASE, "a b's.yaml")
        for step in range(30):
            self._write(home, f"base: step{step + 1}.yaml\n" if step < 29 else BASE, f"step{step}.yaml")
        return f"base: {what}"

    def _bomb(self, rng: Random, home: Path) -> str:
        """A small file that becomes a large one, or takes a parser long."""
        laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
        laughs += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))
        bombs = {
            "laughs": laughs + BASE, "nested": "a: " + "[" * 3000 + "]" * 3000 + "\n" + BASE,
            "long key": f"{'k' * 200_000}: 1\n{BASE}", "long value": BASE.replace("pulses\n", "x" * 200_000 + "\n", 1),
            "self": "a: &a {b: *a}\n" + BASE, "merge": "x: &x {seed_everything: 9}\n<<: *x\n" + BASE,
            "documents": BASE + "---\n" + BASE, "only a list": "- a\n- b\n", "only text": "hello\n", "nothing": "",
        }  # fmt: skip
        what = rng.choice(list(bombs))
        self._write(home, bombs[what])
        return what

    def _bytes(self, rng: Random, home: Path) -> str:
        (home / "experiment.yaml").write_bytes(rng.choice(damage.BYTES)(BASE.encode(), rng))
        return "bytes"


def _judge(ended: Ended, home: Path) -> str | None:
    """Whether the run did what the file says: each value that is written there stands in the run's configuration."""
    done = sorted(home.rglob("result.json"))
    if not done:
        return f"exit code {ended.code} without a result"
    saved = dict(_leaves(_as_text((done[0].parent / "config.yaml").read_text())))
    written = _as_text((home / "experiment.yaml").read_text())
    for path, text in _leaves(written):
        if path[0] not in ("base", "run_dir") and not _same(text, saved.get(path), path, ended):
            return f"{'.'.join(path)} is written {text[:50]!r}, and was read as {str(saved.get(path))[:50]!r}"
    return None


def _as_text(text: str) -> Any:
    """YAML in which every value is the text that stands there."""
    return yaml.load(text, yaml.BaseLoader)  # it makes text alone


def _leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(value, dict):
        for key, child in value.items():
            yield from _leaves(child, (*path, str(key)))
    elif isinstance(value, list):
        for number, child in enumerate(value):
            yield from _leaves(child, (*path, str(number)))
    else:
        yield path, str(value)


WORDS = {"yes": "true", "on": "true", "no": "false", "off": "false", "~": "null", "": "null"}


def _same(written: str, saved: str | None, path: tuple[str, ...], ended: Ended) -> bool:
    """Whether two spellings are one value; a class may get its module, and a reference what it leads to."""
    if saved is None:
        return False
    a, b = (WORDS.get(text.strip().lower(), text.strip().lower()) for text in (written, saved))
    if a == b or (path[-1] == "class_path" and saved.endswith(written)) or "${" in written:
        return True
    try:
        return math.isclose(float(a), float(b), rel_tol=1e-12) and "_" not in written
    except ValueError:
        return False
