"""From the crops of one face, as they arrive, to the proposals of all its windows."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from fedn_lightning.detector.open_windows import OpenWindows
from fedn_lightning.detector.recipe import Recipe
from fedn_lightning.events import FloatArray
from fedn_lightning.nn.encoder import FrameEncoder, frozen_features
from fedn_lightning.nn.fedn import FEDN
from fedn_lightning.nn.inference import PROPOSAL_COLUMNS, propose
from fedn_lightning.nn.slots import Slots

CHUNK = 32
"""Frames encoded at once: 128 give the same features on a CPU, a fifth slower and in four times the memory."""

WINDOWS = 16
"""Windows the network sees at once."""

START_AND_END = [PROPOSAL_COLUMNS.index("start"), PROPOSAL_COLUMNS.index("end")]


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
    def propose(self, windows: Sequence[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
        """Proposals `(B, P, 7)` of windows `(window, D)`, each in frames of its window."""
        started = time.perf_counter()
        batch = torch.from_numpy(np.stack(windows)).to(self.device)
        nought = torch.zeros(len(windows), dtype=torch.float64, device=self.device)
        per_window = self.recipe.inference.per_window
        rows = propose(self.network(batch), self.slots, nought, nought, torch.ones_like(nought), per_window)
        self.seconds["network"] += time.perf_counter() - started
        # Within a window they are the network's own float32 numbers, so nothing is lost; an hour has 340 000 of them.
        return rows.float().cpu().numpy().reshape(len(windows), -1, len(PROPOSAL_COLUMNS))


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
        self._starts: list[int] = []
        self._proposals: list[npt.NDArray[np.float32]] = []

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
        table = np.concatenate(self._proposals).astype(np.float64)
        table[:, :, START_AND_END] += np.array(self._starts)[:, None, None]
        table = table.reshape(-1, len(PROPOSAL_COLUMNS))
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
            self._starts += starts
            self._proposals.append(self.networks.propose(windows))
            self._waiting = []
