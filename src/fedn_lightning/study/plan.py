"""The rows of a study, read from a study file, a folder of experiment files or the files themselves."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from fedn_lightning.baselines.two_step import pipeline_experiment
from fedn_lightning.errors import ConfigError, SplitError
from fedn_lightning.loso.experiment import Experiment, Fold, make_folds
from fedn_lightning.loso.status import problem

STUDY_FILE = "study.yaml"
"""What a folder's study file is called."""

KEYS = ("name", "group", "baseline", "labels", "tests", "rows")
ROW_KEYS = ("name", "config", "pipeline", "seeds", "train")
PIPELINE_KEYS = ("spotter", "recogniser")


@dataclass(frozen=True)
class Row:
    """A row of the table."""

    name: str  # in tables and file names
    # the experiment file that is trained; two for a pipeline, first the spotter's, then the recogniser's
    configs: tuple[str, ...]
    # one full set of folds each: how many, counted from the experiment's own, or which
    seeds: int | tuple[int, ...] = 1
    # shell patterns of the subjects that are trained and validated on, all others being held out together in one fold;
    # empty for the study's groups of held-out subjects
    train: tuple[str, ...] = ()
    spotter: str = ""  # of a pipeline: the row whose trainings are its first half

    def seeds_from(self, first: int) -> tuple[int, ...]:
        """The seeds themselves, for an experiment whose own seed is `first`.

        >>> Row("fedn", ("fedn.yaml",), 3).seeds_from(7)
        (7, 8, 9)
        """
        return tuple(range(first, first + self.seeds)) if isinstance(self.seeds, int) else self.seeds

    def folds(self, subjects: Collection[str], seed: int, group: int) -> tuple[Fold, ...]:
        """The row's folds of one seed."""
        if not self.train:
            return tuple(make_folds(list(subjects), [seed], group))
        for pattern in self.train:
            if not any(fits(subject, [pattern]) for subject in subjects):
                msg = f"Row {self.name}: train has {pattern!r}, which fits none of {', '.join(sorted(subjects))}."
                raise SplitError(msg)
        held_out = tuple(sorted(subject for subject in subjects if not fits(subject, self.train)))
        if not held_out:
            raise SplitError(f"Row {self.name}: train names every subject, so that nobody is left to test on.")
        return (Fold(seed, held_out),)


def fits(subject: str, patterns: Sequence[str]) -> bool:
    """Whether a subject's name fits one of some shell patterns.

    >>> fits("painted34-s15", ["mesh31-*", "painted34-s1*"])
    True
    """
    return any(fnmatchcase(subject, pattern) for pattern in patterns)


@dataclass(frozen=True)
class Plan:
    """A study as its file or the command line defines it."""

    name: str  # of its folder of results
    rows: tuple[Row, ...]  # in the order they are trained and shown
    baseline: str  # the row that the others are compared with
    group: int = 1  # subjects held out together
    # two rows that differ in their `label_source` alone, expert first; empty if there are none
    labels: tuple[str, ...] = ()
    # by name the shell patterns of held-out subjects that have a table of their own; empty for one table of all
    tests: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def only(self, names: Sequence[str]) -> Plan:
        """The same study with some of its rows to train."""
        known = [row.name for row in self.rows]
        for name in names:
            if name not in known:
                msg = f"--only {name}: the study {self.name} has no such row; its rows are {', '.join(known)}."
                raise ConfigError(msg)
        return replace(self, rows=tuple(row for row in self.rows if not names or row.name in names))

    def with_seeds(self, seeds: Sequence[int]) -> Plan:
        """The same study with other seeds for every row: one number counts them, several name them."""
        if not seeds:
            return self
        wanted = _seeds(list(seeds) if len(seeds) > 1 else seeds[0], "--seeds")
        return replace(self, rows=tuple(replace(row, seeds=wanted) for row in self.rows))


