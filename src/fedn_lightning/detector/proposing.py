"""From the crops of one face, as they arrive, to the proposals of all its windows."""

from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fedn_lightning.detector.open_windows import OpenWindows
from fedn_lightning.detector.recipe import Recipe
from fedn_lightning.events import FloatArray
from fedn_lightning.nn.encoder import FrameEncoder, frozen_features
from fedn_lightning.nn.fedn import FEDN
from fedn_lightning.nn.inference import PROPOSAL_COLUMNS, propose
from fedn_lightning.nn.slots import Slots

CHUNK = 128
"""Frames encoded at once, as the feature cache of a test does: more gains nothing on a CPU and costs memory."""

WINDOWS = 16
"""Windows the network sees at once."""


class Networks:
    """Encoder and network on their device, and the seconds spent in each.

    Args:
        recipe: what they were built by.
        encoder: in evaluation mode.
        network: in evaluation mode.
        device: where both are.
    """

    def __init__(self, recipe: Recipe, encoder: FrameEncoder, network: FEDN, device: torch.device) -> None:
        self.recipe, self.encoder, self.network, self.device = recipe, encoder, network, device
        self.slots: Slots = network.slots(recipe.window).to(device)
        self.seconds = {"encode": 0.0, "network": 0.0}

    @torch.inference_mode()
    def encode(self, crops: npt.NDArray[np.uint8]) -> npt.NDArray[np.floating]:
        """Features `(T, D)` of crops `(T, S, S, 3)`, in the precision that the network was trained with."""
        started = time.perf_counter()
        frames = torch.from_numpy(crops).to(self.device).permute(0, 3, 1, 2)
        if self.recipe.encoder.frozen:
            features = frozen_features(self.encoder, frames)
        else:  # it was trained with the network, and its features were never rounded
            features = self.encoder(frames).float().cpu()
        self.seconds["encode"] += time.perf_counter() - started
        return features.numpy()

    @torch.inference_mode()
    def propose(self, starts: list[int], windows: list[npt.NDArray[np.float32]]) -> FloatArray:
        """Proposals `(P, 7)` of windows `(window, D)` that begin at crops `starts`."""
        started = time.perf_counter()
        batch = torch.from_numpy(np.stack(windows)).to(self.device)
        first = torch.tensor(starts, dtype=torch.float64, device=self.device)
        rows: Tensor = propose(
            self.network(batch),
            self.slots,
            torch.zeros(len(starts), dtype=torch.int64, device=self.device),
            first,
            torch.ones_like(first),
            self.recipe.inference.per_window,
        )
        self.seconds["network"] += time.perf_counter() - started
        return rows.cpu().numpy()


class FaceProposer:
    """Collects the proposals of one face; keeps a chunk of crops and the features of the open window.

    Args:
        networks: encoder and network.
        n_crops: how many crops there will be.
    """

    def __init__(self, networks: Networks, n_crops: int) -> None:
        self.networks, self.n_crops = networks, n_crops
        self._windows = OpenWindows(n_crops, networks.recipe.window, networks.recipe.stride)
        self._crops: list[npt.NDArray[np.uint8]] = []
        self._waiting: list[tuple[int, npt.NDArray[np.float32]]] = []
        self._seen = 0
        self._proposals: list[FloatArray] = []

    def add(self, crops: npt.NDArray[np.uint8]) -> None:
        """Takes the next crops `(T, S, S, 3)`."""
        self._seen += len(crops)
        self._crops.append(crops)
        while self._held() >= CHUNK or (self._seen == self.n_crops and self._held()):
            held = np.concatenate(self._crops)
            self._crops = [held[CHUNK:]]
            self._encode(held[:CHUNK])

    def proposals(self) -> FloatArray:
        """All proposals `(P, 7)`, once every crop was added, in an order that depends on their values alone."""
        self._flush()
        table = np.concatenate([np.empty((0, len(PROPOSAL_COLUMNS))), *self._proposals])
        return table[np.lexsort(table.T[::-1])]

    def _held(self) -> int:
        return sum(map(len, self._crops))

    def _encode(self, crops: npt.NDArray[np.uint8]) -> None:
        for window in self._windows.add(self.networks.encode(crops)):
            self._waiting.append(window)
            if len(self._waiting) == WINDOWS:
                self._flush()

    def _flush(self) -> None:
        if self._waiting:
            starts, windows = zip(*self._waiting, strict=True)
            self._proposals.append(self.networks.propose(list(starts), list(windows)))
            self._waiting = []
