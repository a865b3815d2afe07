"""Makes the results that a refactoring must not change, and compares two makings of them.

    python scripts/guard.py make DIR               run every command on a tiny corpus, write DIR/guard.json
    python scripts/guard.py make DIR --only fit    run these steps alone, on what DIR holds already
    python scripts/guard.py compare OLD NEW        print each difference; exit code 1 if there is one
    python scripts/guard.py compare OLD NEW --numbers    let the words of reports differ, not their numbers

Everything goes through the command line in child processes, with fixed seeds and one thread each; nothing of the
package is imported. `make --repo PATH` takes the source and the experiment files of another checkout. Results are equal
on one machine with one set of package versions only.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ENVIRONMENT = {
    "WANDB_MODE": "disabled",
    "NO_ALBUMENTATIONS_UPDATE": "1",
    "JSONARGPARSE_DEPRECATION_WARNINGS": "off",
    "MPLBACKEND": "Agg",
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "COLUMNS": "200",  # the width of printed tables
    "NO_COLOR": "1",
}

TRAINER = """\
trainer:
  accelerator: cpu
  max_epochs: {epochs}
  num_sanity_val_steps: 0
  enable_progress_bar: false
  enable_model_summary: false
"""

CORPUS = """\
    corpus: { dataset: casme2, root: data/synthetic }
    crops: { store: data/store, size: 48 }
"""

ENCODER = """\
experiment: encoder
seed_everything: 7
test_after_fit: false
checkpoint: { monitor: val/accuracy }
model:
  class_path: EncoderTask
  init_args:
    encoder: { depth: 10, width: 4, frozen: false }
data:
  class_path: StillsDataModule
  init_args: { root: data/stills, size: 48, batch_size: 32 }
"""

DETECTION = """\
experiment: fit
seed_everything: 7
checkpoint: { monitor: val/joint }
model:
  class_path: DetectionTask
  init_args:
    encoder: { depth: 10, width: 4, weights: runs/encoder/checkpoints/best.ckpt }
    network: { dim: 32, channels: 32 }
    optimiser: { lr: 5.0e-3 }
data:
  class_path: DetectionDataModule
  init_args:
    windows: { length: 128, train_stride: 32, test_stride: 32, jitter: 16, speed: 0.2 }
    feature_variants: 1
    test_subject: [s15]
    val_subject: 1
    batch_size: 8
"""

SPOTTER = """\
base: fit.yaml
experiment: spotter
model:
  class_path: DetectionTask
  init_args: { recognise: false }
"""

UNTRAINED = """\
base: fit.yaml
experiment: untrained
model:
  init_args:
    encoder: { weights: null }
"""

RECOGNISER = """\
experiment: recogniser
seed_everything: 7
checkpoint: { monitor: val/joint }
model:
  class_path: RecognitionTask
  init_args:
    encoder: { depth: 10, width: 4, weights: runs/encoder/checkpoints/best.ckpt }
    network: { dim: 32, channels: 32 }
    optimiser: { lr: 5.0e-3 }
data:
  class_path: RecognitionDataModule
  init_args:
    intervals: { points: 16, context: 0.5, jitter: 0.2, repeats: 4 }
    feature_variants: 1
    test_subject: [s15]
    val_subject: 1
    batch_size: 8
"""

FLOW = """\
experiment: flow
seed_everything: 7
model:
  class_path: FlowTask
data:
  class_path: MotionDataModule
  init_args:
    motion: { side: 48 }
    test_subject: [s15]
    val_subject: 1
"""

CONFIGS = {
    "encoder": ENCODER + TRAINER.format(epochs=1),
    "fit": DETECTION + CORPUS + TRAINER.format(epochs=12),
    "untrained": UNTRAINED,
    "spotter": SPOTTER,
    "recogniser": RECOGNISER + CORPUS + TRAINER.format(epochs=3),
    "flow": FLOW + CORPUS + TRAINER.format(epochs=1),
}

RUN_FILES = ("result.json", "predictions.csv", "proposals.csv", "truth.csv", "videos.csv", "metrics.csv")
"""What a run leaves that a refactoring must not change."""

PROTOCOLS = ("megc", "megc2020", "strs_metric", "exclusive")
VIDEO = "data/synthetic/rawvideo/s16/16_0102spoiledfood.avi"
CHECKPOINT = "runs/fit/checkpoints/best.ckpt"

HASH = re.compile(r"\bfit([-/])[0-9a-f]{8}\b")
"""The folder of the cross-validation: its hash holds the digest of the encoder's file, which differs each time."""

