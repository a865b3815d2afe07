"""The rows of the study of FEDN+: each changes what it names alone, on the corpus and folds of the ablations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fedn_lightning.study.plan import read_plan
from support.experiment_files import read_layers

FOLDER = Path(__file__).parents[1] / "experiments" / "plus"
CHANGES: dict[str, dict[str, Any]] = {
    "motion_alone": {"model.network.streams": "motion"},
    "appearance_alone": {"model.network.streams": "appearance"},
    "one_trunk": {"model.network.streams": "both"},
    "plain_loss": {"model.loss.focal_gamma": 0.0, "model.loss.quality": False},
    "policy_ends": {"data.windows.unknown_offset": "policy"},
    "no_motion_augment": {f"data.motion_augment.{kind}": 0.0 for kind in ("amplitude", "mirror", "dropout")},
    "no_motion_dropout": {"data.motion_augment.dropout": 0.0},
    "one_window_score": {"model.inference.agreement": 0.0},
    "no_vote": {"model.inference.vote": False},
    "spotter": {"model.recognise": False},
}
CORPUS = {"data.corpus.root": "data/synthetic_study", "data.crops.store": "data/store/synthetic_study"}


def read(name: str) -> list[dict[str, Any]]:
    """The layers of a row's file, base first."""
    return read_layers(FOLDER / f"{name}.yaml")


def below(name: str) -> dict[str, Any]:
    """The values of a file without its own changes."""
    merged: dict[str, Any] = {}
    for layer in read(name)[:-1]:
        merged |= layer
    return merged


@pytest.mark.parametrize("name", CHANGES)
def test_a_row_changes_what_it_names_alone(name: str) -> None:
    change = read(name)[-1]
    assert change == {"experiment": f"plus_{name}", **CHANGES[name]}
    assert below(name)["experiment"] == "study_fedn_plus"
    assert all(below(name).get(key) != value for key, value in change.items())


def test_every_file_is_a_row_and_learns_from_the_corpus_of_the_study() -> None:
    files = {path.stem for path in FOLDER.glob("*.yaml")} - {"study", "parts"}
    assert files == set(CHANGES) | {"fedn_plus", "fedn", "flow", "recogniser", "linear_score"}
    rows = {row.name for plan in ("study", "parts") for row in read_plan([str(FOLDER / f"{plan}.yaml")]).rows}
    assert rows == (files - {"recogniser"}) | {"two_step"}
    for name in files:
        merged = below(name) | read(name)[-1]
        assert {key: merged[key] for key in CORPUS} == CORPUS, name
