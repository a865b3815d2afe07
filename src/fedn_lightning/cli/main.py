"""Finds the command a user typed and imports only what that command needs."""

from __future__ import annotations

import errno
import os
import pkgutil
import sys
from collections.abc import Sequence
from typing import NamedTuple

from fedn_lightning.errors import FednError


class Command(NamedTuple):
    """A command: the function that runs it, as `module:name`, and one line for the help."""

    function: str
    summary: str


TRAINER = "fedn_lightning.cli.fit:main"

COMMANDS: dict[tuple[str, ...], Command] = {
    ("fit",): Command(TRAINER, "train on a corpus: fedn fit --config experiments/synthetic.yaml"),
    ("validate",): Command(TRAINER, "score a checkpoint on the validation subjects"),
    ("test",): Command(TRAINER, "score a checkpoint on the held-out subjects"),
    ("predict",): Command(
        "fedn_lightning.cli.predict:main", "find the expressions in your own videos, by a checkpoint"
    ),
    ("review",): Command("fedn_lightning.cli.review:review", "check and correct predictions; make a corpus of them"),
    ("adapt",): Command("fedn_lightning.cli.review:adapt", "fine-tune a checkpoint on corrected material, if it helps"),
    ("loso",): Command("fedn_lightning.cli.loso:main", "hold out every subject once, in parallel, and pool the result"),
    ("two-step",): Command("fedn_lightning.cli.runs:two_step", "baseline: a recogniser names what a spotter found"),
    ("study",): Command("fedn_lightning.cli.study:main", "run experiments on the same folds, and write one table"),
    ("compare",): Command("fedn_lightning.cli.runs:compare", "compare runs subject by subject, with intervals"),
    ("errors",): Command("fedn_lightning.cli.runs:errors", "sort false negatives and false positives into kinds"),
    ("generalise",): Command("fedn_lightning.cli.runs:generalise", "score a trained run on another corpus"),
    ("report",): Command("fedn_lightning.cli.runs:report", "show a run as one HTML page"),
    ("dashboard",): Command("fedn_lightning.cli.runs:dashboard", "create a W&B workspace that compares runs"),
    ("evaluate",): Command("fedn_lightning.cli.evaluate:main", "score anyone's predictions against a truth table"),
    ("summary",): Command("fedn_lightning.cli.evaluate:summary", "count what was found: rates, durations, for a paper"),
    ("export",): Command("fedn_lightning.cli.runs:export", "write a checkpoint as ONNX, checked against PyTorch"),
    ("doctor",): Command("fedn_lightning.cli.runs:doctor", "check this installation, as text for a bug report"),
    ("data", "synth"): Command("fedn_synth.cli:synth", "write the generated corpus"),
    ("data", "stills"): Command("fedn_synth.cli:stills", "write generated still images in AffectNet's layout"),
    ("data", "moments"): Command("fedn_synth.cli:moments", "write quiet, onset and apex frames to test an encoder on"),
    ("data", "faces"): Command("fedn_synth.cli:faces", "draw a contact sheet of generated faces"),
    ("data", "check"): Command("fedn_lightning.cli.data:check", "list the content of a corpus and its errors"),
    ("data", "prepare"): Command("fedn_lightning.cli.data:prepare", "align the faces and write the clip store"),
}


TRAINING_HELP = """\
usage: fedn {command} --config EXPERIMENT.yaml [--KEY VALUE ...]

{summary}

  --config FILE             experiment file; of several, a later one wins over an earlier one
  --run_dir DIR             the run's folder (default: runs/EXPERIMENT)
  --seed_everything K       seed of everything random (default: 7)
  --ckpt_path FILE          checkpoint to score, or to resume from
  --trainer.KEY VALUE       e.g. --trainer.max_epochs 10, --trainer.accelerator gpu, --trainer.fast_dev_run true
  --model.KEY VALUE         e.g. --model.optimiser.lr 1e-3
  --data.KEY VALUE          e.g. --data.test_subject '[s15]', --data.batch_size 8
  --wandb.KEY VALUE         e.g. --wandb.mode online, --wandb.project NAME
  --print_config            print the complete configuration and exit

Every key of an experiment file is an option. More help, which imports PyTorch and takes seconds:
  fedn {command} --help all                   every option
  fedn {command} --model.help DetectionTask   the keys of a task
  fedn {command} --data.help DetectionDataModule   the keys of a data module
docs/train.md explains the most important keys."""
"""What `--help` of a training command prints; the parser itself takes seconds to import."""

FILE_FOR_FOLDER = (errno.ENOTDIR, errno.EISDIR, errno.EEXIST)
"""A file stands where a folder is needed, or the other way round."""

