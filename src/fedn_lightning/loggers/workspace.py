"""A W&B workspace for this project's runs: results, ablations, folds, training, timelines, events.

Its panels follow the table of metrics. A workspace is only a view: it changes no run, and another one may be made
beside it.
"""

from __future__ import annotations

import importlib
import json
import os
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fedn_lightning.errors import FednError
from fedn_lightning.loggers.media import TIMELINES
from fedn_lightning.loggers.metrics import LOSSES, METRICS, SCORES, STEP, logged_name
from fedn_lightning.loggers.wandb import PREFIX, aggregate_id
from fedn_lightning.loggers.wandb import TIMELINES as POOLED_TIMELINES
from fedn_lightning.results import names

HEADLINES = {logged_name(path): name for path, name in names.HEADLINES.items()}
"""Logged names of the first scores of a test and of pooled folds, and what tables call them."""

EXTRA = 'The dashboard needs wandb-workspaces; install it with pip install "fedn-lightning[dashboard]".'
REACH = 10
"""Seconds to wait for the server's first answer."""


class DashboardError(FednError):
    """A workspace cannot be made; the message names what is missing."""


@dataclass(frozen=True)
class View:
    """Which runs a workspace shows."""

    project: str  # W&B project
    entity: str = ""  # user or team; empty for that of the login
    name: str = "fedn"  # of the workspace
    # W&B groups of the runs, e.g. those of an ablation study; empty for all of the project.
    groups: tuple[str, ...] = ()
    baseline: str | None = None  # the group that the others are compared with


def build(view: View) -> Any:
    """The workspace as an object of wandb-workspaces; needs neither network nor login."""
    try:
        import wandb_workspaces.workspaces as ws
        from wandb_workspaces import expr
    except ImportError as error:
        raise DashboardError(EXTRA) from error
    groups = [expr.Metric("Group") == group for group in view.groups]
    return ws.Workspace(
        entity=view.entity,
        project=view.project,
        name=view.name,
        sections=[ws.Section(name=name, panels=panels, is_open=True) for name, panels in _sections()],
        settings=ws.WorkspaceSettings(x_axis=STEP, max_runs=100, remove_legends_from_panels=False),
        runset_settings=ws.RunsetSettings(
            filters=expr.Or(*groups) if groups else "",
            groupby=[expr.Metric("Group"), expr.Metric("JobType")],
            pinned_columns=[f"summary:strict/{key}" for key in HEADLINES]
            + [f"summary:test/{key}" for key in HEADLINES],
            baseline_run=aggregate_id(view.project, view.baseline) if view.baseline else None,
        ),
    )


def _sections() -> list[tuple[str, list[Any]]]:
    return [
        ("Pooled results", _pooled()),
        ("Ablations against the baseline", _comparison()),
        ("Folds", _folds()),
        ("Training", _training()),
        ("Timelines and film strips", _pictures()),
        ("Events", _tables()),
    ]


def _panel_types() -> Any:
    # By name: the package marks itself as typed, but not its panels as its own.
    return importlib.import_module("wandb_workspaces.reports.v2")


def _pooled() -> list[Any]:
    """Each headline over all folds: strict first, as the one to report."""
    wr = _panel_types()
    return [
        wr.BarPlot(title=f"{title}, {mode}", metrics=[f"{mode}/{key}"], orientation="h", range_x=(0, 1))
        for mode in ("strict", "published")
        for key, title in HEADLINES.items()
    ]


def _comparison() -> list[Any]:
    """Pooled scores by experiment, and what differs between runs."""
    wr = _panel_types()
    bars = [
        wr.BarPlot(
            title=f"{title} by experiment", metrics=[f"strict/{key}"], groupby=wr.Config("name"),
            groupby_aggfunc="mean", groupby_rangefunc="minmax",
        )
        for key, title in HEADLINES.items()
    ]  # fmt: skip
    return [*bars, wr.RunComparer(diff_only="split")]


