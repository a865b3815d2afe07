"""fedn-lightning: facial-expression detection in long videos with FEDN on PyTorch Lightning.

>>> from fedn_lightning import Detector
>>> Detector.from_checkpoint("best.ckpt").detect("video.mp4")  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fedn_lightning.inference.detections import Detections
    from fedn_lightning.inference.detector import Detector

__all__ = ["Detections", "Detector", "__version__"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Imports the Python API when it is first asked for: `fedn --help` must not wait for torch."""
    if name == "Detector":
        from fedn_lightning.inference.detector import Detector

        return Detector
    if name == "Detections":
        from fedn_lightning.inference.detections import Detections

        return Detections
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
