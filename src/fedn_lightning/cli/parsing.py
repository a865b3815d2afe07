"""Reads the configuration of a training command with jsonargparse and omegaconf; errors become one sentence."""

from __future__ import annotations

import contextlib
import difflib
import importlib
import inspect
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from jsonargparse import set_parsing_settings
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Trainer
from lightning.pytorch.cli import LightningArgumentParser
from omegaconf.errors import OmegaConfBaseException

from fedn_lightning.errors import ConfigError

# Lines that describe how the parser searched, not what is wrong.
_NOISE = re.compile(
    r"^(Does not validate against any of the Union subtypes|Subtypes: |Errors:|Given value type: |"
    r"Expected a <class 'NoneType'>|Expected a path but .* either not accessible or invalid$|$)"
)
_KEY = re.compile(r"^Parser key \"(?P<key>[^\"]+)\"( element \d+)?:\s*(?P<rest>.*)$")
_CLASS = re.compile(r"^Problem with given class_path '(?P<path>[^']+)':\s*(?P<rest>.*)$")
_WRONG_TYPE = re.compile(r"^Expected an? (?P<type>.+?)(\. Got value: (?P<value>.*))?$")
_UNKNOWN = re.compile(
    r"^(?:Subcommand '\w+' does not accept option '(?P<option>[^']+)'"
    r"|(?:.*\b)?(?:[Kk]ey|group|[Oo]ption) ['\"](?P<name>[^'\"]+)['\"] is not (?:expected|accepted)).*$"
)
_MONITOR = re.compile(r"ModelCheckpoint\(monitor='(?P<name>[^']+)'\).*returned metrics: \[(?P<known>[^\]]*)\]")


def did_you_mean(name: str, candidates: Iterable[str]) -> str:
    """A closing half-sentence with the nearest known name, empty if none is near.

    >>> did_you_mean("widht", ["width", "depth"])
    '; did you mean "width"?'
    """
    near = difflib.get_close_matches(name, list(candidates), n=1, cutoff=0.6)
    return f'; did you mean "{near[0]}"?' if near else "."


def arguments_of(class_path: str) -> list[str]:
    """Names of the constructor arguments of a class given by its import path; empty if it cannot be imported."""
    module, _, name = class_path.rpartition(".")
    try:
        return list(inspect.signature(getattr(importlib.import_module(module), name)).parameters)
    except (ImportError, AttributeError, TypeError, ValueError):
        return []


def _plain_type(text: str) -> str:
    if text.startswith("typing.Literal["):
        return f"one of {text.removeprefix('typing.Literal[').removesuffix(']')}"
    return "of type " + re.sub(r"<class '(?:[\w.]*\.)?(\w+)'>", r"\1", text)


def explain(message: str, known_keys: Iterable[str] = ()) -> str:
    r"""Makes one sentence of a report of the argument parser.

    Returns:
        A sentence that names the key and, if known, the value and the expected type.

    >>> print(explain('Parser key "trainer.max_epochs":\n  Expected a <class \'int\'>\n  Given value: abc'))
    The configuration key "trainer.max_epochs" must be of type int, not abc.
    """
    keys: list[str] = []
    class_path, given = "", ""
    complaints: list[str] = []
    for raw in message.splitlines():
        line = raw.strip().removeprefix("- ").strip()
        while match := _KEY.match(line) or _CLASS.match(line):
            if match.re is _KEY:
                keys.append(match["key"])
            else:
                class_path = match["path"]
            line = match["rest"].strip()
        if line.startswith("Given value: "):
            given = given or line.removeprefix("Given value: ")
        elif not _NOISE.match(line) and line not in complaints:
            complaints.append(line)
    if keys and given == "None" and "Expected a <class 'NoneType'>" in message.partition("Given value")[0]:
        # The parser makes text of null below a class; null from a file it leaves alone.
        name = keys[-1].rpartition(".")[2]
        return f"{_subject(keys)} takes null from a file alone: write {name}: null there, and give it with --config."
    return _sentence(_subject(keys), ".".join(keys), class_path, given, complaints, list(known_keys))


def _subject(keys: Sequence[str]) -> str:
    return f'The configuration key "{".".join(keys)}"' if keys else "The configuration"


def _sentence(subject: str, key: str, class_path: str, given: str, complaints: list[str], known_keys: list[str]) -> str:
    first = complaints[0] if complaints else ""
    if match := _UNKNOWN.match(first):
        name = match["option"] or match["name"]
        if not (class_path and first.startswith("Option ")):
            return f'There is no configuration key "{name}"{did_you_mean(name, known_keys)}'
        owner, hint = class_path.rpartition(".")[2], did_you_mean(name, arguments_of(class_path))
        return f'There is no configuration key "{key}.{name}": {owner} has no such argument{hint}'
    if first.startswith("the following arguments are required: "):
        names = first.split(": ", 1)[1].split(", ")
        missing = " and ".join(name.split(".")[-1] for name in reversed(names))
        return f"No {missing} given; name an experiment, e.g. --config experiments/synthetic.yaml."
    if first.startswith("unrecognized arguments: "):
        option = first.split(": ", 1)[1]
        name = option.split()[0].split("=")[0].lstrip("-")
        # The parser takes the class's own prefix, model or data, off a key that the class does not have.
        inner = "." in name and name.split(".")[0] not in {key.split(".")[0] for key in known_keys}
        where = f"; it was meant for model.{name} or data.{name}" if inner else ""
        return f'There is no option "{option}"{where}{did_you_mean(name, known_keys)}'
    if first.startswith("Expected a dot import path string: "):
        value = first.split(": ", 1)[1]
        return f'{subject} names no class that is known: "{value}"; give a class name or its import path.'
    if match := _WRONG_TYPE.match(first):
        types = [_plain_type(found["type"]) for line in complaints if (found := _WRONG_TYPE.match(line))]
        return f"{subject} must be {' or '.join(dict.fromkeys(types))}, not {match['value'] or given}."
    text = "; ".join(" ".join(line.split()) for line in complaints).rstrip(".")
    if not text:
        return f"{subject} cannot be read."
    return f"{subject}: {text}." if key else f"{text}."


def explain_reference(key: str | None, message: str) -> str:
    """Makes one sentence of an interpolation that cannot be resolved.

    >>> explain_reference("fit.run_dir", "Interpolation key '.experimen' not found (resolved to 'fit.experimen')")
    'The configuration key "run_dir" refers to ${experimen}, which does not exist.'
    """
    name = (key or "").partition(".")[2] or key
    subject = f'The configuration key "{name}"' if name else "The configuration"
    first = message.splitlines()[0] if message else "unknown reason"
    if first.startswith("Interpolation key '") and "' not found" in first:
        target = first.split("'")[1].lstrip(".")
        for command in ("fit.", "validate.", "test."):
            target = target.removeprefix(command)
        return f"{subject} refers to ${{{target}}}, which does not exist."
    return f"{subject} holds a reference that cannot be resolved: {first.rstrip('.')}."


def explain_setup(message: str) -> str:
    """Makes one sentence of the trainer's complaint about its settings."""
    line = " ".join(message.split())
    if match := _MONITOR.search(line):
        known = ", ".join(sorted(name.strip().strip("'") for name in match["known"].split(",")))
        subject = f'The configuration key "checkpoint.monitor" names "{match["name"]}"'
        return f"{subject}, which is not logged; logged are {known}."
    return f"{line.rstrip('.!')}."


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
    """The first error of a chain: parsers wrap what a constructor raises in reports of all their attempts."""
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