FULL_OR_FORBIDDEN = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, *FILE_FOR_FOLDER, errno.ENAMETOOLONG)
"""Errors of the system that a user can fix: no space, or a folder without permission to write."""


def usage() -> str:
    """The help text: every command on a line."""
    width = max(len(" ".join(words)) for words in COMMANDS)
    lines = [f"  {' '.join(words):<{width}}  {command.summary}" for words, command in COMMANDS.items()]
    head = ["fedn: facial-expression detection in long videos", "", "usage: fedn COMMAND [OPTIONS]", ""]
    return "\n".join([*head, *lines, "", "fedn COMMAND --help describes one command."])


def find(argv: Sequence[str]) -> tuple[tuple[str, ...], Command] | None:
    """The command that the first one or two words name, with those words; None if they name none."""
    for length in (2, 1):
        words = tuple(argv[:length])
        if words in COMMANDS:
            return words, COMMANDS[words]
    return None


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `fedn`.

    Returns:
        The exit code: 0 done, 2 an error that the user can fix (one sentence on stderr), 130 interrupted from the
        keyboard, 141 the reader of the output has gone (`fedn ... | head`), otherwise the command's own.
    """
    try:
        try:
            return _run(list(sys.argv[1:] if argv is None else argv))
        finally:
            sys.stdout.flush()  # here, where it can be caught, and not when the process ends
    except BrokenPipeError:
        if not _output_is_closed():
            raise  # another pipe: a worker process died
        # What is left in the buffer would be written, and fail, when the process ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def _output_is_closed() -> bool:
    """Whether the reader of the output has gone."""
    try:
        print(flush=True)
    except BrokenPipeError:
        return True
    return False


def _run(argv: list[str]) -> int:
    """Finds the command and runs it; errors of the user's making become a sentence."""
    if argv in (["--version"], ["version"]):
        from importlib.metadata import version  # 20 ms

        print(f"fedn-lightning {version('fedn-lightning')}")
        return 0
    if not argv:
        welcome()
        return 0
    if argv[0] in ("-h", "--help", "help"):
        print(usage())
        return 0
    found = find(argv)
    if found is None:
        print(f"fedn: error: there is no command {' '.join(argv[:2])!r}.\n\n{usage()}", file=sys.stderr)
        return 2
    words, command = found
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # torch reads it; large pages make the encoder's training faster
    try:
        # A training command needs its own name: `fedn fit` and `fedn test` share a module.
        rest = argv if command.function == TRAINER else argv[len(words) :]
        if command.function == TRAINER and rest[1:] in (["--help"], ["-h"]):
            print(TRAINING_HELP.format(command=rest[0], summary=command.summary))
            return 0
        if command.function == TRAINER and rest[1:] == ["--help", "all"]:
            rest = rest[:-1]
        return int(pkgutil.resolve_name(command.function)(rest) or 0)
    except FednError as error:
        print(f"fedn: error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        if error.errno not in FULL_OR_FORBIDDEN:
            raise
        hint = (
            " A file stands where a folder is needed, or a folder for a file." if error.errno in FILE_FOR_FOLDER else ""
        )
        where = f"{error.filename}: " if error.filename else ""
        print(f"fedn: error: {where}{error.strerror}.{hint}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("fedn: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())


FIRST_STEPS = (
    ("fedn doctor", "is everything here, and does it work?"),
    ("fedn fit --config experiments/synthetic.yaml", "train; `make fit` also makes the data for it"),
    ("fedn predict VIDEO --ckpt runs/synthetic/checkpoints/best.ckpt", "find the expressions in a video"),
    ("fedn report runs/synthetic --open", "show its scores, predictions and errors"),
    ("fedn loso --config experiments/casme2_cpu.yaml --jobs 2", "hold out every subject once, and pool"),
)
"""A command, and what it is for."""

ALL = "fedn --help lists every command, fedn COMMAND --help its options."


def welcome() -> None:
    """Prints the five commands: as a card in a terminal, as plain lines into a pipe."""
    if not sys.stdout.isatty():
        width = max(len(command) for command, _ in FIRST_STEPS)
        print("\n".join([*(f"{command:<{width}}  {purpose}" for command, purpose in FIRST_STEPS), "", ALL]))
        return
    from rich.console import Console, Group
    from rich.panel import Panel
    from rich.text import Text

    steps = [Text.assemble((command, "bold"), "\n  ", (purpose, "dim")) for command, purpose in FIRST_STEPS]
    title = "facial expressions in long videos"
    Console().print(Panel(Group(*steps, "", ALL), title=title, title_align="left", expand=False, padding=(1, 2)))
