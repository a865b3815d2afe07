"""The detection task on pulses of light: it learns, it repeats itself, it leaks nothing, and it tells what is wrong."""

from __future__ import annotations

import lightning
import numpy as np
import pytest
import torch
from pulses import SIZE, write_pulses

from fedn_lightning.datamodules.base import CorpusConfig, CropConfig
from fedn_lightning.datamodules.detection import DetectionDataModule
from fedn_lightning.datamodules.windows import WindowConfig
from fedn_lightning.errors import CheckpointError, ConfigError, SplitError
from fedn_lightning.models.encoder import EncoderConfig, encode_crops, folded
from fedn_lightning.models.fedn import NetworkConfig
from fedn_lightning.tasks.base import OptimiserConfig
from fedn_lightning.tasks.detection import DetectionTask

NETWORK = NetworkConfig(dim=32, channels=32, dropout=0.0)


@pytest.fixture(scope="module")
def pulses(tmp_path_factory):
    store = tmp_path_factory.mktemp("pulses")
    return store, write_pulses(store)


@pytest.fixture
def data(pulses, monkeypatch):
    """Makes data modules over the pulses, with any argument changed."""
    store, corpus = pulses

    def make(**changes) -> DetectionDataModule:
        values = {"test_subject": "p6", "val_subject": ["p5"], "batch_size": 8, "seed": 1} | changes
        module = DetectionDataModule(
            CorpusConfig("pulses", "nowhere"),
            CropConfig(str(store), SIZE),
            WindowConfig(64, 16, 16, jitter=8),
            **values,
        )
        module.corpus = corpus
        monkeypatch.setattr(module, "prepare_data", lambda: None)
        return module

    return make


def task(seed: int = 0, network: NetworkConfig = NETWORK, **changes) -> DetectionTask:
    torch.manual_seed(seed)
    values = {"encoder": EncoderConfig(10, 8), "optimiser": OptimiserConfig(lr=2e-3)} | changes
    return DetectionTask(network=network, **values)


def trainer(path, epochs: int = 1, **changes) -> lightning.Trainer:
    return lightning.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        default_root_dir=path,
        enable_progress_bar=False,
        enable_model_summary=False,
        logger=False,
        **changes,
    )


@pytest.fixture(scope="module")
def _quiet():
    import logging

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)


@pytest.mark.usefixtures("_quiet")
def test_what_a_subclass_adds_beside_the_network_is_trained_too(data, tmp_path):
    model, run = task(), trainer(tmp_path, limit_train_batches=1, limit_val_batches=0)
    model.own = torch.nn.Linear(2, 2)
    run.fit(model, data())
    trained = {id(p) for group in run.optimizers[0].param_groups for p in group["params"]}
    assert {id(p) for p in (*model.own.parameters(), *model.network.parameters())} == trained


@pytest.mark.usefixtures("_quiet")
def test_it_learns_to_detect_on_a_subject_it_never_saw(data, tmp_path):
    model, module = task(), data()
    run = trainer(tmp_path, epochs=20)
    run.fit(model, module)
    run.test(model, module, verbose=False)
    assert model.scores["overall_f1"] > 0.5
    assert model.scores["map@0.5"] > 0.4
    assert {v.subject for v in model.record.videos} == {"p6"}
    assert len(model.record.curves[0]) == model.record.n_frames[0] == 300


@pytest.mark.usefixtures("_quiet")
def test_two_runs_with_one_seed_give_the_same_and_another_seed_does_not(data, tmp_path):
    def scores(seed):
        model, module = task(seed), data(seed=seed, val_subject=["p5"])
        run = trainer(tmp_path, epochs=2)
        run.fit(model, module)
        run.test(model, module, verbose=False)
        return model.record.predictions.to_rows()

    first = scores(1)
    np.testing.assert_array_equal(first, scores(1))
    assert first.shape != (other := scores(2)).shape or not np.array_equal(first, other)