def read_plan(paths: Sequence[str]) -> Plan:
    """Reads a study.

    Args:
        paths: a folder with a `study.yaml`, or with experiment files alone, each of which is a row; or a study file; or
            experiment files.
    """
    first = Path(paths[0])
    if len(paths) == 1 and first.is_dir():
        if (first / STUDY_FILE).is_file():
            return _read_study(first / STUDY_FILE)
        files = sorted(first.glob("*.yaml"))
        if not files:
            raise ConfigError(f"{first} holds neither a {STUDY_FILE} nor an experiment file (*.yaml).")
        return _plan_of_files(first.resolve().name, files)
    if len(paths) == 1 and first.is_file() and "rows" in _mapping(first):
        return _read_study(first)
    return _plan_of_files(first.stem if len(paths) == 1 else "study", [Path(path) for path in paths])


def _plan_of_files(name: str, files: Sequence[Path]) -> Plan:
    rows = tuple(Row(path.stem, (_existing(path, "a row of the study"),)) for path in files)
    return _checked(Plan(name, rows, rows[0].name), "The study")


def _read_study(path: Path) -> Plan:
    content = _mapping(path)
    _check_keys(content, KEYS, str(path))
    rows: dict[str, Row] = {}
    for number, entry in enumerate(content.get("rows") or [], start=1):
        row = _read_row(entry, rows, path, f"{path}, row {number} of rows")
        if row.name in rows:
            raise ConfigError(f"{path}: two rows are called {row.name}; give one of them another name.")
        rows[row.name] = row
    if not rows:
        raise ConfigError(f"{path} has no rows; list experiment files under the key rows.")
    default = path.resolve().parent.name if path.name == STUDY_FILE else path.stem
    plan = Plan(
        name=str(content.get("name", default)),
        rows=tuple(rows.values()),
        baseline=str(content.get("baseline", next(iter(rows)))),
        group=_positive(content.get("group", 1), f"{path}: group"),
        labels=tuple(map(str, content.get("labels") or ())),
        tests={name: _patterns(value, f"{path}: tests") for name, value in (content.get("tests") or {}).items()},
    )
    return _checked(plan, str(path))


def _read_row(entry: Any, above: dict[str, Row], path: Path, where: str) -> Row:
    """A row: the name of an experiment file beside the study, or a mapping."""
    if isinstance(entry, str):
        entry = {"name": entry}
    if not isinstance(entry, dict) or "name" not in entry:
        raise ConfigError(f"{where} must be a name, or a mapping with the key name, not {entry!r}.")
    _check_keys(entry, ROW_KEYS, where)
    name, seeds = str(entry["name"]), _seeds(entry.get("seeds", 1), f"{where}: seeds")
    train = _patterns(entry.get("train", []), f"{where}: train")
    if "pipeline" not in entry:
        return Row(name, (_existing(path.parent / str(entry.get("config", f"{name}.yaml")), where),), seeds, train)
    parts = entry["pipeline"]
    if "config" in entry or train or not isinstance(parts, dict) or sorted(parts) != sorted(PIPELINE_KEYS):
        raise ConfigError(
            f"{where}: pipeline takes a spotter (a row above) and a recogniser (an experiment file), but neither "
            f"config nor train."
        )
    spotter = above.get(str(parts["spotter"]))
    if spotter is None or len(spotter.configs) > 1:
        raise ConfigError(f"{where}: the spotter {parts['spotter']!r} is no experiment among the rows above it.")
    recogniser = _existing(path.parent / str(parts["recogniser"]), where)
    return Row(name, (*spotter.configs, recogniser), seeds, spotter.train, spotter.name)


def _mapping(path: Path) -> dict[str, Any]:
    import yaml  # type: ignore[import-untyped]

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, RecursionError, yaml.YAMLError) as error:
        raise ConfigError(f"{path} cannot be read as YAML: {' '.join(str(error).split())}.") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path} is no mapping of keys to values.")
    return content


def _existing(path: Path, where: str) -> str:
    if not path.is_file():
        raise ConfigError(f"{where}: there is no experiment file {path}.")
    return str(path)


def _check_keys(content: dict[str, Any], known: Sequence[str], where: str) -> None:
    for key in content:
        if key not in known:
            raise ConfigError(f"{where} has the key {key!r}; known are {', '.join(known)}.")


