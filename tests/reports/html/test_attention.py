from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from pulses import write_pulses
from report_runs import NETWORK, invent_record, write_run

from fedn_lightning.errors import CheckpointError
from fedn_lightning.reports.html.attention import Look, Network, load_network, look_at
from fedn_lightning.video.store import ClipStore, StoredVideo


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("looking")
    corpus = write_pulses(home / "store", subjects=1)
    write_run(home / "run", invent_record(corpus, ("p0",)), {})
    return home


@pytest.fixture(scope="module")
def network(home: Path) -> Network:
    return load_network(home / "run" / "checkpoints" / "best.ckpt")


@pytest.fixture
def video(home: Path) -> StoredVideo:
    return ClipStore(home / "store").video("p0/v")


def test_weights_are_those_of_the_network_on_that_window(network: Network, video: StoredVideo) -> None:
    look = look_at(network, video, 100, 120)
    assert look.frames.tolist() == list(range(80, 144))  # of the windows 0, 16, 32 ... the one with 110 in its middle
    pixels = torch.from_numpy(np.array(video.frames[80:144])).permute(0, 3, 1, 2)
    with torch.no_grad():
        attention = network.fedn.attention(network.encoder(pixels).unsqueeze(0))
    np.testing.assert_allclose(look.weights, attention.segments[0], atol=1e-6)
    np.testing.assert_allclose(look.gate, attention.window[0].mean(0), atol=1e-5)
    assert (look.low <= look.high).all()
    np.testing.assert_allclose(look.weights.sum(axis=1), 1, atol=1e-5)


def test_a_window_at_the_end_is_flush_with_it(network: Network, video: StoredVideo) -> None:
    assert look_at(network, video, 290, 300).frames[[0, -1]].tolist() == [236, 299]


def make_look() -> Look:
    """Eight frames from 40 on in four segments of four; the third has the widest band and weighs its last frame."""
    members = np.clip(np.arange(4)[:, None] * 2 - 1 + np.arange(4), 0, 7)
    gate, high = np.ones(4), np.array([1.2, 1.1, 2.0, 1.1])
    weights = np.array([[0.25] * 4, [0.25] * 4, [0.1, 0.1, 0.1, 0.7], [0.25] * 4])
    return Look(np.arange(40, 48), gate, gate, high, weights, members)


def test_frames_weigh_what_their_segments_give_them() -> None:
    weight = make_look().per_frame()
    # Frame 0 stands twice in the first segment; frame 6 in the third, which prefers it, and in the fourth.
    assert weight[[0, 1, 6]].tolist() == pytest.approx([1.0, 1.0, 4 * (0.7 + 0.25) / 2])


def test_the_segment_shown_lies_in_the_event() -> None:
    look = make_look()
    assert look.segment_in(40, 48) == 2
    assert look.segment_in(40, 43) == 0
    assert look.segment_in(60, 70) == 3  # none inside: the nearest


def test_an_unusable_checkpoint_is_reported(home: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="There is no checkpoint"):
        load_network(tmp_path / "best.ckpt")
    torch.save({"state_dict": {}}, tmp_path / "other.ckpt")
    with pytest.raises(CheckpointError, match="holds no detector"):
        load_network(tmp_path / "other.ckpt")
    content = torch.load(home / "run" / "checkpoints" / "best.ckpt", weights_only=True)
    content["fedn"]["model"]["network"]["dim"] = 2 * NETWORK.dim
    torch.save(content, tmp_path / "wide.ckpt")
    with pytest.raises(CheckpointError, match="made by another version"):
        load_network(tmp_path / "wide.ckpt")
