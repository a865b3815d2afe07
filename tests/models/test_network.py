"""The network against naive formulations of its parts."""

import dataclasses
from dataclasses import replace

import pytest
import torch
from torch import nn

from fedn_lightning.errors import CheckpointError, ConfigError
from fedn_lightning.models.attention import SegmentAttention, SegmentMean, WindowAttention, segment_frames, spread
from fedn_lightning.models.checkpoints import load_encoder, weights_digest
from fedn_lightning.models.encoder import FrameEncoder, folded
from fedn_lightning.models.fedn import FEDN, NetworkConfig, join, overlapping
from fedn_lightning.models.head import HeadOutput, TemporalPyramid

SMALL = NetworkConfig(dim=16, channels=16, segment_heads=2, head_heads=2)


def naive_segments(frames: torch.Tensor, length: int, stride: int) -> torch.Tensor:
    batch, count, dim = frames.shape
    out = torch.empty(batch, count // stride, length, dim)
    for s in range(count // stride):
        for i in range(length):
            frame = s * stride - (length - stride) // 2 + i
            out[:, s, i] = frames[:, min(max(frame, 0), count - 1)]
    return out


@pytest.mark.parametrize(("length", "stride"), [(8, 2), (4, 2), (5, 1), (3, 3), (8, 4)])
def test_segments_repeat_the_edges(length, stride):
    frames = torch.randn(2, 24, 3)
    assert torch.equal(frames[:, segment_frames(24, length, stride)], naive_segments(frames, length, stride))


@pytest.mark.parametrize(("length", "stride"), [(8, 2), (4, 2), (5, 1), (3, 3), (8, 4)])
def test_spread_weights_sum_the_frames_of_each_segment(length, stride):
    frames, weights = torch.randn(2, 24, 3), torch.rand(2, 24 // stride, length)
    expected = (weights.unsqueeze(3) * naive_segments(frames, length, stride)).sum(2)
    torch.testing.assert_close(spread(weights, stride) @ frames, expected)


def sigmoid_share(score):
    return score.sigmoid() / score.sigmoid().sum(1, keepdim=True)


@pytest.mark.parametrize("form", ["sigmoid", "softmax"])
def test_segment_attention_equals_the_formula_computed_frame_by_frame(form):
    torch.manual_seed(0)
    attention = SegmentAttention(12, 7, heads=3, length=8, stride=2, score=form)
    frames = torch.randn(2, 16, 12)
    reference = nn.MultiheadAttention(12, 3, batch_first=True)
    with torch.no_grad():
        reference.in_proj_weight.copy_(attention.query_key_value.weight)
        reference.in_proj_bias.copy_(attention.query_key_value.bias)
        reference.out_proj.weight.copy_(attention.project.weight)
        reference.out_proj.bias.copy_(attention.project.bias)
    segments = naive_segments(frames, 8, 2).flatten(0, 1)
    overall = reference(segments, segments, segments)[0].mean(1, keepdim=True).expand(-1, 8, -1)
    both = torch.cat([segments, overall], dim=-1)
    value = both @ torch.cat([attention.value_frame.weight, attention.value_global.weight], 1).T
    if form == "sigmoid":
        score = both @ torch.cat([attention.score_frame.weight, attention.score_global.weight], 1).T
        weights = sigmoid_share(score + attention.score_frame.bias)
    else:
        weights = (segments @ attention.score_frame.weight.T).softmax(1)
    expected = (weights * (value + attention.value_frame.bias)).sum(1).view(2, 8, 7)
    result, given = attention.attend(frames)
    torch.testing.assert_close(result, expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(given, weights.view(2, 8, 8), atol=1e-5, rtol=1e-5)


def test_the_mean_of_a_segment_changes_the_weights_of_its_frames():
    torch.manual_seed(0)
    attention, frames = SegmentAttention(12, 7, heads=3), torch.randn(1, 16, 12)
    before = attention.attend(frames)[1]
    with torch.no_grad():
        attention.score_global.weight.mul_(4)
    assert (attention.attend(frames)[1] - before).abs().max() > 1e-3


def test_weights_of_a_segment_are_finite_where_every_sigmoid_is_0_in_float32():
    attention = SegmentAttention(4, 4)
    with torch.no_grad():
        attention.score_frame.bias.fill_(-500)
    weights = attention.attend(torch.randn(1, 16, 4))[1]
    torch.testing.assert_close(weights.sum(2), torch.ones(1, 8))


@pytest.mark.parametrize(("segment_attention", "gate"), [(True, "scaled_softmax"), (False, "none")])
def test_the_network_tells_what_its_own_forward_weighs_with(segment_attention, gate):
    torch.manual_seed(0)
    config = dataclasses.replace(SMALL, segment_attention=segment_attention, window_gate=gate)
    network, features = FEDN(12, 3, config).eval(), torch.randn(2, 64, 12)
    given, fed = {}, {}
    network.segments.register_forward_hook(lambda _, inputs, output: fed.update(frames=inputs[0], segments=output))
    network.window.register_forward_hook(lambda _, inputs, output: given.update(gated=output))
    network(features)
    attention = network.attention(features)
    assert attention.segments.shape == (2, 32, 8)
    torch.testing.assert_close(attention.segments, network.segments.attend(fed["frames"])[1])
    torch.testing.assert_close(attention.segments.sum(2), torch.ones(2, 32))
    torch.testing.assert_close(fed["segments"].transpose(1, 2) * attention.window, given["gated"])


def test_segment_mean_is_the_mean_of_the_frames_of_a_segment():
    mean = SegmentMean(4, 4)
    frames = torch.randn(1, 16, 4)
    torch.testing.assert_close(mean(frames), mean.value(naive_segments(frames, 8, 2).mean(2)))


def test_scaled_gate_has_mean_one_and_the_literal_gate_sums_to_one():
    segments = torch.randn(3, 8, 20)
    scaled = WindowAttention(8, gate="scaled_softmax")
    literal = WindowAttention(8, gate="softmax")
    literal.load_state_dict(scaled.state_dict())
    torch.testing.assert_close(scaled.weights(segments).mean(2), torch.ones(3, 8))
    torch.testing.assert_close(literal.weights(segments).sum(2), torch.ones(3, 8))
    torch.testing.assert_close(scaled(segments), 20 * literal(segments))


def test_no_window_attention_is_the_identity():
    segments = torch.randn(1, 4, 6)
    assert torch.equal(WindowAttention(4, gate="none")(segments), segments)


def test_pyramid_halves_the_time_at_every_level():
    levels = TemporalPyramid(8, 16, levels=4)(torch.randn(2, 8, 64))
    assert [tuple(level.shape) for level in levels] == [(2, 16, 16), (2, 16, 8), (2, 16, 4), (2, 16, 2)]


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"segment_score": "softmax"},
        {"segment_attention": False},
        {"window_gate": "none"},
        {"window_gate": "softmax"},
        {"decoupled": False},
        {"ratios": ()},
        {"levels": 1},
        {"frame_norm": "none"},
        {"frame_norm": "layer"},
        {"head_heads": 0},
        {"streams": "motion"},
        {"streams": "both"},
        {"streams": "two_trunks"},
        {"reach": 24},
    ],
)
@pytest.mark.parametrize("emotions", [3, 0])
def test_every_variant_predicts_for_every_anchor_and_trains_every_parameter(change, emotions):
    torch.manual_seed(0)
    # Where a group of the normalisation has one channel alone, it takes that channel's bias off again.
    network = FEDN(10, emotions, dataclasses.replace(SMALL, channels=32, dropout=0.0, **change)).double()
    output = network(torch.randn(2, 128, network.input_dim, dtype=torch.float64))
    count = len(network.anchors(128))
    assert count == (16 + 8 + 4 + 2 if network.config.levels == 4 else 16) * (len(network.config.ratios) + 1)
    assert output.regression.shape == (2, count, 2)
    assert output.confidence.shape == (2, count, 2)
    assert output.emotion.shape == (2, count, emotions)
    sum((part * torch.randn_like(part)).sum() for part in output).backward()
    # In double precision a gradient that is 0 by construction is rounding, below 1e-15.
    dead = [name for name, p in network.named_parameters() if p.grad is None or p.grad.abs().max() < 1e-9]
    assert dead == []


def test_of_two_trunks_the_appearance_reaches_the_emotion_alone():
    torch.manual_seed(0)
    network = FEDN(10, 3, dataclasses.replace(SMALL, streams="two_trunks")).eval()
    features = torch.randn(1, 128, network.input_dim)
    changed = features.clone()
    changed[..., :10] = torch.randn(1, 128, 10)
    before, after = network(features), network(changed)
    assert torch.equal(before.regression, after.regression)
    assert torch.equal(before.confidence, after.confidence)
    assert not torch.allclose(before.emotion, after.emotion)


def test_appearance_is_left_out_of_some_windows_in_training_alone():
    torch.manual_seed(0)
    network = FEDN(10, 3, dataclasses.replace(SMALL, streams="both", dropout=0.0, appearance_dropout=1.0))
    features = torch.randn(2, 128, network.input_dim)
    changed = torch.cat([torch.randn(2, 128, 10), features[..., 10:]], dim=-1)
    assert torch.equal(network(features).confidence, network(changed).confidence)
    assert not torch.allclose(network.eval()(features).confidence, network(changed).confidence)


def test_features_without_the_motion_are_refused():
    network = FEDN(10, 3, dataclasses.replace(SMALL, streams="both"))
    with pytest.raises(ValueError, match="98 features"):
        network(torch.randn(1, 128, 10))


def test_two_trunks_cannot_share_a_branch():
    with pytest.raises(ConfigError, match="two_trunks needs decoupled"):
        FEDN(10, 3, dataclasses.replace(SMALL, streams="two_trunks", decoupled=False))


def test_a_window_is_scored_alone_whatever_else_is_in_the_batch():
    network = FEDN(10, 3, SMALL).eval()
    features = torch.randn(3, 128, 10)
    torch.testing.assert_close(network(features).confidence[1:2], network(features[1:2]).confidence)


def test_what_forward_returns_has_one_form_in_training_and_evaluation():
    network = FEDN(10, 3, SMALL)
    features = torch.randn(1, 128, 10)
    shapes = [[part.shape for part in network.train(mode)(features)] for mode in (True, False)]
    assert shapes[0] == shapes[1]


def test_untrained_confidence_is_the_prior():
    confidence = FEDN(10, 3, SMALL)(torch.randn(1, 128, 10)).confidence.sigmoid()
    assert 0.003 < confidence.mean().item() < 0.03


def test_wrong_sizes_are_told_by_their_config_key():
    with pytest.raises(ConfigError, match=r"model\.network\.segment_heads = 3 must divide 16"):
        FEDN(10, 3, dataclasses.replace(SMALL, segment_heads=3))
    with pytest.raises(ConfigError, match=r"data\.window = 100 frames must be a multiple of 64"):
        FEDN(10, 3, SMALL).anchors(100)


def test_resnet18_has_the_parameters_of_torchvision():
    weights = FrameEncoder().state_dict()
    assert (
        sum(p.numel() for p in FrameEncoder().parameters()) == 11_176_512
    )  # torchvision's resnet18 without its fc layer
    for name in ("conv1.weight", "bn1.running_var", "layer1.1.conv2.weight", "layer4.0.downsample.1.running_mean"):
        assert name in weights


@pytest.mark.parametrize("wrapper", [None, "state_dict", "model_state_dict"])
@pytest.mark.parametrize("prefix", ["", "module.", "module.encoder."])
def test_public_checkpoints_load_whatever_wraps_them(tmp_path, wrapper, prefix):
    source, target = FrameEncoder(10, 8), FrameEncoder(10, 8)
    content = {prefix + name: value for name, value in source.state_dict().items()}
    content[prefix + "fc.weight"] = torch.zeros(8, 64)
    torch.save(content if wrapper is None else {wrapper: content, "epoch": 3}, tmp_path / "encoder.pth")
    assert weights_digest(source) != weights_digest(target)
    load_encoder(target, str(tmp_path / "encoder.pth"))
    assert weights_digest(source) == weights_digest(target)


def test_bad_encoder_checkpoints_end_in_a_sentence(tmp_path):
    encoder = FrameEncoder(10, 8)
    with pytest.raises(CheckpointError, match="There is no checkpoint at"):
        load_encoder(encoder, str(tmp_path / "none.pth"))
    (tmp_path / "text.pth").write_text("not a checkpoint")
    with pytest.raises(CheckpointError, match="cannot be read as a checkpoint"):
        load_encoder(encoder, str(tmp_path / "text.pth"))
    torch.save(FrameEncoder(10, 16).state_dict(), tmp_path / "wide.pth")
    with pytest.raises(CheckpointError, match=r"conv1.weight is \(16, 3, 7, 7\) there and \(8, 3, 7, 7\) here"):
        load_encoder(encoder, str(tmp_path / "wide.pth"))
    torch.save({"conv1.weight": encoder.conv1.weight.detach()}, tmp_path / "part.pth")
    with pytest.raises(CheckpointError, match="is missing"):
        load_encoder(encoder, str(tmp_path / "part.pth"))


@pytest.mark.parametrize("frame_norm", ["centred", "layer", "none"])
@pytest.mark.parametrize("streams", ["appearance", "motion", "both", "two_trunks"])
@pytest.mark.parametrize("segment_attention", [True, False])
def test_frames_that_windows_share_are_computed_once_with_the_same_result(streams, frame_norm, segment_attention):
    config = replace(SMALL, streams=streams, frame_norm=frame_norm, segment_attention=segment_attention)
    network = FEDN(24, 3, config).eval().double()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    features = torch.randn(200, network.input_dim, dtype=torch.float64)
    for rows in (torch.arange(0, 72, 16)[:, None] + torch.arange(128), torch.arange(128).clamp(max=90)[None]):
        for shared, each in zip(network.detect(features, rows), network(features[rows]), strict=True):
            torch.testing.assert_close(shared, each)


@pytest.mark.parametrize("frame_norm", ["centred", "layer", "none"])
@pytest.mark.parametrize("dim", [16, 24])
def test_the_gain_of_the_frame_norm_may_be_part_of_the_map_after_it(frame_norm, dim):
    network = FEDN(24, 3, replace(SMALL, dim=dim, frame_norm=frame_norm)).double()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    frames = torch.randn(2, 128, 24, dtype=torch.float64)
    normed = network.norm(frames)
    plain = network.reduce(normed - normed.mean(1, keepdim=True) if frame_norm == "centred" else normed)
    torch.testing.assert_close(network._appearance(frames), plain)


def test_parts_of_a_video_shorter_than_a_window_are_not_joined():
    network = FEDN(24, 3, SMALL).eval().double()
    frames = torch.randn(250, network.input_dim, dtype=torch.float64)
    short = torch.arange(128).clamp(max=50)  # a gap follows frame 50, and a part of its own starts at frame 60
    windows = frames[torch.stack([short, torch.arange(60, 188), torch.arange(76, 204)])]
    start = torch.tensor([0, 60, 76])
    groups = overlapping(windows, torch.zeros(3), start)
    assert groups == [slice(0, 1), slice(1, 3)]
    found = HeadOutput.concatenate([network.detect(*join(windows[part], start[part])) for part in groups])
    for together, alone in zip(found, network(windows), strict=True):
        torch.testing.assert_close(together, alone)


@pytest.mark.parametrize(("depth", "side"), [(10, 64), (18, 62), (10, 67)])
def test_a_folded_encoder_gives_the_same_features_but_for_rounding(depth, side):
    torch.manual_seed(0)
    encoder = FrameEncoder(depth, 8, 2)
    frames = torch.randint(0, 256, (16, 3, side, side), dtype=torch.uint8)
    with torch.no_grad():
        encoder(frames)  # gives BatchNorm statistics of its own
        expected = encoder.eval()(frames)
        before = {name: value.clone() for name, value in encoder.state_dict().items()}
        fast = folded(encoder)
        found = fast(frames).float()
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in fast.modules())
    assert (found - expected).norm() < 0.02 * expected.norm()
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())
    assert folded(other := torch.nn.Flatten()) is other