def _positive(value: Any, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ConfigError(f"{where} must be a whole number of at least 1, not {value!r}.")
    return value


def _seeds(value: Any, where: str) -> int | tuple[int, ...]:
    """A number of seeds, or a list of them."""
    if not isinstance(value, list):
        return _positive(value, where)
    if not value or len(set(value)) < len(value) or any(not isinstance(s, int) or isinstance(s, bool) for s in value):
        raise ConfigError(f"{where} must be a number, or a list of different whole numbers, not {value!r}.")
    return tuple(value)


def _patterns(value: Any, where: str) -> tuple[str, ...]:
    """A list of shell patterns."""
    if not isinstance(value, list) or any(not isinstance(pattern, str) for pattern in value):
        raise ConfigError(f"{where} must be a list of names or shell patterns such as 'synthetic-*', not {value!r}.")
    return tuple(value)


def _checked(plan: Plan, where: str) -> Plan:
    names = [row.name for row in plan.rows]
    if len(set(names)) < len(names):
        msg = f"{where}: two rows have one name ({', '.join(names)}); experiment files need different names."
        raise ConfigError(msg)
    for key, used in (("baseline", (plan.baseline,)), ("labels", plan.labels)):
        missing = [name for name in used if name not in names]
        if missing or (key == "labels" and len(used) not in (0, 2)):
            msg = f"{where}: {key} must name {'two rows' if key == 'labels' else 'a row'} of {', '.join(names)}."
            raise ConfigError(msg)
    return plan


Task = tuple[Experiment, Fold]
"""One training."""


@dataclass(frozen=True)
class Unit:
    """A row's folds of one seed."""

    row: Row  # of the plan
    seed: int  # of the folds
    parts: tuple[Experiment, ...]  # the experiment that is trained; two for a pipeline, spotter and recogniser
    folds: tuple[Fold, ...]  # the same for all parts
    # where the row's own predictions lie: the only part, or the combination of the two of a pipeline
    experiment: Experiment

    @property
    def tasks(self) -> list[Task]:
        """All its trainings, in their order."""
        return [(part, fold) for part in self.parts for fold in self.folds]

    def unfinished(self) -> list[Task]:
        """The trainings that are not finished."""
        return [(part, fold) for part, fold in self.tasks if problem(part, fold)]


def make_units(plan: Plan, experiments: Mapping[str, Experiment]) -> list[Unit]:
    """The units of a study, in the order they are trained: row by row, and all seeds of a row together."""
    units = []
    for row in plan.rows:
        parts = tuple(experiments[config] for config in row.configs)
        if row.train:  # rows of one experiment file have folders of their own; a pipeline shares its spotter's
            owners = (row.spotter, row.name) if row.spotter else (row.name,)
            parts = tuple(replace(p, name=f"{p.name}_{owner}") for p, owner in zip(parts, owners, strict=True))
        for seed in row.seeds_from(parts[0].seed):
            folds = row.folds(parts[0].subjects, seed, plan.group)
            units.append(Unit(row, seed, parts, folds, row_experiment(row, parts)))
    return units


def row_experiment(row: Row, parts: Sequence[Experiment]) -> Experiment:
    """The experiment whose folds hold a row's predictions."""
    if len(parts) == 1:
        return parts[0]
    spotter, recogniser = parts
    return replace(
        pipeline_experiment(spotter, recogniser, Path(spotter.runs) / row.name),
        # The frozen encoder is the same in both.
        parameters=spotter.parameters + recogniser.trained_parameters,
        trained_parameters=spotter.trained_parameters + recogniser.trained_parameters,
    )


def trainings(units: Sequence[Unit]) -> list[Task]:
    """Every training of the study once, also where two rows need it, in the order of the units."""
    seen: dict[tuple[str, Fold], Task] = {}
    for unit in units:
        for part, fold in unit.tasks:
            seen.setdefault((str(part.folder), fold), (part, fold))
    return list(seen.values())