def _folds() -> list[Any]:
    """Scores of each held-out subject, and the spread of validation over the folds of a group."""
    wr = _panel_types()
    bars = [wr.BarPlot(title=f"{title} by fold", metrics=[f"test/{key}"]) for key, title in HEADLINES.items()]
    lines = [
        wr.LinePlot(
            title=f"{meaning}, mean over folds", x="epoch", y=[f"val/{name}"], groupby="Group",
            groupby_aggfunc="mean", groupby_rangefunc="stddev",
        )
        for name, meaning in SCORES.items()
    ]  # fmt: skip
    return [*bars, *lines]


def _training() -> list[Any]:
    wr = _panel_types()
    losses = [
        wr.LinePlot(title=meaning, x=STEP, y=[f"train/{name}", f"val/{name}"]) for name, meaning in LOSSES.items()
    ]
    return [*losses, wr.LinePlot(title="learning rate", x=STEP, metric_regex="lr-.*")]


def _pictures() -> list[Any]:
    wr = _panel_types()
    pooled = [f"{PREFIX}timeline_{number:02}" for number in range(1, POOLED_TIMELINES + 1)]
    held_out = [f"test/timeline_{number:02}" for number in range(1, TIMELINES + 1)]
    return [
        wr.MediaBrowser(title="held-out videos", media_keys=held_out, num_columns=1),
        wr.MediaBrowser(title="one video of every fold", media_keys=pooled, num_columns=1),
        wr.MediaBrowser(title="film strips: onset, apex, offset", media_keys=["test/film_strips"], num_columns=3),
        wr.MediaBrowser(title="a validation video as training goes on", media_keys=["val/timeline"], num_columns=1),
    ]


def _tables() -> list[Any]:
    wr = _panel_types()
    names = [m.name for m in METRICS if m.name.endswith(("/events", "/confusion", "/subjects"))]
    return [wr.WeavePanelSummaryTable(table_name=name) for name in sorted(names, key=lambda name: name[0] != PREFIX[0])]


def specification(view: View) -> dict[str, Any]:
    """The workspace as W&B stores it, plain values: what :func:`save` would send."""
    model = build(view)._to_model()  # what the package itself calls before it sends a workspace
    spec: dict[str, Any] = json.loads(model.spec.model_dump_json(by_alias=True, exclude_none=True))
    return {"entity": model.entity, "project": model.project, "name": model.display_name, "spec": spec}


def save(view: View) -> str:
    """Creates the workspace on the server."""
    import wandb

    workspace = build(view)
    base = str(wandb.setup().settings.base_url)
    check_reach(base)
    check_login(base)
    try:
        if not workspace.entity:
            workspace.entity = wandb.Api(timeout=REACH).default_entity or ""
        return str(workspace.save().url)
    except Exception as error:  # the package passes on whatever its transport raises
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__).rstrip(".")
        msg = f"W&B refused the workspace ({reason}); check --project and --entity, or write it to a file with --json."
        raise DashboardError(msg) from error


def check_reach(base: str) -> None:
    """Refuses at once where W&B's own client would try again for minutes."""
    try:
        urllib.request.urlopen(base, timeout=REACH).close()
    except urllib.error.HTTPError:
        return  # it has answered
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        msg = f"W&B at {base} cannot be reached ({reason}); --json FILE writes the workspace without a network."
        raise DashboardError(msg) from error


def check_login(base: str) -> None:
    """Refuses at once where W&B's own client would ask for a key."""
    from requests.utils import get_netrc_auth

    keys = ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE")
    if not any(os.environ.get(key) for key in keys) and not get_netrc_auth(base):
        msg = f"Nobody is logged in to W&B at {base}; run `wandb login`, or write the workspace to a file with --json."
        raise DashboardError(msg)


def describe(view: View, sections: Sequence[Any]) -> list[str]:
    """The workspace in lines, for people."""
    chosen = ", ".join(view.groups) or "all groups"
    head = f"{view.name}: {view.entity or '(entity of the login)'}/{view.project}, {chosen}"
    compared = [f"compared with {view.baseline}"] if view.baseline else []
    return [head, *compared, *(f"  {section.name}: {len(section.panels)} panels" for section in sections)]
