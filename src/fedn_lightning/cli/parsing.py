"""How a training command reads its configuration: jsonargparse and omegaconf, made plain to the user."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from typing import Any

from jsonargparse import set_parsing_settings
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Trainer
from lightning.pytorch.cli import LightningArgumentParser
from omegaconf.errors import OmegaConfBaseException

from fedn_lightning.cli.messages import explain, explain_reference, explain_setup
from fedn_lightning.errors import ConfigError

PARSER_OPTIONS = {
    # "omegaconf+" resolves ${...} after command-line overrides; plain "omegaconf" before them.
    "parser_mode": "omegaconf+",
    "allow_abbrev": False,  # or --trainer.max_epoch would be taken for max_epochs
    "prog": "fedn",
}


def prepare_parsing() -> None:
    """Settings of the parsing library that hold for the whole process."""
    set_parsing_settings(omegaconf_absolute_to_relative_paths=True)
    put_int_first()


def put_int_first(trainer_class: type[Trainer] = Trainer) -> None:
    """Makes `limit_val_batches: 1` mean one batch, not 100 %.

    The parser tries the types of a union in order. `typing` keeps unions in a cache in which `float | int` and
    `int | float` are equal, so which order `Trainer` got depends on what was imported before it. Unions made with `|`
    are not cached. Can go when Lightning writes its annotations so.
    """
    annotations = trainer_class.__init__.__annotations__
    for name in ("limit_train_batches", "limit_val_batches", "limit_test_batches", "limit_predict_batches"):
        annotations[name] = int | float | None
    annotations["overfit_batches"] = int | float


class FednParser(LightningArgumentParser):
    """A parser whose errors are one sentence, without sixty lines of usage before it."""

    def error(self, message: str, ex: Exception | None = None) -> Any:
        """Raises :class:`ConfigError`; parsers that only try a value (`exit_on_error=False`) fail as the base does."""
        if not self.exit_on_error:
            super().error(message, ex)
        raise ConfigError(explain(message, self.known_keys())) from ex

    def known_keys(self) -> set[str]:
        """All keys of this parser and of the commands below it."""
        keys = {option.lstrip("-") for option in self._option_string_actions}
        below = [action.choices for action in self._actions if isinstance(action.choices, dict)]
        return keys.union(*(parser.known_keys() for commands in below for parser in commands.values()))


@contextlib.contextmanager
def plain_errors() -> Iterator[None]:
    """Turns the libraries' errors about a configuration into the project's own."""
    try:
        yield
    except OmegaConfBaseException as error:
        raise ConfigError(explain_reference(getattr(error, "full_key", None), str(error))) from error
    except MisconfigurationException as error:
        raise ConfigError(explain_setup(str(error))) from error


def root_of(error: BaseException) -> BaseException:
    """The error that began it: parsers wrap what a constructor raises in reports of all that they tried."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def qualify_references(argv: Sequence[str]) -> list[str]:
    """Makes `${key}` on the command line mean the same as in a file.

    The parser keeps a command's keys under the command's name and resolves references from the top.

    >>> qualify_references(["fit", "--run_dir", "runs/${experiment}", "--x", "${oc.env:HOME}"])
    ['fit', '--run_dir', 'runs/${fit.experiment}', '--x', '${oc.env:HOME}']
    """
    command, *words = argv
    return [command, *(re.sub(r"\$\{(?=[A-Za-z_][\w.\[\]]*\})", f"${{{command}.", word) for word in words)]
