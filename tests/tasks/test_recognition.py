"""The recogniser on pulses of light: it learns their colour, never sees the held-out subject, and explains itself."""

from __future__ import annotations

import logging

import lightning
import numpy as np
import pytest
import torch
from pulses import SIZE, write_pulses

from fedn_lightning.datamodules.base import CorpusConfig, CropConfig
from fedn_lightning.datamodules.detection import DetectionDataModule
from fedn_lightning.datamodules.recognition import IntervalConfig, RecognitionDataModule
from fedn_lightning.datamodules.windows import WindowConfig
from fedn_lightning.errors import ConfigError
from fedn_lightning.models.encoder import EncoderConfig
from fedn_lightning.models.head import RecogniserConfig
from fedn_lightning.models.losses import RecognitionLoss
from fedn_lightning.results.report import result_of
from fedn_lightning.tasks.base import OptimiserConfig
from fedn_lightning.tasks.recognition import RecognitionTask, events_of

CORPUS = CorpusConfig("pulses", "nowhere")


@pytest.fixture(scope="module")
def pulses(tmp_path_factory):
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    store = tmp_path_factory.mktemp("pulses")
    return store, write_pulses(store, subjects=9)


def data_on(pulses, **changes) -> RecognitionDataModule:
    store, corpus = pulses
    values = {"test_subject": "p4", "val_subject": ["p3"], "batch_size": 8, "seed": 1} | changes
    module = RecognitionDataModule(CORPUS, CropConfig(str(store), SIZE), IntervalConfig(points=8, repeats=8), **values)
    module.corpus = corpus
    module.prepare_data = lambda: None
    return module


def task(**changes) -> RecognitionTask:
    torch.manual_seed(0)
    values = {"network": RecogniserConfig(16, 16, dropout=0.0), "optimiser": OptimiserConfig(lr=5e-3)} | changes
    return RecognitionTask(**({"encoder": EncoderConfig(10, 16)} | values))


def trainer(path, epochs: int = 1, **changes) -> lightning.Trainer:
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "logger": False}
    return lightning.Trainer(max_epochs=epochs, accelerator="cpu", default_root_dir=path, **quiet, **changes)


@pytest.fixture(scope="module")
def trained(pulses, tmp_path_factory):
    """A trained and tested recogniser, its data, and its checkpoint."""
    path = tmp_path_factory.mktemp("trained")
    model, module = task(), data_on(pulses)
    run = trainer(path, epochs=12)
    run.fit(model, module)
    run.save_checkpoint(path / "run.ckpt")
    run.test(model, module, verbose=False)
    return model, module, path / "run.ckpt"


def test_it_learns_the_emotions_of_a_subject_it_never_saw(trained):
    model, module, _ = trained
    assert model.scores["overall_uar"] == 1
    assert {video.subject for video in model.record.videos} == {"p4"}
    seen = {video.subject for stage in ("train", "val") for video in module.videos(stage)}
    assert seen == {f"p{number}" for number in range(9)} - {"p4"}


def test_its_record_holds_the_labelled_intervals_and_only_recognition_is_scored(trained):
    record = trained[0].record
    for name in ("video", "start", "end", "type"):
        np.testing.assert_array_equal(getattr(record.predictions, name), getattr(record.truths, name))
    result = result_of(record)
    assert result["intervals"] == "truth"
    assert result["scores"]["overall_uar"] == 1
    assert not {"spotting", "strs", "detection"} & result.keys()


def test_its_checkpoint_tells_what_running_it_needs(trained):
    content = torch.load(trained[2], weights_only=True)
    metadata = content["fedn"]
    assert (metadata["task"], metadata["dataset"], metadata["crop_size"]) == ("RecognitionTask", "pulses", SIZE)
    assert metadata["subjects"] == {
        "train": ("p0", "p1", "p2", "p5", "p6", "p7", "p8"),
        "val": ("p3",),
        "test": ("p4",),
    }
    assert IntervalConfig(**metadata["intervals"]) == trained[1].intervals


def test_any_interval_is_named_with_a_probability(trained):
    model, module, _ = trained
    source = module.test_dataloader().dataset
    samples = [source[draw] for draw in module.test_dataloader().sampler]
    features, around = (np.stack([sample[name].numpy() for sample in samples]) for name in ("features", "around"))
    emotion, score = model.eval().recognise(features, around)
    assert emotion.tolist() == [sample["emotion"] for sample in samples]
    assert ((score > 1 / 3) & (score <= 1)).all()


def test_class_weights_come_from_the_training_subjects(trained):
    model, module, _ = trained
    emotions = np.concatenate([module.truths(video).emotion for video in module.videos("train")])
    ratio = float(model.class_weights[0] / model.class_weights[1])
    assert ratio == pytest.approx(((emotions == 1).sum() / (emotions == 0).sum()) ** 0.5)
    assert model.class_weights[2] == 0  # no pulse is surprised


def test_expressions_without_an_analysed_emotion_teach_nothing():
    loss, weights = RecognitionLoss(), torch.ones(2)
    logits = torch.tensor([[2.0, 0.0], [0.0, 9.0]], requires_grad=True)
    alone = loss(logits[:1], torch.tensor([0]), weights)
    assert torch.equal(loss(logits, torch.tensor([0, -1]), weights), alone)
    nothing = loss(logits, torch.tensor([-1, -1]), weights)
    nothing.backward()
    assert nothing == 0
    assert (logits.grad == 0).all()


def test_an_interval_that_came_twice_is_counted_once():
    row = [4.0, 10.0, 20.0, 0.0, 1.0, 2.0, 0.75, 0.0]
    events = events_of(np.array([row, row]))
    assert events.to_rows().tolist() == [[0, 4, 10, 20, 1, 2, 1, 0.75, 1]]


def test_wrong_configurations_end_in_a_sentence(pulses, tmp_path):
    with pytest.raises(ConfigError, match=r"model.encoder.frozen must be true for a recogniser"):
        task(encoder=EncoderConfig(10, 8, frozen=False))
    with pytest.raises(ConfigError, match=r"model.network.heads = 3 must divide 16"):
        task(network=RecogniserConfig(16, 16, heads=3))
    with pytest.raises(ConfigError, match=r"model.emotion_scheme is '4'"):
        trainer(tmp_path).fit(task(emotion_scheme="4"), data_on(pulses))
    windows = DetectionDataModule(CORPUS, CropConfig(str(pulses[0]), SIZE), WindowConfig(64, 16, 16))
    windows.corpus, windows.prepare_data = pulses[1], lambda: None
    with pytest.raises(ConfigError, match=r"set data.class_path to RecognitionDataModule, not DetectionDataModule"):
        trainer(tmp_path).fit(task(), windows)