@pytest.mark.usefixtures("_quiet")
def test_training_from_pixels_changes_an_unfrozen_encoder_but_not_its_statistics(data, tmp_path):
    model, module = task(encoder=EncoderConfig(10, 8, frozen=False, chunk=100)), data()
    before = {name: value.clone() for name, value in model.encoder.state_dict().items()}
    trainer(tmp_path, max_steps=2, limit_val_batches=0).fit(model, module)
    after = model.encoder.state_dict()
    assert not torch.equal(before["conv1.weight"], after["conv1.weight"])
    assert torch.equal(before["bn1.running_mean"], after["bn1.running_mean"])


def sampling(frames: int = 8, **changes) -> DetectionTask:
    """A task whose encoder learns from some frames of each window, with a motion stream."""
    encoder = EncoderConfig(10, 8, frozen=False, chunk=20, sampled=frames, **changes)
    network = NetworkConfig(dim=32, channels=32, dropout=0.0, streams="two_trunks")
    return task(network=network, encoder=encoder, optimiser=OptimiserConfig(lr=2e-3, encoder=0.1))


@pytest.mark.usefixtures("_quiet")
def test_an_encoder_learns_from_sampled_frames_and_everything_else_reads_its_newest_features(data, tmp_path, pulses):
    model, module = sampling(), data()
    before, seen, read = model.encoder.conv1.weight.clone(), [], []

    def count(_, inputs):
        if torch.is_grad_enabled():
            seen.append(len(inputs[0]))

    class Read(lightning.Callback):
        def on_validation_batch_start(self, trainer, pl_module, batch, batch_idx, dataloader_idx=0):
            crops = np.array(module.clips["val"][0].stored.frames[:8])
            fresh = encode_crops(folded(model.encoder), crops, torch.device("cpu"))
            read.append(np.array_equal(batch["features"][0, :8, : fresh.shape[1]].numpy(), fresh))

    model.encoder.register_forward_pre_hook(count)
    trainer(tmp_path, epochs=2, callbacks=[Read()], limit_train_batches=2).fit(model, module)
    # Two epochs of two batches of eight windows with eight frames each; a chunk is computed again going backwards.
    assert sum(seen) == 2 * 2 * 2 * 8 * 8
    assert max(seen) == 20
    assert not torch.equal(model.encoder.conv1.weight, before)
    assert len(read) >= 2
    assert all(read)
    folders = set((pulses[0] / "features").iterdir())
    trainer(tmp_path, epochs=3, limit_train_batches=1).fit(sampling(), data())
    assert len(set((pulses[0] / "features").iterdir()) - folders) <= 1, "those of earlier epochs are removed"


@pytest.mark.usefixtures("_quiet")
def test_a_staged_training_goes_on_exactly_where_it_was_stopped(data, tmp_path):
    def run(epochs, resume=None):
        model = sampling(frozen_epochs=1)
        start = model.encoder.conv1.weight.clone()
        # The schedule of rates depends on the length of a training, so both have the same.
        until = trainer(tmp_path, epochs=3, limit_train_batches=2, callbacks=[Stop(epochs)])
        until.fit(model, data(), ckpt_path=resume, weights_only=True)
        until.save_checkpoint(tmp_path / "last.ckpt")
        return start, model.state_dict()

    class Stop(lightning.Callback):
        def __init__(self, epochs):
            self.epochs = epochs

        def on_validation_end(self, trainer, pl_module):
            trainer.should_stop = trainer.current_epoch + 1 >= self.epochs

    start, whole = run(3)
    assert not torch.equal(whole["encoder.conv1.weight"], start)
    start, first = run(1)
    assert torch.equal(first["encoder.conv1.weight"], start), "its first epoch is that of a frozen encoder"
    _, resumed = run(3, tmp_path / "last.ckpt")
    for name, value in whole.items():
        torch.testing.assert_close(resumed[name], value, msg=name)


@pytest.mark.usefixtures("_quiet")
def test_a_frozen_encoder_stays_as_it_is(data, tmp_path):
    model, module = task(), data()
    before = {name: value.clone() for name, value in model.encoder.state_dict().items()}
    trainer(tmp_path, max_steps=2, limit_val_batches=0).fit(model, module)
    assert all(torch.equal(value, before[name]) for name, value in model.encoder.state_dict().items())


