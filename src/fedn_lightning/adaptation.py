"""Fine-tunes a checkpoint on corrected material, and measures on held-out people whether that helped.

The heads and the motion stream are trained, the rest stays as it is. Every person is held out once; nothing about them
is used for training or for the thresholds, which are chosen on one further group of people. This procedure is ours, no
paper's.
"""

from __future__ import annotations

import csv
import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import lightning
import torch

from fedn_lightning.analysis.comparison import Comparison, Difference, compare
from fedn_lightning.datamodules.base import CorpusConfig, CropConfig
from fedn_lightning.datamodules.detection import DetectionDataModule
from fedn_lightning.datamodules.splits import known
from fedn_lightning.datamodules.windows import WindowConfig
from fedn_lightning.errors import CheckpointError, SplitError
from fedn_lightning.events import DetectionRecord
from fedn_lightning.models.checkpoints import OLD_DEFAULTS, read_checkpoint
from fedn_lightning.models.encoder import EncoderConfig
from fedn_lightning.models.fedn import NetworkConfig
from fedn_lightning.models.postprocessing import InferenceConfig
from fedn_lightning.motion.flow import MotionConfig
from fedn_lightning.results.names import PREDICTIONS, PROPOSALS, TRUTH, VIDEOS
from fedn_lightning.results.writing import write_csv, write_tables
from fedn_lightning.tasks.base import OptimiserConfig
from fedn_lightning.tasks.detection import DetectionTask
from fedn_lightning.utils.console import note
from fedn_lightning.utils.files import write_atomically, write_json
from fedn_lightning.video.landmarks import LANDMARKER

MIN_PEOPLE, MIN_EVENTS = 5, 30
"""With fewer people or expressions nothing can be said about other people, and nothing is trained."""

TRAINED = ("head", "motion")
"""Parts of the network that are trained."""

SCORE = "spotting.overall.f1"
"""The score by which the verdict is given."""

BEFORE, THRESHOLDS, AFTER = "before", "thresholds", "adapted"
"""The checkpoint as it is, with thresholds chosen anew, and fine-tuned."""

MakeData = Callable[[list[str], list[str]], DetectionDataModule]
"""Makes the data module of held-out and validation subjects."""


@dataclass(frozen=True)
class AdaptConfig:
    """How a checkpoint is fine-tuned; chosen beforehand, never by a result.

    Attributes:
        epochs: passes over the training windows, without early stopping.
        lr: learning rate.
        folds: groups of people that are held out in turn, at most one per person.
        seed: of everything drawn.
        draws: of the bootstrap over people.
    """

    epochs: int = 8
    lr: float = 3e-4
    folds: int = 5
    seed: int = 7
    draws: int = 2000


@dataclass(frozen=True)
class Adaptation:
    """What came of it."""

    checkpoint: Path | None  # the fine-tuned one; None if it was worse on held-out people, and not written
    comparison: Comparison  # before, with new thresholds, and fine-tuned, on held-out people
    verdict: str  # `better`, `worse` or `undecided`
    people: int  # how many were held out in turn

    def summary(self) -> str:
        """The scores on held-out people and the verdict, in sentences."""
        before, thresholds, after = (scores[SCORE] for scores in self.comparison.scores)
        change = self.comparison.differences[1][SCORE]
        meaning = {
            "better": "Fine-tuning and new thresholds together helped on people that it had not seen.",
            "worse": "Fine-tuning and new thresholds together did harm on unseen people; no checkpoint is written.",
            "undecided": "Whether fine-tuning helps on other people cannot be told from this material.",
        }
        return (
            f"Spotting F1 on {self.people} held-out people: {before:.3f} before, {thresholds:.3f} with new thresholds "
            f"alone, {after:.3f} fine-tuned. Difference {change.value:+.3f}, 95 % interval over people "
            f"{change.low:+.3f} to {change.high:+.3f}. {meaning[self.verdict]}"
        )


