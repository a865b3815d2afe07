"""Old module names, so that run folders, checkpoints and scripts of version 0.1 still work.

The `config.yaml` of an old run names classes by their old modules, such as
`fedn_lightning.data.datamodule.DetectionDataModule`. Version 0.4 removes these names.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import warnings
from collections.abc import Sequence
from types import ModuleType
from typing import Final

MOVED: Final = {
    "data": "datamodules",
    "data.datamodule": "datamodules.detection",
    "data.emotions": "datamodules.labels",
    "baselines.flow.datamodule": "baselines.flow.task",
    "data.motion": "baselines.flow.task",
    "data.recognition": "datamodules.recognition",
    "data.stills": "datamodules.stills",
    "detector": "inference",
    "detector.detections": "inference.detections",
    "detector.detector": "inference.detector",
    "nn": "models",
    "nn.encoder": "models.encoder",
    "nn.fedn": "models.fedn",
    "nn.losses": "models.losses",
    "tasks.encoding": "models.encoder",
    "tasks.flow": "baselines.flow.task",
    "tracking": "loggers",
    "tracking.csv_log": "callbacks.run_config",
    "tracking.wandb": "loggers.wandb",
}
"""Old and new names, both below `fedn_lightning`."""


class MovedModules(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds a module under its old name, with a warning that tells the new one."""

    def __init__(self) -> None:
        self._specs: dict[str, importlib.machinery.ModuleSpec | None] = {}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The specification of a moved module; None for any other."""
        package, _, name = fullname.partition(".")
        if package != __package__ or name not in MOVED:
            return None
        return importlib.util.spec_from_loader(fullname, self)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        """Imports the module by its new name."""
        new = f"{__package__}.{MOVED[spec.name.partition('.')[2]]}"
        warnings.warn(f"{spec.name} is now {new}; version 0.4 removes the old name.", FutureWarning, stacklevel=2)
        module = importlib.import_module(new)
        self._specs[spec.name] = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Gives the module its own specification back: the import system has just replaced it by the old name's."""
        assert module.__spec__ is not None
        module.__spec__ = self._specs[module.__spec__.name]