@pytest.mark.usefixtures("_quiet")
def test_cached_features_give_what_pixels_give(data, tmp_path):
    model, module = task().eval(), data()
    run = trainer(tmp_path)
    run.test(model, module, verbose=False)
    cached = next(iter(module.test_dataloader()))
    monkey = task(encoder=EncoderConfig(10, 8, frozen=False))
    monkey.encoder.load_state_dict(model.encoder.state_dict())
    run.test(monkey, module, verbose=False)
    pixels = next(iter(module.test_dataloader()))
    features = monkey.encoder.eval()(pixels["frames"][0])
    torch.testing.assert_close(features, cached["features"][0], rtol=0.05, atol=0.05)  # bfloat16 against float32


@pytest.mark.usefixtures("_quiet")
def test_thresholds_come_from_validation_alone_and_travel_in_the_checkpoint(data, tmp_path):
    model, module = task(), data()
    run = trainer(tmp_path, epochs=2)
    run.fit(model, module)
    chosen = model.threshold.clone()
    run.save_checkpoint(tmp_path / "run.ckpt")
    run.test(model, module, verbose=False)
    assert torch.equal(model.threshold, chosen)
    other = task(seed=9)
    trainer(tmp_path).test(other, data(), ckpt_path=tmp_path / "run.ckpt", weights_only=True, verbose=False)
    assert torch.equal(other.threshold, chosen)
    np.testing.assert_array_equal(other.record.predictions.to_rows(), model.record.predictions.to_rows())
    metadata = torch.load(tmp_path / "run.ckpt", weights_only=True)["fedn"]
    assert metadata["crop_size"] == SIZE
    assert metadata["subjects"]["test"] == ("p6",)


@pytest.mark.usefixtures("_quiet")
def test_the_held_out_subject_is_in_no_training_or_validation_window(data, tmp_path):
    model, module = task(), data(val_subject=1)
    run = trainer(tmp_path, max_steps=1)
    run.fit(model, module)
    for stage in ("train", "val"):
        assert "p6" not in {video.subject for video in module.videos(stage)}
    assert {video.subject for video in model.record.videos} == set(module.split.val)


@pytest.mark.usefixtures("_quiet")
def test_a_checkpoint_of_another_shape_is_told_by_its_parameters(data, tmp_path):
    run = trainer(tmp_path, max_steps=1)
    run.fit(task(), data())
    run.save_checkpoint(tmp_path / "run.ckpt")
    wide = task(network=NetworkConfig(dim=64, channels=32))
    with pytest.raises(
        CheckpointError, match=r"does not fit the configured network: .* there and .* here .*config\.yaml"
    ):
        trainer(tmp_path).test(wide, data(), ckpt_path=tmp_path / "run.ckpt", weights_only=True, verbose=False)


@pytest.mark.usefixtures("_quiet")
def test_shifted_labels_touch_training_only(data, tmp_path):
    plain, shifted = data(), data(shift_labels=True)
    for module in (plain, shifted):
        trainer(tmp_path, max_steps=1, limit_val_batches=0).fit(task(), module)
    starts = [
        [module.train_dataloader().dataset.sources[0].truths.start.tolist() for module in (plain, shifted)],
        [module.val_dataloader().dataset.sources[0].truths.start.tolist() for module in (plain, shifted)],
    ]
    assert starts[0][0] != starts[0][1]
    assert starts[1][0] == starts[1][1]


@pytest.mark.usefixtures("_quiet")
def test_wrong_configurations_end_in_a_sentence(data, tmp_path):
    with pytest.raises(ConfigError, match=r"model.emotion_scheme is '4' but data.corpus.emotion_scheme is '3'"):
        trainer(tmp_path).fit(task(emotion_scheme="4"), data())
    with pytest.raises(ConfigError, match=r"val_check_interval to 1.0"):
        trainer(tmp_path, val_check_interval=0.5).fit(sampling(), data())
    with pytest.raises(ConfigError, match=r"set .frozen to false"):
        EncoderConfig(sampled=8)
    with pytest.raises(ConfigError, match=r"needs model.encoder.sampled"):
        EncoderConfig(frozen=False, frozen_epochs=2)
    with pytest.raises(ConfigError, match=r"data.batch_size = 0 must be at least 1"):
        data(batch_size=0)
    with pytest.raises(SplitError, match="Subject 'p9' is not in this corpus"):
        _ = data(test_subject="p9").split
