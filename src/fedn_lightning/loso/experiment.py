"""The folds of an experiment: which subjects each holds out, its command and its folder."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fedn_lightning.datamodules.splits import find_subject
from fedn_lightning.errors import FoldError, SplitError

LONGEST = 100
"""Characters of a fold's name; file systems and W&B take some more."""


@dataclass(frozen=True)
class Fold:
    """One training: a seed, and the subjects it never sees."""

    seed: int  # of everything random in the fold
    subjects: tuple[str, ...]  # held out, sorted

    @property
    def name(self) -> str:
        """Name of the fold's folder, e.g. `s15`, or `s15+s21` for a group; a hash ends that of a large group."""
        name = "+".join(self.subjects)
        if len(name) <= LONGEST:
            return name
        return f"{self.subjects[0]}+{len(self.subjects) - 1}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"

    def __str__(self) -> str:
        return f"{self.name} (seed {self.seed})"


def make_folds(subjects: Sequence[str], seeds: Sequence[int], group: int = 1) -> list[Fold]:
    """Holds every subject out exactly once per seed.

    Args:
        subjects: everyone in the corpus.
        seeds: one complete set of folds each; groups are the same for all seeds.
        group: how many subjects are held out together; groups differ in size by at most one.

    Returns:
        Folds by seed, in a fixed order.

    Raises:
        SplitError: if the group leaves nobody to train on, or a seed is given twice.

    >>> [fold.name for fold in make_folds(["a", "b", "c", "d", "e"], [7], group=2)]
    ['a+d', 'b+e', 'c']
    """
    everyone = sorted(set(subjects))
    if not 1 <= group < len(everyone):
        raise SplitError(f"--group {group} must be at least 1 and less than the number of subjects, {len(everyone)}.")
    if len(set(seeds)) != len(seeds):
        raise SplitError(f"--seeds {' '.join(map(str, seeds))} names a seed twice.")
    count = math.ceil(len(everyone) / group)
    return [Fold(seed, tuple(everyone[i::count])) for seed in seeds for i in range(count)]


def choose_folds(folds: Sequence[Fold], wanted: Sequence[str | int], subjects: Sequence[str]) -> list[Fold]:
    """The folds that hold out one of the wanted subjects; all folds if none is named.

    Raises:
        SplitError: if a name fits no subject of the corpus.
    """
    names = {find_subject(word, subjects) for word in wanted}
    return [fold for fold in folds if not names or names & set(fold.subjects)]


OWN_KEYS = ("run_dir", "ckpt_path", "seed_everything", "data.test_subject", "data.seed")
"""Configuration keys that differ from fold to fold and are set here."""


@dataclass(frozen=True)
class Experiment:
    """A configuration, a corpus, and a folder for the folds."""

    name: str  # the configuration's `experiment`
    # names everything that a fold's result depends on, save its seed and its subjects: the configuration, the content
    # of the encoder's weights, and the corpus (videos and labels)
    config_hash: str
    words: tuple[str, ...]  # the user's options of `fedn fit`, e.g. `--config experiments/casme2.yaml`.
    runs: str  # parent folder of all experiments
    subjects: dict[str, int]  # number of videos of each subject of the corpus
    val_subject: int | list[str | int]  # the configuration's `data.val_subject`
    seed: int  # the configuration's `seed_everything`
    seeded_data: bool  # whether the data module has a seed of its own
    monitor: str | None  # metric that chooses the epoch, None for the last epoch
    monitor_mode: str  # `max` or `min`
    max_epochs: int  # epochs of a fold
    group: int  # subjects held out together
    cpus: int  # cores a fold keeps busy: its threads and its loader processes
    gpus: int  # accelerator devices of one fold
    device_count: int  # accelerator devices of this machine
    wandb_project: str  # W&B project
    wandb_mode: str  # configured W&B mode
    wandb_group: str  # beginning of the W&B group's name
    parameters: int = 0  # numbers in the network, the encoder's included
    trained_parameters: int = 0  # those of them that training changes

    @property
    def folder(self) -> Path:
        """`runs/<experiment>/<config-hash>`."""
        return Path(self.runs) / self.name / self.config_hash

    def fold_folder(self, fold: Fold) -> Path:
        """`runs/<experiment>/<config-hash>/seed<K>/<subject>`."""
        return self.folder / f"seed{fold.seed}" / fold.name

    def beside(self, fold: Fold, suffix: str) -> Path:
        """A file that belongs to a fold but must outlive its folder, e.g. its lock."""
        return self.folder / f"seed{fold.seed}" / f".{fold.name}{suffix}"

    def tracking_group(self, seed: int) -> str:
        """The W&B group of a seed's folds."""
        grouped = f"-group{self.group}" if self.group > 1 else ""
        return f"{self.wandb_group}-seed{seed}{grouped}"

    def command(self, fold: Fold, resume_from: Path | None = None) -> list[str]:
        """The words after `fedn` that run a fold."""
        words = ["fit", *self.words, "--seed_everything", str(fold.seed)]
        if self.seeded_data:
            words += ["--data.seed", str(fold.seed)]
        words += ["--data.test_subject", json.dumps(list(fold.subjects))]
        words += ["--run_dir", str(self.fold_folder(fold)), "--trainer.enable_progress_bar", "false"]
        words += ["--wandb.group", self.tracking_group(fold.seed), "--wandb.job_type", "fold"]
        words += ["--wandb.name", fold.name]
        return words + (["--ckpt_path", str(resume_from)] if resume_from else [])

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Experiment:
        """Inverts :meth:`to_json`."""
        return cls(**{**value, "words": tuple(value["words"])})

    @classmethod
    def load(cls, path: Path) -> Experiment:
        """Reads an `experiment.json`.

        Raises:
            FoldError: if the file cannot be read as one.
        """
        try:
            return cls.from_json(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError, KeyError) as error:
            msg = f"{path} does not describe an experiment ({error}); run fedn loso again to write it anew."
            raise FoldError(msg) from error


def check_no_own_keys(words: Sequence[str]) -> None:
    """Refuses options that would make folds share what they must not.

    Raises:
        FoldError: naming the option.

    >>> check_no_own_keys(["--config", "x.yaml"])
    """
    given = {word.split("=", 1)[0].removeprefix("--").replace("init_args.", "") for word in words if word[:2] == "--"}
    for key in OWN_KEYS:
        if key in given:
            msg = f"--{key} differs from fold to fold and is set by fedn loso; use --subjects, --seeds or --runs."
            raise FoldError(msg)
