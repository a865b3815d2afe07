from __future__ import annotations

from pathlib import Path

import pytest
import torch

from fedn_lightning.cli.fit import describe_differences, explain_failure, read_run
from fedn_lightning.errors import CheckpointError


def test_a_file_of_tensors_alone(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(2)}, tmp_path / "w.pt")
    with pytest.raises(CheckpointError, match="holds no weights of a run"):
        read_run(tmp_path / "w.pt")


def test_differences_are_found_in_nested_settings() -> None:
    saved = {"optimiser": {"lr": 0.1, "warmup": 0.2}, "encoder": {"weights": None}, "sizes": (1, 2)}
    model = {"init_args": {"optimiser": {"lr": 0.3, "warmup": 0.2}, "encoder": {"weights": "x"}, "sizes": [1, 2]}}
    expected = ["model.optimiser.lr is 0.3, in the checkpoint 0.1"]
    assert describe_differences({"fedn": {"model": saved}}, model) == expected
    assert describe_differences({"hyper_parameters": {**saved, "_class_path": "x"}}, model) == expected
    assert describe_differences({}, model) == []


def test_only_the_first_of_many_mismatches_is_reported() -> None:
    a, b = torch.nn.Linear(3, 2), torch.nn.Linear(4, 2)
    with pytest.raises(RuntimeError) as caught:
        a.load_state_dict(b.state_dict())
    detail = "weight is [2, 4] in the file and [2, 3] in the network"
    assert str(explain_failure("x.ckpt", caught.value)) == (
        f"The checkpoint x.ckpt does not fit the configured network: {detail}."
    )
