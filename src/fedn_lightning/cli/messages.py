"""Turns the parser's many-line reports into one sentence that names the configuration key."""

from __future__ import annotations

import difflib
import importlib
import inspect
import re
import sys
from collections.abc import Iterable

# Lines of a report that only tell how the parser searched, not what is wrong.
_NOISE = re.compile(
    r"^(Does not validate against any of the Union subtypes|Subtypes: |Errors:|Given value type: |"
    r"Expected a <class 'NoneType'>|Expected a path but .* either not accessible or invalid$|$)"
)
_KEY = re.compile(r"^Parser key \"(?P<key>[^\"]+)\"( element \d+)?:\s*(?P<rest>.*)$")
_CLASS = re.compile(r"^Problem with given class_path '(?P<path>[^']+)':\s*(?P<rest>.*)$")
_GIVEN = re.compile(r"^Given value: (?P<value>.*)$", re.DOTALL)
_EXPECTED = re.compile(r"^Expected an? (?P<type>.+?)(\. Got value: (?P<value>.*))?$")
_NO_OPTION = re.compile(r"^Option '(?P<name>[^']+)' is not accepted$")
_NO_KEY = re.compile(
    r"^(?:Subcommand '\w+' does not accept option '(?P<option>[^']+)'"
    r"|(?:.*\b)?(?:Key|key|group|option) ['\"](?P<name>[^'\"]+)['\"] is not (?:expected|accepted)).*$"
)
_REQUIRED = re.compile(r"^the following arguments are required: (?P<names>.*)$")
_REFERENCE = re.compile(r"^Interpolation key '\.*(?:(?:fit|validate|test|predict)\.)?(?P<name>[^']+)' not found")
_MONITOR = re.compile(r"ModelCheckpoint\(monitor='(?P<name>[^']+)'\).*returned metrics: \[(?P<known>[^\]]*)\]")
_NO_CLASS = re.compile(r"^Expected a dot import path string: (?P<value>.*)$")


def note(text: str) -> None:
    """Tells the user something in one line on stderr, where it does not mix with results."""
    print(f"fedn: {text}", file=sys.stderr, flush=True)


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
    text = re.sub(r"<class '(?:[\w.]*\.)?(\w+)'>", r"\1", text)
    literal = re.match(r"^typing\.Literal\[(.*)\]$", text)
    return f"one of {literal.group(1)}" if literal else f"of type {text}"


def explain(message: str, known_keys: Iterable[str] = ()) -> str:
    r"""Makes one sentence of a report of the argument parser.

    Args:
        message: what the parser says, often an indented tree over many lines.
        known_keys: the keys that exist, to suggest the nearest one.

    Returns:
        A sentence that names the key and, where the parser tells it, the value and what was expected.

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
        if match := _GIVEN.match(line):
            given = given or match["value"]
        elif not _NOISE.match(line) and line not in complaints:
            complaints.append(line)
    return _sentence(".".join(keys), class_path, given, complaints, list(known_keys))


def _sentence(key: str, class_path: str, given: str, complaints: list[str], known_keys: list[str]) -> str:
    subject = f'The configuration key "{key}"' if key else "The configuration"
    first = complaints[0] if complaints else ""
    if match := _NO_OPTION.match(first):
        owner = class_path.rpartition(".")[2]
        hint = did_you_mean(match["name"], arguments_of(class_path))
        return f'There is no configuration key "{key}.{match["name"]}": {owner} has no such argument{hint}'
    if match := _NO_KEY.match(first):
        name = match["option"] or match["name"]
        return f'There is no configuration key "{name}"{did_you_mean(name, known_keys)}'
    if match := _REQUIRED.match(first):
        names = " and ".join(name.split(".")[-1] for name in reversed(match["names"].split(", ")))
        return f"No {names} given; name an experiment, e.g. --config experiments/synthetic.yaml."
    if first.startswith("unrecognized arguments: "):
        option = first.split(": ", 1)[1]
        name = option.split()[0].split("=")[0].lstrip("-")
        # The parser takes the class's own prefix, model or data, off a key that the class does not have.
        inner = "." in name and name.split(".")[0] not in {key.split(".")[0] for key in known_keys}
        where = f"; it was meant for model.{name} or data.{name}" if inner else ""
        return f'There is no option "{option}"{where}{did_you_mean(name, known_keys)}'
    if match := _NO_CLASS.match(first):
        return f'{subject} names no class that is known: "{match["value"]}"; give a class name or its import path.'
    if complaints and (match := _EXPECTED.match(first)):
        types = [_plain_type(found["type"]) for line in complaints if (found := _EXPECTED.match(line))]
        value = match["value"] or given
        return f"{subject} must be {' or '.join(dict.fromkeys(types))}, not {value}."
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
    if match := _REFERENCE.match(first):
        return f"{subject} refers to ${{{match['name']}}}, which does not exist."
    return f"{subject} holds a reference that cannot be resolved: {first.rstrip('.')}."


def explain_setup(message: str) -> str:
    """Makes one sentence of the trainer's complaint about its settings."""
    line = " ".join(message.split())
    if match := _MONITOR.search(line):
        known = ", ".join(sorted(name.strip().strip("'") for name in match["known"].split(",")))
        subject = f'The configuration key "checkpoint.monitor" names "{match["name"]}"'
        return f"{subject}, which is not logged; logged are {known}."
    return f"{line.rstrip('.!')}."