VOLATILE: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("*.json", re.compile(r'"modified_ns": \d+')),
    ("loso.json", re.compile(r'"(preparation_seconds|seconds|greatest_process_mib)": [\d.]+')),
    ("loso.json", re.compile(r'"(fold|overhead)_seconds": {[^}]*}')),
    ("pooled-*/result.json", re.compile(r'"config_hash": "\w+"')),
    ("loso.json", re.compile(r'"config_hash": "\w+"')),
    ("prediction.json", re.compile(r'"(version": "[\d.]+|checkpoint": "[0-9a-f]{16})"')),
    ("prediction.json", re.compile(r'"events\.eaf": "[0-9a-f]{64}"')),  # of a file that holds its date
    ("fedn.json", re.compile(r'"(fedn_lightning|sha256)": "[\w.]+"')),
    ("*.eaf", re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[\d.:+Z]*")),
)
"""Which files hold what differs from one making to the next, and where: times, memory, versions, digests."""

LEFT_OUT = {".png", ".lock"}
"""Drawn pictures, whose words and fonts may change, and files without content."""

WORDED = {".html", ".md", ".txt", ".tex", ".stdout"}
"""Files that hold sentences: with `--numbers` only their numbers are compared."""


class Guard:
    """One folder of results and the commands that fill it.

    Args:
        folder: where everything is written.
        repo: checkout whose `src` and `experiments` are used.
    """

    def __init__(self, folder: Path, repo: Path) -> None:
        self.folder = folder.resolve()
        self.repo = repo.resolve()
        path = filter(None, [str(self.repo / "src"), os.environ.get("PYTHONPATH")])
        self.environment = {**os.environ, **ENVIRONMENT, "PYTHONPATH": os.pathsep.join(path)}

    def fedn(self, *words: str, save: str | None = None) -> None:
        """Runs one command in the folder; `save` names the file that gets what it prints.

        Raises:
            SystemExit: if the command fails.
        """
        command = [sys.executable, "-m", "fedn_lightning", *words]
        done = subprocess.run(command, cwd=self.folder, env=self.environment, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"fedn {' '.join(words)}\n{done.stdout}{done.stderr}exit code {done.returncode}")
        if save:
            target = self.folder / save
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(done.stdout, encoding="utf-8")

    def remove(self, *names: str) -> None:
        """Removes what an earlier making of a step has left."""
        for name in names:
            shutil.rmtree(self.folder / name, ignore_errors=True)


def corpus(guard: Guard) -> list[str]:
    """The generated corpus and stills, and what `data check` says of the corpus."""
    guard.remove("data/synthetic", "data/stills")
    guard.fedn("data", "synth", "--preset", "tiny", "--out", "data/synthetic", "--jobs", "2")
    stills = ("--identities", "6", "--per-identity", "8", "--size", "48", "--jobs", "2")
    guard.fedn("data", "stills", "--out", "data/stills", *stills)
    guard.fedn("data", "check", "data/synthetic", save="check.stdout")
    return ["data/synthetic/**/*", "data/stills/**/*", "check.stdout"]


def prepare(guard: Guard) -> list[str]:
    """Clip stores with faces aligned by video and by frame."""
    guard.remove("data/store", "data/tracked")
    for align, store in (("video", "data/store"), ("track", "data/tracked")):
        guard.fedn("data", "prepare", "data/synthetic", "--store", store, "--size", "48", "--align", align)
    return ["data/store/**/*", "data/tracked/**/*"]


def train(guard: Guard, name: str) -> list[str]:
    """Trains one of the tiny experiments."""
    guard.remove(f"runs/{name}")
    guard.fedn("fit", "--config", f"conf/{name}.yaml", "--run_dir", f"runs/{name}")
    return [f"runs/{name}/{file}" for file in RUN_FILES]


def fit(guard: Guard) -> list[str]:
    """The pre-trained encoder, the detector, and the test of its checkpoint."""
    files = train(guard, "encoder") + train(guard, "fit")
    guard.fedn("test", "--config", "runs/fit/config.yaml")
    return [*files, "runs/fit/test/result.json"]


def loso(guard: Guard) -> list[str]:
    """Two folds of two subjects each, and their pooled result."""
    guard.remove("loso")
    words = ("--group", "2", "--jobs", "2", "--runs", "loso", "--results", "loso/loso.json", "--bootstrap", "50")
    guard.fedn("loso", "--config", "conf/fit.yaml", *words)
    # The hash of the detector's folder depends on the bytes of the encoder's file; without weights it is steady.
    guard.fedn("loso", "--config", "conf/untrained.yaml", *words[:2], "--print-commands", save="loso_commands.stdout")
    return ["loso_commands.stdout", "loso/loso.json", *(f"loso/fit/*/**/{file}" for file in RUN_FILES)]


