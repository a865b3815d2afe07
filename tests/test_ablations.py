"""Each ablation changes what it names and nothing else, with keys that exist."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fedn_lightning.datamodules.base import CorpusConfig
from fedn_lightning.datamodules.windows import WindowConfig
from fedn_lightning.models.encoder import EncoderConfig
from fedn_lightning.models.fedn import NetworkConfig
from fedn_lightning.models.losses import DetectionLoss
from fedn_lightning.study.plan import read_plan
from fedn_lightning.study.rows import read_row, row_path
from fedn_lightning.study.statistics import plain_scores
from support.experiment_files import read_layers

FOLDER = Path(__file__).parents[1] / "experiments" / "ablations"
RESULTS = FOLDER.parent / "results" / "ablations"
CHANGES: dict[str, dict[str, Any]] = {
    "fedn": {},
    "no_segment_attention": {"model.network.segment_attention": False},
    "no_window_attention": {"model.network.window_gate": "none"},
    "no_attention": {"model.network.segment_attention": False, "model.network.window_gate": "none"},
    "literal_gate": {"model.network.window_gate": "softmax"},
    "single_task": {"model.recognise": False},
    "coupled_heads": {"model.network.decoupled": False},
    "one_level": {"model.network.levels": 1},
    "anchor_free": {"model.network.ratios": []},
    "others_as_none": {"model.loss.unanalysed": "background"},
    "self_report": {"data.corpus.label_source": "self_report"},
}
PIXELS = {"unfrozen_encoder", "frozen_small_budget"}
"""Of another budget than the base; they differ from each other in the encoder alone."""
CORPUS = {"data.corpus.root": "data/synthetic_study", "data.crops.store": "data/store/synthetic_study"}
"""Of every row."""
BASELINES = {"recogniser", "flow"}
"""Those of the folder above, on the corpus of the study."""


def read(name: str) -> list[dict[str, Any]]:
    """The layers of a row's file, base first."""
    return read_layers(FOLDER / f"{name}.yaml")


def test_every_row_learns_from_the_corpus_of_the_study() -> None:
    for name in (*CHANGES, *PIXELS, *BASELINES):
        found: dict[str, Any] = {}
        for layer in read(name):
            found |= layer
        assert {key: found[key] for key in CORPUS} == CORPUS, name


def test_every_file_is_tested_and_every_row_of_the_study_is_there() -> None:
    files = {path.stem for path in FOLDER.glob("*.yaml")} - {"study"}
    assert files == set(CHANGES) | PIXELS | BASELINES
    rows = {row.name for row in read_plan([str(FOLDER)]).rows}
    assert rows == set(CHANGES) | PIXELS | {"two_step", "fedn_then_recogniser", "flow"}


@pytest.mark.parametrize("name", CHANGES)
def test_an_ablation_changes_what_it_names_alone(name: str) -> None:
    base, on_its_corpus, *changes = read(name)
    assert on_its_corpus == {"experiment": "fedn", **CORPUS}
    assert changes == ([] if name == "fedn" else [{"experiment": name, **CHANGES[name]}])
    for change in changes:
        for key, value in change.items():
            assert base.get(key) != value  # it is a change
    text = (FOLDER / f"{name}.yaml").read_text()
    assert text.startswith("# ")


def test_the_keys_exist() -> None:
    classes = {"model.network": NetworkConfig, "model.encoder": EncoderConfig, "model.loss": DetectionLoss}
    classes |= {"data.windows": WindowConfig, "data.corpus": CorpusConfig}
    for name in (*CHANGES, *PIXELS, *BASELINES):
        for key in read(name)[-1]:
            group, _, argument = key.rpartition(".")
            assert group not in classes or argument in classes[group].__dataclass_fields__, key


def test_the_unfrozen_encoder_has_a_frozen_twin_of_the_same_budget() -> None:
    *_, small = read("frozen_small_budget")
    *_, unfrozen = read("unfrozen_encoder")
    assert set(unfrozen) == {"experiment", "model.encoder.frozen", "model.encoder.chunk"}
    assert small["trainer.max_epochs"] < 15


def test_the_stored_table_is_that_of_the_stored_rows() -> None:
    rows = json.loads((RESULTS / "study.json").read_text())["rows"]
    assert list(rows) == [row.name for row in read_plan([str(FOLDER)]).rows]
    for name, row in rows.items():
        seeds = read_row(row_path(RESULTS, name)).seeds
        scores = [plain_scores(result) for result in seeds.values()]
        assert row["seeds"] == sorted(seeds)
        for path, found in row["scores"].items():
            values = [score[path] for score in scores]
            if found["value"] is None:
                assert np.isnan(values).all()
            else:
                assert found["value"] == pytest.approx(np.mean(values)), (name, path)


def test_the_stored_error_analysis_is_of_the_rows_that_it_names() -> None:
    study = json.loads((RESULTS / "study.json").read_text())["rows"]
    seeds = json.loads((RESULTS.parent / "joint_or_two_step.json").read_text())["seeds"]
    for name, row in {"joint": "fedn", "two_step": "two_step", "others_as_none": "others_as_none"}.items():
        found = {seed: runs[name]["emotion_effect"]["both"] for seed, runs in seeds.items()}
        assert found == pytest.approx(study[row]["scores"]["detection.map@0.5"]["by_seed"], abs=1e-5)
