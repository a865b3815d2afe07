"""A network whose steps see no farther than `reach`: over long windows it gives what it gives over the whole video."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from fedn_lightning.errors import ConfigError
from fedn_lightning.models import attention
from fedn_lightning.models.attention import SegmentAttention, WindowAttention, local_mean
from fedn_lightning.models.fedn import FEDN, NetworkConfig
from fedn_lightning.models.head import normalise

SMALL = NetworkConfig(dim=16, channels=16, segment_heads=2, head_heads=2, dropout=0.0)


def network_of(config):
    torch.manual_seed(0)
    network = FEDN(12, 3, config).eval().double()
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.3)
    return network


def test_a_local_mean_is_that_of_the_steps_around():
    x = torch.randn(2, 3, 20, dtype=torch.float64)
    expected = torch.stack([x[..., max(t - 4, 0) : t + 5].mean(-1) for t in range(20)], -1)
    torch.testing.assert_close(local_mean(x, 4), expected)


def test_a_local_normalisation_is_that_of_the_steps_around():
    norm = nn.GroupNorm(2, 6).double()
    nn.init.normal_(norm.weight)
    x = torch.randn(2, 6, 20, dtype=torch.float64)
    found = normalise(norm, x, 3)
    for step in range(20):
        first = max(step - 3, 0)
        around = x[..., first : step + 4].reshape(2, 2, -1)
        value = (x[..., step].view(2, 2, 3) - around.mean(-1, keepdim=True)) / (
            around.var(-1, keepdim=True, unbiased=False) + norm.eps
        ).sqrt()
        torch.testing.assert_close(found[..., step], value.flatten(1) * norm.weight + norm.bias)


def test_a_local_gate_is_the_softmax_over_the_segments_around():
    gate = WindowAttention(4, reach=5).double()
    segments = torch.randn(2, 4, 30, dtype=torch.float64)
    logits, weights = gate.conv(segments), gate.weights(segments)
    for step in range(5, 25):
        expected = 11 * logits[..., step - 5 : step + 6].softmax(-1)[..., 5]
        torch.testing.assert_close(weights[..., step], expected)


def test_a_local_gate_stays_finite_where_one_segment_outweighs_all():
    gate, segments = WindowAttention(1, reach=2), torch.zeros(1, 1, 20)
    segments[..., 0] = 1e4
    assert gate.weights(segments).isfinite().all()


@pytest.mark.parametrize(("length", "stride"), [(8, 2), (5, 1), (3, 3), (8, 4)])
def test_segments_of_a_long_window_are_computed_in_blocks_with_the_same_result(length, stride, monkeypatch):
    part, frames = SegmentAttention(12, 7, 3, length, stride).double(), torch.randn(2, 480, 12, dtype=torch.float64)
    monkeypatch.setattr(attention, "BLOCK", 48)
    blocks = part.attend(frames)
    monkeypatch.setattr(attention, "BLOCK", 480)
    for one, other in zip(blocks, part.attend(frames), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"streams": "both"},
        {"streams": "two_trunks"},
        {"frame_norm": "layer"},
        {"window_gate": "softmax"},
        {"segment_attention": False},
        {"head_heads": 0},
    ],
)
def test_a_reach_beyond_the_window_gives_what_the_paper_s_network_gives(change):
    far, none = (network_of(replace(SMALL, reach=reach, **change)) for reach in (4096, None))
    features = torch.randn(2, 128, none.input_dim, dtype=torch.float64)
    for one, other in zip(far(features), none(features), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("streams", ["appearance", "two_trunks"])
def test_long_windows_give_what_the_whole_video_gives(streams):
    network = network_of(replace(SMALL, levels=2, reach=16, streams=streams))
    features = torch.randn(1, 1536, network.input_dim, dtype=torch.float64)
    whole, window = network(features), network(features[:, 448:1088])
    inside = (network.anchors(640).centre > 256) & (network.anchors(640).centre < 384)
    centre = network.anchors(1536).centre
    same = (centre > 448 + 256) & (centre < 448 + 384)
    assert inside.sum() == same.sum() > 100
    for part, other in zip(window, whole, strict=True):
        torch.testing.assert_close(part[:, inside], other[:, same])
    # Without a reach every step depends on the whole window.
    plain = network_of(replace(SMALL, levels=2, streams=streams))
    assert not torch.allclose(plain(features).confidence[:, same], plain(features[:, 448:1088]).confidence[:, inside])


def operations(network, windows, length):
    """Floating-point operations of so many windows."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        for _ in range(windows):
            network.detect(torch.zeros(length, network.input_dim), torch.arange(length)[None])
    return counter.get_total_flops()


def test_the_operations_of_a_video_grow_with_its_length_and_are_fewer_than_those_of_overlapping_windows():
    config = NetworkConfig(dim=64, channels=64, streams="two_trunks")
    network, paper = FEDN(128, 3, replace(config, reach=64)), FEDN(128, 3, config)
    one = operations(network, 1, 1024)
    assert operations(network, 4, 1024) == 4 * one
    with FlopCounterMode(display=False) as counter:
        paper.detect(torch.zeros(32 * 16 + 112, paper.input_dim), torch.arange(0, 512, 16)[:, None] + torch.arange(128))
    assert 2 * one / 896 < counter.get_total_flops() / 512


def test_a_reach_of_nothing_is_refused():
    with pytest.raises(ConfigError, match=r"model\.network\.reach = 0"):
        FEDN(10, 3, replace(SMALL, reach=0))
