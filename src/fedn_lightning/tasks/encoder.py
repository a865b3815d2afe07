"""The LightningModule that pre-trains the frame encoder to recognise expressions on still images."""

from __future__ import annotations

from typing import Any

import lightning
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics.classification import MulticlassAccuracy

from fedn_lightning.errors import ConfigError
from fedn_lightning.models.encoder import EncoderConfig
from fedn_lightning.tasks.base import OptimiserConfig, configure

EXPRESSIONS = ("neutral", "happy", "sad", "surprise", "fear", "disgust", "anger", "contempt")
"""AffectNet's classes in the order of their number."""


class EncoderTask(lightning.LightningModule):
    """Pre-trains the frame encoder on AffectNet's eight classes, and on valence and arousal where stills have them.

    The paper's encoder was pre-trained for expression recognition on AffectNet (mark S); the details, and learning
    valence and arousal beside the class, are ours (O). Valence and arousal grade the intensity of an expression,
    which a class alone does not.

    Args:
        encoder: depth and width; it is trained whatever `frozen` says.
        optimiser: AdamW and its schedule.
        affect_weight: of the squared error of valence and arousal beside the cross-entropy of the class.
        label_smoothing: of the class.
    """

    def __init__(
        self,
        encoder: EncoderConfig = EncoderConfig(frozen=False),
        optimiser: OptimiserConfig = OptimiserConfig(),
        affect_weight: float = 1.0,
        label_smoothing: float = 0.1,
    ) -> None:
        super().__init__()
        self.optimiser_config, self.affect_weight, self.label_smoothing = optimiser, affect_weight, label_smoothing
        if encoder.outside is not None:
            raise ConfigError(f"{encoder.outside} (model.encoder) is used as it is; there is nothing to pre-train.")
        self.encoder = encoder.build().requires_grad_()
        self.expression = nn.Linear(self.encoder.feature_dim, len(EXPRESSIONS))
        self.affect = nn.Linear(self.encoder.feature_dim, 2)
        self.accuracy = MulticlassAccuracy(len(EXPRESSIONS), average="micro")

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Maps `(N, 3, H, W)` uint8 to class logits `(N, 8)` and valence and arousal `(N, 2)`."""
        features = self.encoder(frames)
        return self.expression(features), self.affect(features)

    def training_step(self, batch: dict[str, Any], batch_index: int) -> Tensor:
        """Cross-entropy and squared error of a batch."""
        return self._step(batch, "train")

    def validation_step(self, batch: dict[str, Any], batch_index: int) -> None:
        """Loss, accuracy and error of valence and arousal."""
        self._step(batch, "val")

    def configure_optimizers(self) -> Any:
        """AdamW over all parameters."""
        return configure(self.parameters(), int(self.trainer.estimated_stepping_batches), self.optimiser_config)

    def _step(self, batch: dict[str, Any], stage: str) -> Tensor:
        logits, affect = self(batch["frames"])
        known = ~batch["valence_arousal"].isnan()
        error = F.mse_loss(affect.float()[known], batch["valence_arousal"][known]) if known.any() else affect.sum() * 0
        smoothing = self.label_smoothing if stage == "train" else 0.0
        classes = F.cross_entropy(logits.float(), batch["expression"], label_smoothing=smoothing)
        loss: Tensor = classes + self.affect_weight * error
        named = {f"{stage}/loss": loss.detach(), f"{stage}/affect_error": error.detach()}
        self.log_dict(named, on_step=False, on_epoch=True, batch_size=len(logits), sync_dist=True)
        if stage == "val":
            self.accuracy(logits, batch["expression"])
            self.log("val/accuracy", self.accuracy, on_step=False, on_epoch=True, prog_bar=True)
        return loss