def data_of(
    metadata: Mapping[str, Any], corpus: CorpusConfig, store: str | Path, jobs: int | None = None, seed: int = 7
) -> MakeData:
    """How the data of a checkpoint are made: crops, windows and motion as in its training.

    Args:
        metadata: the entry `fedn` of the checkpoint.
        corpus: the corrected corpus; its emotion scheme is set to the checkpoint's.
        store: folder of the clip store.
        jobs: processes that prepare videos.
        seed: of what is drawn in training.
    """

    def make(test: list[str], val: list[str]) -> DetectionDataModule:
        aligned = metadata.get("alignment") or {}
        found_by = str(aligned.get("finder", "cascade"))
        finder = found_by if found_by == "mesh" or found_by.startswith(LANDMARKER) else "cascade"
        size, fps, align = metadata["crop_size"], metadata["fps"], aligned.get("align", "video")
        return DetectionDataModule(
            replace(corpus, emotion_scheme=metadata["model"]["emotion_scheme"]),
            CropConfig(str(store), size, fps, jobs, align, finder=finder),
            WindowConfig(**metadata["windows"]),
            test_subject=[*test],
            val_subject=[*val],
            seed=seed,
            motion=MotionConfig(**metadata.get("motion", {})),
        )

    return make


def adapt(
    checkpoint: str | Path, make_data: MakeData, out: str | Path, config: AdaptConfig = AdaptConfig()
) -> Adaptation:
    """Fine-tunes a checkpoint by cross-validation over people, then on everybody.

    Args:
        checkpoint: of a detector.
        make_data: see :func:`data_of`.
        out: folder of `adapt.json`, the tables of each variant and `adapted.ckpt`.
        config: of the training.
    """
    content, out = read_checkpoint(checkpoint), Path(out)
    _check_detector(content, checkpoint)
    people = _check_people(content["fedn"], make_data([], []))
    count = min(config.folds, len(people))
    held_out = [people[fold::count] for fold in range(count)]
    folders: dict[str, list[Path]] = {BEFORE: [], THRESHOLDS: [], AFTER: []}
    for number, test in enumerate(held_out):
        note(f"held out: {', '.join(test)} (group {number + 1} of {count})")
        for variant, record in _fold(content, make_data(test, held_out[(number + 1) % count]), config).items():
            folders[variant].append(out / "folds" / str(number) / variant)
            write_tables(record, folders[variant][-1])
    pooled = [_pool(parts, out / variant) for variant, parts in folders.items()]
    comparison = compare(pooled, list(folders), config.draws, config.seed)
    word = verdict(comparison.differences[1][SCORE])
    path = None
    if word != "worse":
        note("training on everybody")
        path = _train_on_all(content, make_data([], held_out[0]), config, out / "adapted.ckpt", word)
    result = Adaptation(path, comparison, word, len(people))
    write_json(
        out / "adapt.json",
        {
            "verdict": word,
            "summary": result.summary(),
            "people": people,
            "config": asdict(config),
            **_scores(comparison),
        },
    )
    shutil.rmtree(out / "folds")
    return result


def verdict(change: Difference) -> str:
    """What an interval over people says.

    >>> verdict(Difference(0.1, 0.02, 0.2, 0.99)), verdict(Difference(0.1, -0.02, 0.2, 0.9))
    ('better', 'undecided')
    """
    return "better" if change.low > 0 else "worse" if change.high < 0 else "undecided"


def _check_detector(content: Mapping[str, Any], checkpoint: str | Path) -> None:
    metadata = content.get("fedn")
    if not isinstance(metadata, Mapping) or metadata.get("task", "DetectionTask") != "DetectionTask":
        raise CheckpointError(f"{checkpoint} holds no detector; give the best.ckpt of a run of DetectionTask.")


def _check_people(metadata: Mapping[str, Any], data: DetectionDataModule) -> list[str]:
    """The people of the corpus who show something, if they are enough and new to the checkpoint."""
    corpus = data.corpus
    people = sorted({e.subject for e in corpus.expressions})
    if len(people) < MIN_PEOPLE or len(corpus.expressions) < MIN_EVENTS:
        raise SplitError(
            f"The corpus has {len(corpus.expressions)} expressions of {len(people)} people. At least {MIN_EVENTS} of "
            f"{MIN_PEOPLE} people are needed to say whether fine-tuning helps on other people; correct more videos, "
            f"and give the videos of one person one name."
        )
    again = known(metadata.get("people") or {}, corpus, people)
    if again:
        raise SplitError(
            f"The checkpoint was trained or validated on {', '.join(again)}. Scores on them would say nothing about "
            f"other people; leave them out of the corpus."
        )
    return people


