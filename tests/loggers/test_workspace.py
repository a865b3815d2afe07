from __future__ import annotations

import base64
import socket
import sys
from typing import Any

import pytest

from fedn_lightning.loggers import workspace
from fedn_lightning.loggers.metrics import find
from fedn_lightning.loggers.wandb import aggregate_id
from fedn_lightning.loggers.workspace import DashboardError, View, check_login, check_reach, specification

VIEW = View("faces", "team", groups=("fedn-1-seed7", "no_attention-2-seed7"), baseline="fedn-1-seed7")


@pytest.fixture(scope="module")
def spec() -> dict[str, Any]:
    pytest.importorskip("wandb_workspaces", reason="the extra dashboard is not installed")
    stored: dict[str, Any] = specification(VIEW)["spec"]["section"]
    return stored


def keys_in(panel: dict[str, Any]) -> list[str]:
    """The names that a panel shows."""
    config = panel["config"]
    return [*config.get("metrics", []), *config.get("mediaKeys", [])]


def test_each_panel_shows_what_is_logged(spec: dict[str, Any]) -> None:
    panels = [panel for section in spec["panelBankConfig"]["sections"] for panel in section["panels"]]
    shown = {key for panel in panels for key in keys_in(panel)}
    assert {"strict/spotting/overall/f1", "val/joint", "test/timeline_01", "test/film_strips"} <= shown
    assert [key for key in sorted(shown) if find(key) is None] == []


def test_sections_answer_the_questions(spec: dict[str, Any]) -> None:
    names = [section["name"] for section in spec["panelBankConfig"]["sections"]]
    assert names[:3] == ["Pooled results", "Ablations against the baseline", "Folds"]
    assert all(section["panels"] for section in spec["panelBankConfig"]["sections"])


def test_runs_are_chosen_grouped_and_compared(spec: dict[str, Any]) -> None:
    (runs,) = spec["runSets"]
    assert [key["name"] for key in runs["grouping"]] == ["group", "jobType"]
    assert "no_attention-2-seed7" in str(runs["filters"])
    baseline = base64.b64decode(runs["baselineRunId"]).decode()  # W&B's own way of writing an id
    assert baseline.split(":")[2:] == [aggregate_id("faces", "fedn-1-seed7"), "faces", "team"]


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb_workspaces.workspaces", None)
    with pytest.raises(DashboardError, match=r"pip install \"fedn-lightning\[dashboard\]\""):
        workspace.build(VIEW)


def test_without_a_network() -> None:
    with socket.socket() as server:  # bound, but nobody listens
        server.bind(("127.0.0.1", 0))
        with pytest.raises(DashboardError, match=r"cannot be reached .*--json FILE"):
            check_reach(f"http://127.0.0.1:{server.getsockname()[1]}")


def test_without_a_login(monkeypatch: pytest.MonkeyPatch) -> None:
    for key in ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE"):
        monkeypatch.delenv(key, raising=False)
    monkeypatch.setenv("NETRC", "/nowhere")
    with pytest.raises(DashboardError, match="run `wandb login`"):
        check_login("https://wandb.invalid")
    monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
    check_login("https://wandb.invalid")
