"""The two-step pipeline: a spotter finds intervals, then a recogniser predicts their emotions.

The baseline that the paper compares with (P): spot, then recognise. Spotter and recogniser are trained apart, on the
same frame features of the same frozen encoder; their predictions are written to one run folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jsonargparse
import lightning
import numpy as np
import numpy.typing as npt
import torch
import yaml  # type: ignore[import-untyped]

from fedn_lightning.callbacks.run_config import describe_environment
from fedn_lightning.datamodules.recognition import IntervalConfig, RecognitionDataModule, cut
from fedn_lightning.errors import FoldError
from fedn_lightning.events import DetectionRecord, EventTable, FloatArray
from fedn_lightning.loso.experiment import Experiment, Fold, make_folds
from fedn_lightning.loso.pool import Pooled, read_thresholds
from fedn_lightning.loso.status import Status, mark_finished, problem
from fedn_lightning.models.checkpoints import read_checkpoint
from fedn_lightning.models.postprocessing import PROPOSAL_COLUMNS, confidence_curves
from fedn_lightning.reports.figures import save_timelines
from fedn_lightning.results import Names, read_events, read_videos
from fedn_lightning.results.names import BEST, CONFIG, ENVIRONMENT, PROPOSALS, RESULT, TRUTH, VIDEOS
from fedn_lightning.results.report import result_of
from fedn_lightning.results.run_folder import RunConfig, RunFolder
from fedn_lightning.results.writing import write_tables
from fedn_lightning.tasks.base import build_record
from fedn_lightning.tasks.recognition import RecognitionTask
from fedn_lightning.utils.files import StoredArray, write_json, write_text
from fedn_lightning.video.store import StoredVideo

MUST_AGREE = {"dataset": "corpus", "emotions": "emotion classes", "fps": "frame rate", "crop_size": "crop size"}
"""What both runs must have in common, by its name in a checkpoint."""


@dataclass(frozen=True)
class TrainedRun:
    """A trained run of the pipeline."""

    folder: Path  # its run folder
    config: dict[str, Any]  # its `config.yaml`
    weights: dict[str, torch.Tensor]  # of its best epoch, by name
    metadata: dict[str, Any]  # the checkpoint's own record of its task, data and subjects

    @classmethod
    def read(cls, folder: str | Path) -> TrainedRun:
        """Reads a run folder of `fedn fit`."""
        folder = Path(folder)
        for name in (CONFIG, RESULT, PROPOSALS, TRUTH, VIDEOS):
            if not (folder / name).is_file():
                msg = f"{folder} is no complete run: {name} is missing. Train it with fedn fit, test included."
                raise FoldError(msg)
        content: Mapping[str, Any] = read_checkpoint(folder / BEST)
        return cls(folder, dict(RunConfig.read(folder).content), content["state_dict"], dict(content.get("fedn", {})))

    @property
    def encoder(self) -> dict[str, torch.Tensor]:
        """The weights of its frame encoder."""
        return {name: value for name, value in self.weights.items() if name.startswith("encoder.")}


def combine(spotter: str | Path, recogniser: str | Path, out: str | Path) -> dict[str, Any]:
    """Recognises the emotions of what a spotter found on its held-out subjects, and writes the result as a run.

    Every proposal of the spotter keeps its ends, its score and the spotter's thresholds, so that spotting scores do
    not change; emotion and `emotion_score` (the recogniser's probability of that class) are the recogniser's, and
    detection ranks by their product, as it does for the joint network. An emotion predicted by the spotter is
    ignored.

    Args:
        spotter: run folder of a `DetectionTask`, usually with `recognise: false`.
        recogniser: run folder of a `RecognitionTask` with the same held-out subjects, corpus, labels and encoder.
        out: where to write; an earlier run there is moved aside.
    """
    spotting, recognition = TrainedRun.read(spotter), TrainedRun.read(recogniser)
    check_compatible(spotting, recognition)
    record = recognise_spotted(spotting, recognition)
    result = result_of(record)
    folder = RunFolder(out)
    with contextlib.closing(folder):
        folder.open()
        write_tables(record, folder.path)
        save_timelines(record, folder.path / "timelines")
        write_text(folder.path / CONFIG, yaml.safe_dump(describe(spotting, recognition), sort_keys=False))
        write_text(folder.path / ENVIRONMENT, describe_environment())
        write_json(folder.path / RESULT, result)
    return result


def check_compatible(spotter: TrainedRun, recogniser: TrainedRun) -> None:
    """Checks that spotter and recogniser belong together and were trained on no held-out subject."""
    both = f"{spotter.folder} and {recogniser.folder}"
    if recogniser.metadata.get("task") != RecognitionTask.__name__:
        raise FoldError(
            f"{recogniser.folder} is no recogniser: it holds a {recogniser.metadata.get('task', 'run without record')}."
        )
    for key, name in MUST_AGREE.items():
        if spotter.metadata.get(key) != recogniser.metadata.get(key):
            values = f"{spotter.metadata.get(key)} and {recogniser.metadata.get(key)}"
            raise FoldError(f"{both} differ in {name}, {values}; train both on the same data.")
    held_out = sorted(spotter.metadata["subjects"]["test"])
    for run in (spotter, recogniser):
        subjects = run.metadata["subjects"]
        if sorted(subjects["test"]) != held_out:
            first, second = (", ".join(names) or "nobody" for names in (held_out, subjects["test"]))
            msg = f"{both} must hold out the same subjects, but the first holds out {first}, the second {second}."
            raise FoldError(msg)
        seen = sorted({*subjects["train"], *subjects["val"]} & set(held_out))
        if seen:
            raise FoldError(
                f"{run.folder} was trained or chosen on {', '.join(seen)}, a held-out subject of the pipeline."
            )
    for name in (VIDEOS, TRUTH):
        if (spotter.folder / name).read_bytes() != (recogniser.folder / name).read_bytes():
            raise FoldError(f"{both} differ in {name}: they were not tested on the same videos and labels.")
    if not same_weights(spotter.encoder, recogniser.encoder):
        msg = f"{both} have different frame encoders; give both the same model.encoder, frozen, and train them again."
        raise FoldError(msg)


def same_weights(one: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]) -> bool:
    """Whether two sets of weights are equal."""
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


def recognise_spotted(spotter: TrainedRun, recogniser: TrainedRun) -> DetectionRecord:
    """The spotter's proposals with the recogniser's emotions, beside the truth."""
    task, data = load_task(recogniser), load_data(recogniser)
    data.features = task.frame_features
    data.setup("test")
    features = data.built_features("test", variants=1)
    assert features is not None  # a recogniser's encoder is frozen
    cut_as = IntervalConfig(**recogniser.metadata["intervals"])
    names = Names()
    read_videos(spotter.folder / VIDEOS, names)
    proposals = read_events(spotter.folder / PROPOSALS, names).events
    predictions, curves = [], []
    for clip in data.clips["test"]:
        spotted = proposals[proposals.video == names.videos[clip.video.subject, clip.video.name]]
        # Files count from the release's first frame; they are read as if that were always 1.
        shift = clip.video.first_frame - 1
        spotted = replace(spotted, start=spotted.start - shift, end=spotted.end - shift)
        predictions.append(recognise_events(spotted, clip.stored, features.load(clip.stored), task, cut_as))
        curves.append(spotted_curves(spotted, clip.stored.source_n_frames))
    return build_record(data, "test", predictions, read_thresholds(spotter.folder), curves)


def recognise_events(
    events: EventTable,
    clip: StoredVideo,
    features: StoredArray | npt.NDArray[np.float16],
    task: RecognitionTask,
    cut_as: IntervalConfig,
) -> EventTable:
    """Events of one video with the emotions that a recogniser predicts for them.

    Args:
        events: in source frames.
        clip: the video.
        features: `(T, D)` its frame features.
        task: the recogniser.
        cut_as: how intervals were cut in its training.
    """
    if not len(events):
        return events
    starts, ends = clip.source_to_store(events.start), clip.source_to_store(events.end)
    pieces = [cut(features, float(start), float(end), cut_as) for start, end in zip(starts, ends, strict=True)]
    emotion, score = task.recognise(np.stack([p[0] for p in pieces]), np.stack([p[1] for p in pieces]))
    return replace(events, emotion=emotion, emotion_score=score)


def spotted_curves(events: EventTable, n_frames: int) -> FloatArray:
    """The maximum score of all kept proposals in each frame, `(n_frames, 2)`."""
    rows = np.zeros((len(events), len(PROPOSAL_COLUMNS)))
    rows[:, 1], rows[:, 2] = events.start, events.end
    rows[np.arange(len(events)), 3 + events.type] = events.score
    return confidence_curves(rows, n_frames)


def load_task(run: TrainedRun) -> RecognitionTask:
    """The trained recogniser, in evaluation mode, on the CPU."""
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(RecognitionTask, "model")
    task: RecognitionTask = parser.instantiate_classes(parser.parse_object({"model": run.metadata["model"]})).model
    task.load_state_dict(run.weights)
    return task.eval()


def load_data(run: TrainedRun) -> RecognitionDataModule:
    """The data module that the recogniser was trained with."""
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(lightning.LightningDataModule, "data")
    given = parser.parse_object({"data": run.config["data"]})
    data: RecognitionDataModule = parser.instantiate_classes(given).data
    return data


def describe(spotter: TrainedRun, recogniser: TrainedRun) -> dict[str, Any]:
    """What the pipeline is made of, the content of its `config.yaml`."""
    return {
        "experiment": "two_step",
        "seed_everything": spotter.config.get("seed_everything"),
        "pipeline": {"spotter": str(spotter.folder), "recogniser": str(recogniser.folder)},
        "model": {"spotter": spotter.config["model"], "recogniser": recogniser.config["model"]},
        "data": spotter.config["data"],
    }


EXPERIMENT = "experiment.json"
"""The file that a folder of `fedn loso` has and that of a single run has not."""


def combine_folds(spotter: Path, recogniser: Path, out: Path, draws: int, log: Callable[[str], None]) -> list[Pooled]:
    """Combines every fold that both experiments have finished, and pools each seed.

    The result lies in `out/<hash>`, laid out as the folder of `fedn loso`; folds that are there already are kept.

    Args:
        spotter: folder of a `fedn loso` experiment, `runs/<experiment>/<hash>`.
        recogniser: likewise.
        out: parent of the result.
        draws: of subjects, for the intervals.
        log: receives a line per fold that is done or left out.
    """
    from fedn_lightning.loso.pool import pool_seeds  # here, as below

    runs = find_experiment(spotter), find_experiment(recogniser)
    experiment = pipeline_experiment(*runs, out)
    every = make_folds(list(experiment.subjects), common_seeds(*runs), experiment.group)
    wanted = []
    for fold in every:
        reasons = [f"{run.name}: {reason}" for run in runs if (reason := problem(run, fold))]
        if reasons:
            log(f"{fold} is left out ({'; '.join(reasons)})")
            continue
        wanted.append(fold)
        if problem(experiment, fold) is not None:
            log(f"{fold}")
            combine_fold(*runs, experiment, fold)
    if not wanted:
        raise FoldError(f"No fold is finished in both {spotter} and {recogniser}; finish them with fedn loso.")
    write_json(experiment.folder / EXPERIMENT, experiment.to_json())
    return pool_seeds(experiment, every, wanted, draws)


def combine_fold(spotter: Experiment, recogniser: Experiment, experiment: Experiment, fold: Fold) -> None:
    """Combines one fold and marks it as finished."""
    started = time.time()
    folder = experiment.fold_folder(fold)
    combine(spotter.fold_folder(fold), recogniser.fold_folder(fold), folder)
    seconds = round(time.time() - started, 3)
    mark_finished(
        experiment, fold, Status(experiment.config_hash, fold.seed, fold.subjects, started=started, seconds=seconds)
    )


def find_experiment(folder: Path) -> Experiment:
    """The experiment in a folder of `fedn loso`, wherever the folder was moved to."""
    experiment = Experiment.load(folder / EXPERIMENT)
    here = replace(experiment, runs=str(folder.absolute().parents[1]))
    if here.folder != folder.absolute():
        raise FoldError(f"{folder} must be named {experiment.name}/{experiment.config_hash}, as fedn loso named it.")
    return here


def pipeline_experiment(spotter: Experiment, recogniser: Experiment, out: Path) -> Experiment:
    """The experiment of both together."""
    if spotter.subjects != recogniser.subjects or spotter.group != recogniser.group:
        raise FoldError(
            f"{spotter.folder} and {recogniser.folder} have different subjects, or hold out groups of different size "
            f"({spotter.group} and {recogniser.group}); run fedn loso for both with the same corpus and --group."
        )
    digest = hashlib.sha256(f"{spotter.config_hash} {recogniser.config_hash}".encode()).hexdigest()[:8]
    return replace(
        spotter,
        name=out.absolute().name,
        runs=str(out.absolute().parent),
        config_hash=digest,
        words=("two-step", str(spotter.folder), str(recogniser.folder)),
        wandb_group=f"{out.absolute().name}-{digest}",
    )


def common_seeds(spotter: Experiment, recogniser: Experiment) -> list[int]:
    """Seeds of which both experiments have folds, ascending."""
    both = (_seeds(run.folder.glob("seed*")) for run in (spotter, recogniser))
    return sorted(set.intersection(*both))


def _seeds(folders: Iterable[Path]) -> set[int]:
    return {int(folder.name.removeprefix("seed")) for folder in folders if folder.name[4:].lstrip("-").isdigit()}
