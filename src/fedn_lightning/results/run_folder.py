"""The folder of a run, and its record of how it was made."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import yaml  # type: ignore[import-untyped]
from filelock import FileLock, Timeout

from fedn_lightning.errors import ConfigError
from fedn_lightning.results.names import CONFIG, ENVIRONMENT


class RunFolder:
    """A folder that belongs to one run.

    Nothing of an earlier run is ever deleted or mixed in: an earlier folder of that name is renamed by the time of
    its last change. A run that fails before it has produced anything gives its folder back. A lock beside the folder
    keeps a second process out until :meth:`close`; the system releases it when the process dies.

    Args:
        path: the folder.
        resume: whether the run continues the one in the folder, which then stays where it is.
    """

    def __init__(self, path: str | Path, resume: bool = False) -> None:
        self.path = Path(path)
        self.resume = resume
        self.aside: Path | None = None
        self._new_parents: list[Path] = []
        # Not in the folder, which is renamed when the next run sets it aside.
        self._lock = FileLock(self.path.with_name(f".{self.path.name}.run-lock"), timeout=0)

    def open(self) -> Path | None:
        """Makes the folder.

        Returns:
            Where an earlier run was moved to, None if there was none.

        Raises:
            ConfigError: if another process is writing to the folder.
        """
        self._new_parents = [parent for parent in self.path.parents if not parent.exists()]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire()
        except Timeout:
            raise ConfigError(
                f"Another process is writing to the run folder {self.path}. Wait until it has finished, or choose "
                "another folder with --run_dir."
            ) from None
        if not self.resume and self.path.is_dir() and any(self.path.iterdir()):
            self.set_aside()
        self.path.mkdir(exist_ok=True)
        return self.aside

    def close(self) -> None:
        """Lets other processes have the folder."""
        if self._lock.is_locked:
            # While it is held: a process that waits for this file then sees that it is gone, and makes another.
            Path(self._lock.lock_file).unlink(missing_ok=True)
            self._lock.release()

    def set_aside(self) -> Path:
        """Renames the earlier run by the time of its last change; returns its new path."""
        self.aside = _free_name(self.path)
        self.path.rename(self.aside)
        return self.aside

    def abandon(self) -> None:
        """Undoes :meth:`open`: removes what this run wrote and puts an earlier run back. A resumed run stays."""
        if self.resume:
            self.close()
            return
        shutil.rmtree(self.path, ignore_errors=True)
        if self.aside is not None:
            self.aside.rename(self.path)
            self.aside = None
        self.close()
        for parent in self._new_parents:
            with contextlib.suppress(OSError):  # another run may have moved in
                parent.rmdir()


def _free_name(path: Path) -> Path:
    stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(path.stat().st_mtime))
    candidate = path.with_name(f"{path.name}.{stamp}")
    number = 2
    while candidate.exists():
        candidate = path.with_name(f"{path.name}.{stamp}-{number}")
        number += 1
    return candidate


@dataclass(frozen=True)
class RunConfig:
    """The configuration that a run has left in its folder, `config.yaml`; false if it has left none.

    Attributes:
        content: all of it, as plain values.
    """

    content: Mapping[str, Any]

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Reads `config.yaml` of a run folder; a missing or broken file gives an empty configuration."""
        try:
            value = yaml.safe_load((folder / CONFIG).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, RecursionError, yaml.YAMLError):
            value = {}
        return cls(value if isinstance(value, dict) else {})

    def __bool__(self) -> bool:
        return bool(self.content)

    @property
    def experiment(self) -> str | None:
        """The name of the experiment."""
        return self.content.get("experiment")

    @property
    def wandb(self) -> Mapping[str, Any]:
        """The settings of experiment tracking."""
        return _mapping(self.content, "wandb")

    @property
    def data(self) -> Mapping[str, Any]:
        """The arguments of the data module."""
        return _mapping(self.content, "data", "init_args")

    @property
    def corpus(self) -> Mapping[str, Any]:
        """Which corpus, and how its labels are read."""
        return _mapping(self.data, "corpus")

    @property
    def crops(self) -> Mapping[str, Any]:
        """How faces are cropped, and where the clip store is."""
        return _mapping(self.data, "crops")

    @property
    def encoder_weights(self) -> Path | None:
        """The checkpoint of the pre-trained encoder, if the file is there."""
        weights = _mapping(self.content, "model", "init_args", "encoder").get("weights")
        return Path(weights) if weights and Path(weights).is_file() else None


def _mapping(content: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    """The mapping below the keys; empty where one of them is missing, or no mapping."""
    for key in keys:
        below = content.get(key)
        content = below if isinstance(below, dict) else {}
    return content


def read_environment(folder: Path) -> dict[str, str]:
    """The lines of `env.txt` as words and values; empty if there is none."""
    try:
        lines = (folder / ENVIRONMENT).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    return {key: value for key, mark, value in (line.partition(": ") for line in lines) if mark}


def resolve(path: str, environment: Mapping[str, str]) -> Path:
    """Where a path of a configuration leads: from the folder the run was started in, or from the current one."""
    there = Path(environment.get("folder", ".")) / path
    return there if there.exists() or not Path(path).exists() else Path(path)
