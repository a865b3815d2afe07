from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from fedn_lightning.errors import CheckpointError
from fedn_lightning.models.checkpoints import read_checkpoint


class Exploit:
    def __reduce__(self):
        return os.mkdir, ("owned",)


def test_no_code_of_a_checkpoint_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": {}, "x": Exploit()}, "bad.ckpt")
    with pytest.raises(CheckpointError, match=r"bad\.ckpt cannot be read as a checkpoint of plain weights"):
        read_checkpoint("bad.ckpt")
    assert not Path("owned").exists()


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04 half a zip"])
def test_other_files(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "file.ckpt"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"file\.ckpt cannot be read as a checkpoint"):
        read_checkpoint(path)


@pytest.mark.parametrize("zipped", [True, False])
def test_files_of_both_formats_of_torch_are_read(zipped: bool, tmp_path: Path) -> None:
    torch.save({"weight": torch.arange(3)}, tmp_path / "w.pt", _use_new_zipfile_serialization=zipped)
    assert read_checkpoint(tmp_path / "w.pt")["weight"].tolist() == [0, 1, 2]


def test_a_weight_whose_bits_have_changed_is_refused(tmp_path):
    path = tmp_path / "best.ckpt"
    torch.save({"state_dict": {"weight": torch.arange(1000.0)}}, path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match=r"checksum of .* is wrong"):
        read_checkpoint(path)