def _fold(content: Mapping[str, Any], data: DetectionDataModule, config: AdaptConfig) -> dict[str, DetectionRecord]:
    """What each variant finds in the held-out people."""
    task, found = build(content, config), {}
    found[BEFORE] = _test(task, data)
    trainer(0).validate(task, data, verbose=False)
    found[THRESHOLDS] = _test(task, data)
    lightning.seed_everything(config.seed, verbose=False)
    task = build(content, config)  # anew: what a test keeps cannot be trained with
    trainer(config.epochs).fit(task, data)
    found[AFTER] = _test(task, data)
    return found


def _test(task: DetectionTask, data: DetectionDataModule) -> DetectionRecord:
    trainer(0).test(task, data, verbose=False)
    assert task.record is not None
    return task.record


def trainer(epochs: int) -> lightning.Trainer:
    """A trainer that writes nothing."""
    return lightning.Trainer(
        max_epochs=epochs,
        accelerator="auto",
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        log_every_n_steps=1,
    )


def build(content: Mapping[str, Any], config: AdaptConfig) -> DetectionTask:
    """The network of a checkpoint, of which heads and motion stream are trained.

    Its thresholds are chosen by F1 alone, the score of the verdict. A limit of false positives per minute, under which
    those of the checkpoint may have been chosen, would allow hardly any in the few minutes of a validation group.
    """
    model = content["fedn"]["model"]
    task = DetectionTask(
        encoder=replace(EncoderConfig(**model["encoder"]), weights=None, frozen=True),
        network=NetworkConfig(**OLD_DEFAULTS | model["network"]),
        inference=replace(InferenceConfig(**model["inference"]), false_positives_per_minute=math.inf),
        optimiser=OptimiserConfig(lr=config.lr),
        emotion_scheme=model["emotion_scheme"],
        recognise=model["recognise"],
    )
    missing = task.load_state_dict(content["state_dict"], strict=False).missing_keys
    if missing:
        msg = f"The checkpoint lacks {', '.join(missing[:3])}; it was made by another version. Train it again."
        raise CheckpointError(msg)
    for name, parameter in task.named_parameters():
        parameter.requires_grad_(name.removeprefix("network.").split(".")[0] in TRAINED)
    return task


def _pool(folders: Sequence[Path], out: Path) -> Path:
    """The tables of all folds as one run: everybody is held out in exactly one of them."""
    for name in (PREDICTIONS, PROPOSALS, TRUTH, VIDEOS):
        header, rows = [], []
        for folder in folders:
            with (folder / name).open(newline="", encoding="utf-8") as file:
                header, *mine = csv.reader(file)
            rows += mine
        write_csv(out / name, header, rows)
    return out


def _train_on_all(
    content: Mapping[str, Any], data: DetectionDataModule, config: AdaptConfig, path: Path, word: str
) -> Path:
    """Fine-tunes on everybody but one group, on whom the thresholds are chosen, and writes the checkpoint."""
    task = build(content, config)
    lightning.seed_everything(config.seed, verbose=False)
    fitted = trainer(config.epochs)
    fitted.fit(task, data)
    task.inference = InferenceConfig(**content["fedn"]["model"]["inference"])

    def save(temporary: Path) -> None:
        fitted.save_checkpoint(temporary, weights_only=True)
        new, old = read_checkpoint(temporary), content["fedn"]
        about = new["fedn"]
        # It has seen both corpora; generated faces alone only if both are.
        about["people"] = {**(old.get("people") or {}), **about["people"]}
        about["generated"] = bool(old.get("generated")) and about["generated"]
        about["adapted"] = {"verdict": word, "config": asdict(config)}
        torch.save({**new, "state_dict": {name: value.clone() for name, value in new["state_dict"].items()}}, temporary)

    return write_atomically(path, save)


def _scores(comparison: Comparison) -> dict[str, Any]:
    """The scores of each variant, and the differences from the first."""
    return {
        "scores": dict(zip(comparison.names, comparison.scores, strict=True)),
        "differences": {
            name: {path: asdict(each) for path, each in row.items()}
            for name, row in zip(comparison.names[1:], comparison.differences, strict=True)
        },
    }