def predict(guard: Guard) -> list[str]:
    """One video in every format."""
    guard.remove("predictions")
    for form in ("csv", "json", "elan", "megc"):
        words = ("--format", form, "--out", f"predictions/{form}", "--threshold", "0.05", "0.01")
        guard.fedn("predict", VIDEO, "--ckpt", CHECKPOINT, "--device", "cpu", *words)
    return ["predictions/**/*"]


def evaluate(guard: Guard) -> list[str]:
    """The run's proposals scored by every protocol, thresholds chosen, and the page."""
    guard.remove("evaluate")
    predictions = ("evaluate", "--predictions", "runs/fit/proposals.csv", "--truth", "runs/fit/truth.csv")
    words = (*predictions, "--videos", "runs/fit/videos.csv")
    extra = ("--threshold", "0.05", "0.01", "--per-subject", "--bootstrap", "50")
    for protocol in PROTOCOLS:
        name = f"evaluate/{protocol}"
        guard.fedn(*words, "--protocol", protocol, *extra, "--json", save=f"{name}.json")
        guard.fedn(*words, "--protocol", protocol, *extra, save=f"{name}.stdout")
    guard.fedn(*words, "--select", "published", "--per-type", "--json", save="evaluate/selected.json")
    guard.fedn(*words, *extra, "--html", "evaluate/page.html")
    return ["evaluate/*"]


def export(guard: Guard) -> list[str]:
    """The ONNX files."""
    guard.remove("onnx")
    guard.fedn("export", "--ckpt", CHECKPOINT, "--out", "onnx")
    return ["onnx/*"]


def flow(guard: Guard) -> list[str]:
    """The classical baseline."""
    return train(guard, "flow")


def two_step(guard: Guard) -> list[str]:
    """Spotter, recogniser and both together."""
    guard.remove("runs/two_step")
    files = train(guard, "spotter") + train(guard, "recogniser")
    guard.fedn("two-step", "runs/spotter", "runs/recogniser", "--out", "runs/two_step")
    return files + [f"runs/two_step/{file}" for file in RUN_FILES]


def reports(guard: Guard) -> list[str]:
    """Error analysis, comparison and report of runs."""
    guard.remove("reports")
    guard.fedn("errors", "runs/fit", "runs/two_step", "--out", "reports/errors", save="reports/errors.stdout")
    guard.fedn("errors", "runs/fit", "--json", save="reports/errors.json")
    runs = ("runs/fit", "runs/two_step", "runs/flow")
    guard.fedn("compare", *runs, "--bootstrap", "50", "--out", "reports/compare", save="reports/compare.stdout")
    guard.fedn("report", "runs/fit", "--out", "reports/fit.html", "--bootstrap", "50", "--strips", "2", "--looks", "1")
    return ["reports/**/*"]


def study(guard: Guard) -> list[str]:
    """The table of the ablations from the stored rows."""
    shutil.rmtree(guard.folder / "study", ignore_errors=True)
    shutil.copytree(guard.repo / "experiments" / "results" / "ablations", guard.folder / "study")
    experiments = str(guard.repo / "experiments" / "ablations")
    guard.fedn(
        "study", experiments, "--table-only", "--bootstrap", "50", "--results", "study", save="study/table.stdout"
    )
    return ["study/study.json", "study/study.md", "study/table.stdout"]


STEPS: dict[str, Callable[[Guard], list[str]]] = {
    step.__name__: step
    for step in (corpus, prepare, fit, loso, predict, evaluate, export, flow, two_step, reports, study)
}
"""The steps in the order in which they need one another; each returns the patterns of the files it guards."""


def find(folder: Path, patterns: list[str]) -> list[str]:
    """The files of patterns, relative to a folder."""
    found = itertools.chain.from_iterable(folder.glob(pattern) for pattern in patterns)
    return sorted({str(path.relative_to(folder)) for path in found if path.is_file() and path.suffix not in LEFT_OUT})


def content(path: Path, folder: Path) -> bytes:
    """What a file says, without what is volatile and without the folder's name; a binary file's bytes as they are."""
    data = path.read_bytes()
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return data
    text = steady(text.replace(str(folder.resolve()), "FOLDER"))
    for files, pattern in VOLATILE:
        if path.match(files):
            text = pattern.sub("#", text)
    return text.encode()


