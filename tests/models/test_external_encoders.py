"""Somebody else's ONNX network as the frozen frame encoder."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx_networks import kernels, write_network
from torch.nn import functional as F

from fedn_lightning.errors import CheckpointError, ConfigError
from fedn_lightning.models.checkpoints import weights_digest
from fedn_lightning.models.encoder import EncoderConfig

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def pictures(count: int = 3, side: int = 16) -> torch.Tensor:
    rng = np.random.default_rng(1)
    return torch.from_numpy(rng.integers(0, 256, (count, 3, side, side), np.uint8))


def mapped(frames: torch.Tensor, mean: tuple[float, ...], std: tuple[float, ...], channels: int = 3) -> torch.Tensor:
    """What the toy network's convolution gives, by PyTorch."""
    x = frames.float() / 255
    if channels == 1:
        x = (x * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
    x = (x - torch.tensor(mean)[:channels].view(1, -1, 1, 1)) / torch.tensor(std)[:channels].view(1, -1, 1, 1)
    return F.conv2d(x, torch.from_numpy(kernels(channels)[0]), stride=2).relu()


@pytest.mark.parametrize("batch", ["N", 1, 2])
@pytest.mark.parametrize("channels", [3, 1])
def test_features_are_those_of_the_network(tmp_path: Path, batch: int | str, channels: int) -> None:
    path = write_network(tmp_path / "net.onnx", channels, batch=batch)
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.3, 0.4)
    encoder = EncoderConfig(onnx=str(path), mean=mean, std=std).build()
    expected = mapped(pictures(4), mean, std, channels).mean(dim=(2, 3)) @ torch.from_numpy(kernels(channels)[1])
    assert encoder.feature_dim == 5
    assert torch.allclose(encoder(pictures(4)), expected, atol=1e-5)


def test_an_inner_tensor_is_the_feature_and_a_map_is_pooled_to_the_grid(tmp_path: Path) -> None:
    path = write_network(tmp_path / "net.onnx")
    mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    pooled = EncoderConfig(onnx=str(path), output="feature", mean=mean, std=std).build()
    gridded = EncoderConfig(onnx=str(path), output="map", grid=2, mean=mean, std=std).build()
    expected = mapped(pictures(), mean, std)
    assert torch.allclose(pooled(pictures()), expected.mean(dim=(2, 3)), atol=1e-5)
    assert gridded.feature_dim == 24
    assert torch.allclose(gridded(pictures()), F.adaptive_avg_pool2d(expected, 2).flatten(1), atol=1e-5)


def test_channels_may_stand_last_and_pictures_are_resized(tmp_path: Path) -> None:
    path = write_network(tmp_path / "net.onnx", side="S", last=True)
    encoder = EncoderConfig(onnx=str(path), size=16).build()
    plain = EncoderConfig(onnx=str(write_network(tmp_path / "other.onnx"))).build()
    assert torch.allclose(encoder(pictures()), plain(pictures()), atol=1e-5)
    large = pictures(side=48)
    resized = F.interpolate(large.float(), (16, 16), mode="bilinear", antialias=True)
    assert torch.allclose(encoder(large), plain(resized), atol=1e-5)


def test_a_cache_tells_settings_and_files_apart_and_copies_work(tmp_path: Path) -> None:
    path = str(write_network(tmp_path / "net.onnx"))
    configs = [
        EncoderConfig(onnx=path),
        EncoderConfig(onnx=path, mean=(0.5, 0.5, 0.5)),
        EncoderConfig(onnx=path, output="feature"),
        EncoderConfig(onnx=path, output="map"),
        EncoderConfig(onnx=path, output="map", grid=2),
        EncoderConfig(onnx=str(write_network(tmp_path / "free.onnx", side="S")), size=16),
        EncoderConfig(onnx=str(tmp_path / "free.onnx"), size=24),
    ]
    assert len({weights_digest(config.build()) for config in configs}) == len(configs)
    encoder = configs[0].build()
    expected = encoder(pictures())
    for other in (copy.deepcopy(encoder), pickle.loads(pickle.dumps(encoder)), configs[0].build()):
        assert weights_digest(other) == weights_digest(encoder)
        assert torch.equal(other(pictures()), expected)


def test_loaded_weights_replace_the_network_that_ran_before(tmp_path: Path) -> None:
    encoder = EncoderConfig(onnx=str(write_network(tmp_path / "net.onnx"))).build()
    state = encoder.state_dict()
    program = bytes(state["program"].numpy())
    kernel = kernels(3)[0].tobytes()
    assert kernel in program
    expected = encoder(pictures())
    state["program"] = torch.frombuffer(
        bytearray(program.replace(kernel, (-kernels(3)[0]).tobytes())), dtype=torch.uint8
    )
    encoder.load_state_dict(state)
    assert not torch.allclose(encoder(pictures()), expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"onnx": "none.onnx"}, r"none.onnx \(model.encoder\) cannot be read: No such file"),
        ({"onnx": "text.onnx"}, "text.onnx cannot be read as an ONNX network"),
        ({"frozen": False}, "set model.encoder.frozen to true"),
        ({"weights": "x.ckpt"}, "model.encoder.weights to null"),
        ({"output": "nothing"}, "has the outputs classes and, inside, .*feature, classes as its last tensors"),
        ({"size": 20}, "takes pictures of 16 pixels, and model.encoder.size is 20"),
        ({"onnx": "free.onnx"}, "takes pictures of any size; set model.encoder.size"),
        ({"onnx": "five.onnx"}, "not pictures of 3 channels or 1"),
    ],
)
def test_what_does_not_fit_is_told(
    change: dict[str, object], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_network(Path("net.onnx"))
    write_network(Path("free.onnx"), side="S")
    write_network(Path("five.onnx"), channels=5)
    Path("text.onnx").write_text("no network")
    with pytest.raises((CheckpointError, ConfigError), match=message):
        EncoderConfig(**{"onnx": "net.onnx", **change}).build()  # type: ignore[arg-type]
