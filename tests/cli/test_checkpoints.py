from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from fedn_lightning.cli.checkpoints import describe_differences, explain_failure, read_checkpoint
from fedn_lightning.errors import CheckpointError


class Exploit:
    def __reduce__(self):
        return os.mkdir, ("owned",)


def test_no_code_of_a_checkpoint_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": {}, "x": Exploit()}, "bad.ckpt")
    with pytest.raises(CheckpointError, match=r"bad\.ckpt is not a checkpoint that can be read safely"):
        read_checkpoint("bad.ckpt")
    assert not Path("owned").exists()


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04 half a zip"])
def test_other_files(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "file.ckpt"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"file\.ckpt is not a checkpoint"):
        read_checkpoint(path)


def test_a_file_of_tensors_alone(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(2)}, tmp_path / "w.pt")
    with pytest.raises(CheckpointError, match="holds no weights of a run"):
        read_checkpoint(tmp_path / "w.pt")


def test_differences_are_found_in_nested_settings() -> None:
    saved = {"optimiser": {"lr": 0.1, "warmup": 0.2}, "encoder": {"weights": None}, "sizes": (1, 2)}
    model = {"init_args": {"optimiser": {"lr": 0.3, "warmup": 0.2}, "encoder": {"weights": "x"}, "sizes": [1, 2]}}
    expected = ["model.optimiser.lr is 0.3, in the checkpoint 0.1"]
    assert describe_differences({"fedn": {"model": saved}}, model) == expected
    assert describe_differences({"hyper_parameters": {**saved, "_class_path": "x"}}, model) == expected
    assert describe_differences({}, model) == []


def test_only_the_first_of_many_misfits_is_told() -> None:
    a, b = torch.nn.Linear(3, 2), torch.nn.Linear(4, 2)
    with pytest.raises(RuntimeError) as caught:
        a.load_state_dict(b.state_dict())
    detail = "weight is [2, 4] in the file and [2, 3] in the network"
    assert str(explain_failure("x.ckpt", caught.value)) == (
        f"The checkpoint x.ckpt does not fit the configured network: {detail}."
    )
