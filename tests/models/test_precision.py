"""How matrix products are computed."""

from types import SimpleNamespace

import pytest
import torch

from fedn_lightning.errors import ConfigError
from fedn_lightning.models import precision
from fedn_lightning.models.fedn import FEDN, NetworkConfig

CPU = torch.device("cpu")


@pytest.fixture
def setting():
    found = getattr(torch.backends.mkldnn, "matmul", None)
    if found is None:
        pytest.skip("this version of PyTorch has no such setting")
    before, found.fp32_precision = found.fp32_precision, "none"
    precision._keeps_float32.cache_clear()
    yield found
    found.fp32_precision = before
    precision._keeps_float32.cache_clear()


def test_products_stay_in_float32_and_the_process_is_left_as_it_was(setting):
    a, b = torch.randn(200, 300), torch.randn(300, 200)
    with precision.OneDnnProducts(CPU) as products:
        assert products.active == (setting.fp32_precision == "bf16")
        assert (a @ b - (a.double() @ b.double())).abs().max() < 1e-4
    assert setting.fp32_precision == "none"
    assert torch.get_float32_matmul_precision() == "highest"  # raises while the setting holds


def test_a_machine_that_would_round_is_left_as_it_is(setting, monkeypatch):
    monkeypatch.setattr(torch, "equal", lambda a, b: False)
    with precision.OneDnnProducts(CPU) as products:
        assert not products.active
        assert setting.fp32_precision == "none"


@pytest.mark.parametrize(("device", "users"), [("cpu", "ieee"), ("cuda", "none")])
def test_a_setting_of_the_user_and_other_devices_are_left_alone(setting, device, users):
    setting.fp32_precision = users
    with precision.OneDnnProducts(torch.device(device)):
        assert setting.fp32_precision == users
    assert setting.fp32_precision == users


def test_a_torch_without_the_setting_is_left_as_it_is(monkeypatch):
    monkeypatch.setattr(torch.backends, "mkldnn", SimpleNamespace(is_available=lambda: True))
    with precision.OneDnnProducts(CPU) as products:
        assert not products.active


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
