"""How matrix products are computed."""

from types import SimpleNamespace

import pytest
import torch

from fedn_lightning.errors import ConfigError
from fedn_lightning.models import precision
from fedn_lightning.models.fedn import FEDN, NetworkConfig

CPU = torch.device("cpu")


@pytest.fixture
def settings():
    found = getattr(torch.backends.mkldnn, "matmul", None)
    if found is None:
        pytest.skip("this version of PyTorch has no such setting")
    before, found.fp32_precision = found.fp32_precision, "none"
    yield found
    found.fp32_precision = before


def test_products_stay_in_float32(settings):
    precision.hurry_products()
    a, b = torch.randn(200, 300), torch.randn(300, 200)
    assert (a @ b - (a.double() @ b.double())).abs().max() < 1e-4


def test_a_machine_that_would_round_is_left_as_it_is(settings, monkeypatch):
    monkeypatch.setattr(torch, "equal", lambda a, b: False)
    assert not precision.hurry_products()
    assert settings.fp32_precision == "none"


def test_a_setting_of_the_user_is_kept(settings):
    settings.fp32_precision = "ieee"
    assert not precision.hurry_products()
    assert settings.fp32_precision == "ieee"


def test_a_torch_without_the_setting_is_left_as_it_is(monkeypatch):
    monkeypatch.setattr(torch.backends, "mkldnn", SimpleNamespace(is_available=lambda: True))
    assert not precision.hurry_products()


def test_bf16_is_refused_where_it_is_not(monkeypatch):
    monkeypatch.setattr(precision, "has_bf16", lambda device: False)
    with pytest.raises(ConfigError, match=r"inference\.precision"):
        precision.autocast(CPU, "bf16")


@pytest.mark.parametrize("streams", ["appearance", "both"])
def test_bf16_moves_scores_little_even_beside_a_strong_identity(streams, monkeypatch):
    monkeypatch.setattr(precision, "has_bf16", lambda device: True)
    torch.manual_seed(0)
    network = FEDN(16, 3, NetworkConfig(dim=32, channels=32, streams=streams)).eval()
    features = torch.randn(256, network.input_dim) + 20 * torch.randn(network.input_dim)
    rows = torch.arange(0, 129, 16)[:, None] + torch.arange(128)
    for fine, coarse in zip(network.detect(features, rows), network.detect(features, rows, "bf16"), strict=True):
        assert coarse.dtype == torch.float32
        assert (fine - coarse).abs().mean() < 0.1 * fine.std()
