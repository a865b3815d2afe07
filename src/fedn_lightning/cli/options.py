"""What the option parsers of the commands share. Imports nothing heavy, so that `--help` is quick."""

from __future__ import annotations

import argparse
import logging
import signal
import warnings
from collections.abc import Callable
from typing import Any, NoReturn

from fedn_lightning.errors import ConfigError

RUN_FILES = "folder with predictions.csv, proposals.csv, truth.csv, ..."


class Once(argparse.Action):
    """Stores the value of an option, and refuses a second value: the first one would be lost without a word."""

    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option: str | None = None) -> None:
        """Stores the value."""
        if self.option_strings and self.dest in parser.given:
            msg = f"{option} is given twice; only one value can be used"
            parser.error(msg)
        parser.given.add(self.dest)
        setattr(namespace, self.dest, values)


class CommandParser(argparse.ArgumentParser):
    """The parser of one command. A mistake in the options becomes one sentence, without the usage text before it.

    An option that keeps one value may be given once.
    """

    def __init__(self, command: str, description: str, epilog: str = "", **settings: Any) -> None:
        super().__init__(f"fedn {command}", description=description, epilog=epilog, allow_abbrev=False, **settings)
        self.given: set[str] = set()
        self.register("action", None, Once)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parses the words; no option counts as given before."""
        self.given.clear()
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Raises the mistake as the project's own error."""
        text = message.removeprefix("argument ").rstrip(".")
        raise ConfigError(f"{text}. {self.prog} --help lists the options.")

    def add_draws(self, default: int = 1000) -> None:
        """Adds `--bootstrap`."""
        text = f"draws of subjects for the 95 %% intervals (default: {default})"
        self.add_argument("--bootstrap", type=at_least(1), default=default, metavar="N", help=text)

    def add_launcher(self) -> None:
        """Adds `--launcher` and `--address`, by which many videos run on a Ray cluster."""
        self.add_argument("--launcher", choices=("local", "ray"), default="local", help="where they run (%(default)s)")
        self.add_argument("--address", metavar="A", help="of a running Ray cluster (default: one starts here)")

    def add_folds(self, unit: str) -> None:
        """Adds the options by which `fedn loso` and `fedn study` share the machine."""
        jobs = f"{unit}s at a time (default: one per device, or per core)"
        self.add_argument("--jobs", type=at_least(1), metavar="N", help=jobs)
        self.add_argument(
            "--threads", type=at_least(1), default=1, metavar="N", help=f"threads of a {unit} (default: 1)"
        )
        self.add_argument("--devices", nargs="+", default=[], metavar="D", help="CUDA devices to use (default: all)")


def at_least(minimum: int) -> Callable[[str], int]:
    """The type of an option that takes a whole number.

    >>> at_least(1)("12")
    12
    """

    def convert(text: str) -> int:
        if not text.lstrip("-").isdecimal() or int(text) < minimum:
            msg = f"must be a whole number of at least {minimum}, not {text}"
            raise argparse.ArgumentTypeError(msg)
        return int(text)

    return convert


def interrupt_on_sigterm() -> None:
    """Makes SIGTERM do what Ctrl-C does: all trainings end, and can be resumed."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)


def quieten() -> None:
    """Leaves out notices that a user of this program cannot act on."""
    # Advice to add loading workers: windows of cached features are served faster without (see data.num_workers).
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    # A resumed run writes where it wrote before.
    warnings.filterwarnings("ignore", message="Checkpoint directory .* exists and is not empty")
    # A test needs the weights of a checkpoint, not the state of the callbacks that wrote it.
    warnings.filterwarnings("ignore", message=".*callbacks used to create the checkpoint need to be provided")
    # Losses are logged by epoch; a few batches an epoch are no mistake.
    warnings.filterwarnings("ignore", message=".*is smaller than the logging interval")
    # The frozen encoder is meant to be in evaluation mode.
    warnings.filterwarnings("ignore", message="Found .* module.* in eval mode at the start of training")
    # The classical baseline has no gradient: neither an optimiser nor a loss nor a rate to watch.
    warnings.filterwarnings("ignore", message=".*configure_optimizers` returned `None`")
    warnings.filterwarnings("ignore", message=".*training_step` returned `None`")
    warnings.filterwarnings("ignore", message=".*LearningRateMonitor.*no learning rate schedulers")
    # A method that needs no validation subjects may have none (data.val_subject).
    warnings.filterwarnings("ignore", message="Total length of .* across ranks is zero")
    # Lightning 2.6 uses a name that torch 2.13 has deprecated; goes with a later Lightning.
    warnings.filterwarnings("ignore", message=".*LeafSpec.* is deprecated")
    # Devices, advertisements and restored paths, at every start; the warnings of the same loggers stay.
    for name in ("lightning.pytorch.utilities.rank_zero", "lightning.fabric.utilities.seed"):
        logging.getLogger(name).setLevel(logging.WARNING)
