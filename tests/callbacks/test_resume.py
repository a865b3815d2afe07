from __future__ import annotations

import pytest
import torch

from fedn_lightning.callbacks.resume import restore, set_base_rates


def test_equal_settings_change_nothing() -> None:
    group = {"params": [], "lr": 0.05, "initial_lr": 0.1, "betas": (0.9, 0.99)}
    assert restore(group, {"lr": 0.1, "initial_lr": 0.1, "betas": (0.9, 0.99)}) == []
    assert group["lr"] == 0.05  # the schedule keeps its place


def test_a_schedule_keeps_its_place_under_a_new_rate() -> None:
    group = {"params": [], "lr": 0.05, "initial_lr": 0.1}
    assert restore(group, {"lr": 0.4, "initial_lr": 0.4}) == ["learning rate 0.4, in the checkpoint 0.1"]
    assert group["lr"] == pytest.approx(0.2)
    assert group["initial_lr"] == 0.4


def test_without_a_schedule_the_rate_is_the_configured_one() -> None:
    group = {"params": [], "lr": 0.1, "weight_decay": 0.0}
    told = restore(group, {"lr": 0.3, "weight_decay": 0.5})
    assert told == ["learning rate 0.3, in the checkpoint 0.1", "weight_decay 0.5, in the checkpoint 0.0"]
    assert group == {"params": [], "lr": 0.3, "weight_decay": 0.5}


def test_a_chain_of_schedules_gets_its_base_rates() -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    parts = [torch.optim.lr_scheduler.ConstantLR(optimizer), torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)]
    chain = torch.optim.lr_scheduler.SequentialLR(optimizer, parts, milestones=[2])
    set_base_rates(chain, [0.7])
    assert [part.base_lrs for part in parts] == [[0.7], [0.7]]
