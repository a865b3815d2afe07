"""Reads a configuration as `fedn fit` does, without running it, and fills the caches that all folds share.

Runs in a process of its own (`python -m fedn_lightning.cli.inspection`): the driver then needs neither torch nor its
memory, and what the preparation leaves behind in a process dies with it.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fedn_lightning.cli.options import quieten
from fedn_lightning.datasets.base import digest_corpus
from fedn_lightning.errors import ConfigError, FednError
from fedn_lightning.loso.experiment import Experiment, check_no_own_keys
from fedn_lightning.loso.status import check_unseen
from fedn_lightning.utils.files import digest_file, locked, write_json

SEPARATOR = "--"
"""Stands before the arguments of each experiment on the child's command line."""


def inspect(args: Sequence[str], runs: str, group: int = 1, threads: int = 1, warm_up: bool = False) -> Experiment:
    """Reads the experiment that some options of `fedn fit` describe.

    Raises:
        FednError: for every mistake in options, configuration or corpus, and if the encoder's weights or a starting
            checkpoint have seen a subject of the corpus.
    """
    check_no_own_keys(args)
    # Imported here: torch and Lightning take seconds.
    from fedn_lightning.cli import fit as train
    from fedn_lightning.cli.config import with_bases
    from fedn_lightning.cli.parsing import plain_errors, prepare_parsing, qualify_references

    quieten()
    prepare_parsing()
    for module in train.CLASS_MODULES:
        importlib.import_module(module)
    argv = with_bases(qualify_references(["fit", *args, "--data.test_subject", "[]"]))
    with contextlib.ExitStack() as exits, plain_errors():
        cli = _reader(train.FednCLI)(exits, argv)
    experiment = describe(cli, args, runs, group, threads)
    if warm_up:
        store = Path(cli.datamodule.crops.store)
        store.mkdir(parents=True, exist_ok=True)
        with locked(store / ".warm-up.lock"):
            cli.model.to(cli.trainer.strategy.root_device)
            cli.datamodule.features = getattr(cli.model, "frame_features", None)
            cli.datamodule.warm_up()
    return experiment


def _reader(base: type) -> Any:
    """A training command that builds its classes and stops there; made here since its base imports torch."""
    from lightning.pytorch.cli import LightningCLI

    class Reader(base):  # type: ignore[misc] # mypy cannot know a base made at run time
        def instantiate_trainer(self, **kwargs: Any) -> Any:
            config = self._get(self.config_init, "trainer")
            config["logger"], config["callbacks"] = False, []
            return LightningCLI.instantiate_trainer(self, **kwargs)

        def _run_subcommand(self, subcommand: str) -> None:
            """Runs nothing."""

        def _parse_ckpt_path(self) -> None:
            """Opens no run folder."""

    return Reader


def describe(cli: Any, args: Sequence[str], runs: str, group: int, threads: int) -> Experiment:
    """Makes an :class:`Experiment` of a parsed configuration whose classes are built."""
    from lightning.pytorch.accelerators import CPUAccelerator

    from fedn_lightning.callbacks.run_config import plain_config
    from fedn_lightning.loggers.wandb import config_hash

    settings, trainer, corpus = cli.settings, cli.trainer, cli.datamodule.corpus
    plain = plain_config(cli._parser(cli.subcommand), settings)
    _check_no_shared_resources(plain)
    arguments = plain["data"]["init_args"]
    weights = (plain["model"]["init_args"].get("encoder") or {}).get("weights")
    if weights:
        check_unseen(Path(weights), arguments["corpus"]["dataset"], corpus.subjects)
    hashed = {**plain, "data": {**plain["data"], "init_args": {**arguments, "seed": None}}}
    weights_digest = digest_file(weights) if weights else None
    digest = config_hash({**hashed, "weights": weights_digest, "corpus": digest_corpus(corpus)})
    counts = {subject: sum(v.subject == subject for v in corpus.videos) for subject in corpus.subjects}
    gpus = 0 if isinstance(trainer.accelerator, CPUAccelerator) else trainer.num_devices
    seed = plain.get("seed_everything")
    return Experiment(
        name=settings.experiment,
        config_hash=digest,
        words=tuple(args),
        runs=runs,
        subjects=counts,
        val_subject=arguments.get("val_subject", 0),
        seed=seed if isinstance(seed, int) and not isinstance(seed, bool) else 0,
        seeded_data="seed" in arguments,
        monitor=plain["checkpoint"]["monitor"],
        monitor_mode=plain["checkpoint"]["mode"],
        max_epochs=trainer.max_epochs or 0,
        group=group,
        cpus=threads + int(arguments.get("num_workers", 0)),
        gpus=gpus,
        device_count=0 if gpus == 0 else type(trainer.accelerator).auto_device_count(),
        wandb_project=plain["wandb"]["project"],
        wandb_mode=plain["wandb"]["mode"],
        wandb_group=plain["wandb"]["group"] or f"{settings.experiment}-{digest}",
        parameters=sum(p.numel() for p in cli.model.parameters()),
        trained_parameters=sum(p.numel() for p in cli.model.parameters() if p.requires_grad),
    )


