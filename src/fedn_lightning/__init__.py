"""fedn-lightning: facial-expression detection in long videos with FEDN on PyTorch Lightning.

>>> from fedn_lightning import Detector
>>> Detector.from_checkpoint("best.ckpt").detect("video.mp4")  # doctest: +SKIP
"""

from __future__ import annotations

import pkgutil
import sys
from typing import TYPE_CHECKING, Any

from fedn_lightning.moved import MovedModules

if TYPE_CHECKING:
    from fedn_lightning.datamodules.detection import DetectionDataModule
    from fedn_lightning.inference.detections import Detections
    from fedn_lightning.inference.detector import Detector
    from fedn_lightning.metrics.classes import DetectionMeanAP, SpottingF1
    from fedn_lightning.models.fedn import FEDN
    from fedn_lightning.tasks.detection import DetectionTask

sys.meta_path.insert(0, MovedModules())

_PUBLIC = {
    "Detector": "fedn_lightning.inference.detector",
    "Detections": "fedn_lightning.inference.detections",
    "FEDN": "fedn_lightning.models.fedn",
    "DetectionTask": "fedn_lightning.tasks.detection",
    "DetectionDataModule": "fedn_lightning.datamodules.detection",
    "SpottingF1": "fedn_lightning.metrics.classes",
    "DetectionMeanAP": "fedn_lightning.metrics.classes",
}
"""Each public name and its module, imported when first asked for: `fedn --help` needs no torch."""

__all__ = [
    "FEDN",
    "DetectionDataModule",
    "DetectionMeanAP",
    "DetectionTask",
    "Detections",
    "Detector",
    "SpottingF1",
    "__version__",
]


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first asked for."""
    if name in _PUBLIC:
        return pkgutil.resolve_name(f"{_PUBLIC[name]}:{name}")
    if name == "__version__":
        from importlib.metadata import version

        return version("fedn-lightning")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """The public names, also those that are not imported yet."""
    return __all__