def steady(text: str) -> str:
    """A text or a file's name without the hash of a configuration."""
    return HASH.sub(r"fit\1HASH", text)


def make(folder: Path, repo: Path, only: list[str]) -> None:
    """Runs the steps and writes `guard.json`: {step: {file: its path and the SHA-256 of its content}}."""
    guard = Guard(folder, repo)
    (folder / "conf").mkdir(parents=True, exist_ok=True)
    for name, text in CONFIGS.items():
        (folder / "conf" / f"{name}.yaml").write_text(text, encoding="utf-8")
    card = folder / "guard.json"
    digests = json.loads(card.read_text()) if card.exists() else {}
    for name in only or STEPS:
        began = time.monotonic()
        patterns = STEPS[name](guard)
        digests[name] = {
            steady(where): {"path": where, "sha256": hashlib.sha256(content(folder / where, folder)).hexdigest()}
            for where in find(folder, patterns)
        }
        print(f"{name}: {len(digests[name])} files, {time.monotonic() - began:.1f} s", flush=True)
        card.write_text(json.dumps(digests, indent=1) + "\n", encoding="utf-8")


def compare(old: Path, new: Path, numbers_only: bool) -> int:
    """Prints each difference; returns how many there are. Steps that one side has not made are named, not compared."""
    first, second = (json.loads((folder / "guard.json").read_text()) for folder in (old, new))
    for step in sorted(first.keys() ^ second.keys()):
        print(f"{step}: made on one side only, not compared")
    differences, files = 0, 0
    for step in (step for step in first if step in second):
        for name in sorted(first[step].keys() | second[step].keys()):
            sides = first[step].get(name), second[step].get(name)
            files += 1
            if None in sides:
                told: str | None = f"missing in {old if sides[0] is None else new}"
            elif sides[0]["sha256"] == sides[1]["sha256"]:
                continue
            else:
                before, after = (
                    content(folder / side["path"], folder) for folder, side in zip((old, new), sides, strict=True)
                )
                told = difference(before, after, Path(name).suffix in WORDED, numbers_only)
            if told is not None:
                differences += 1
                print(f"{step}: {name}: {told}")
    print(f"{differences} differences in {files} files")
    return differences


def difference(before: bytes, after: bytes, worded: bool, numbers_only: bool) -> str | None:
    """How two contents differ and where first; None if only words differ and these may."""
    try:
        texts = before.decode(), after.decode()
    except UnicodeDecodeError:
        return f"binary, {len(before)} and {len(after)} bytes"
    kind = ""
    if worded:
        same = numbers(texts[0]) == numbers(texts[1])
        if same and numbers_only:
            return None
        kind = ", the numbers are equal" if same else ", numbers too"
    pairs = itertools.zip_longest(*(text.splitlines() for text in texts), fillvalue="(no line)")
    unequal = [(line, *pair) for line, pair in enumerate(pairs, 1) if pair[0] != pair[1]]
    if not unequal:
        return "line ends"
    line, mine, other = unequal[0]
    equal = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(mine, other, strict=False)))
    start = max(0, equal - 40)
    shown = "".join(f"\n  {sign} {text[start : start + 160]}" for sign, text in (("-", mine), ("+", other)))
    return f"{len(unequal)} lines{kind}, first line {line}{shown}"


def numbers(text: str) -> list[str]:
    """The numbers of a text in their order."""
    return re.findall(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?", text)


def main() -> int:
    """Reads the options and runs one of the two commands."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = p.add_subparsers(dest="command", required=True)
    making = commands.add_parser("make", help="write a folder of results")
    making.add_argument("folder", type=Path)
    making.add_argument("--only", default="", metavar="A,B", help=f"these steps alone: {', '.join(STEPS)}")
    making.add_argument("--repo", type=Path, default=Path(__file__).resolve().parents[1], help="another checkout")
    comparing = commands.add_parser("compare", help="compare two folders")
    comparing.add_argument("old", type=Path)
    comparing.add_argument("new", type=Path)
    comparing.add_argument("--numbers", action="store_true", help="let the words of reports differ")
    options = p.parse_args()
    if options.command == "compare":
        return int(compare(options.old, options.new, options.numbers) > 0)
    only = [name for name in options.only.split(",") if name]
    if unknown := sorted(set(only) - STEPS.keys()):
        p.error(f"there is no step {', '.join(unknown)}; the steps are {', '.join(STEPS)}")
    make(options.folder, options.repo, only)
    return 0


if __name__ == "__main__":
    sys.exit(main())