def _check_no_shared_resources(plain: Mapping[str, Any]) -> None:
    """Refuses settings through which one fold could reach another, or that leave no result."""
    reasons = {
        "ckpt_path": "a checkpoint to start from may have seen the subjects a fold holds out",
        "trainer.default_root_dir": "with a folder in common a fold on SLURM would resume from another one's weights",
        "trainer.fast_dev_run": "it leaves no result",
    }
    for key, reason in reasons.items():
        value: Any = plain
        for part in key.split("."):
            value = value.get(part)
        if value:
            raise ConfigError(f"{key} is {value!r}: {reason}; remove the key for fedn loso.")
    if not plain["test_after_fit"]:
        raise ConfigError("test_after_fit is false, but a fold of fedn loso is what its test predicts; set it to true.")


def inspect_in_child(args: Sequence[str], runs: str, group: int, threads: int, warm_up: bool) -> Experiment:
    """:func:`inspect` in a process of its own; its progress bars and messages pass through."""
    return inspect_each_in_child([args], runs, group, threads, warm_up)[0]


def inspect_each_in_child(
    requests: Sequence[Sequence[str]], runs: str, group: int, threads: int, warm_up: bool
) -> list[Experiment]:
    """:func:`inspect` for the arguments of several experiments, one after the other in one process of their own."""
    with tempfile.TemporaryDirectory(prefix="fedn-loso-") as folder:
        options = ["--runs", runs, "--group", str(group), "--threads", str(threads), *(["--warm-up"] * warm_up)]
        command = [sys.executable, "-m", "fedn_lightning.cli.inspection", folder, *options]
        command += [word for args in requests for word in (SEPARATOR, *args)]
        code = subprocess.run(command, check=False).returncode
        if code:
            raise ChildError(code)
        return [Experiment.load(Path(folder) / f"{number}.json") for number in range(len(requests))]


class ChildError(Exception):
    """The child failed and has printed the reason.

    Attributes:
        code: its exit code.
    """

    def __init__(self, code: int) -> None:
        super().__init__(f"the inspection ended with code {code}")
        self.code = code


def main(argv: Sequence[str]) -> int:
    """Writes each experiment to `0.json`, `1.json` ...: `FOLDER --runs R [...] -- WORDS [-- WORDS ...]`."""
    parser = argparse.ArgumentParser(prog="python -m fedn_lightning.cli.inspection")
    parser.add_argument("folder")
    parser.add_argument("--runs", default="runs")
    parser.add_argument("--group", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--warm-up", action="store_true")
    own, *requests = _split(argv)
    options = parser.parse_args(own)
    try:
        for number, args in enumerate(requests):
            found = inspect(args, options.runs, options.group, options.threads, options.warm_up)
            write_json(Path(options.folder) / f"{number}.json", found.to_json())
    except FednError as error:
        print(f"fedn: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def _split(argv: Sequence[str]) -> list[list[str]]:
    """The arguments between separators.

    >>> _split(["out", "--", "--config", "a.yaml", "--", "--config", "b.yaml"])
    [['out'], ['--config', 'a.yaml'], ['--config', 'b.yaml']]
    """
    parts: list[list[str]] = [[]]
    for word in argv:
        if word == SEPARATOR:
            parts.append([])
        else:
            parts[-1].append(word)
    return parts


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
