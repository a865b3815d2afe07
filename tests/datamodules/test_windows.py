"""Windows, what an epoch draws, and what a sample holds."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fedn_lightning.datamodules.base import CorpusConfig, CropConfig
from fedn_lightning.datamodules.detection import DetectionDataModule
from fedn_lightning.datamodules.windows import (
    TrainingWindows,
    WindowConfig,
    WindowDataset,
    WindowDraw,
    WindowSource,
    collate,
    interpolate,
    shift_at_random,
    truths_in_window,
    window_starts,
)
from fedn_lightning.errors import ConfigError
from fedn_lightning.events import EventTable
from fedn_lightning.motion.features import N_FEATURES, N_TRACKS, without


@given(st.integers(1, 5000), st.integers(1, 300), st.data())
def test_windows_cover_every_frame_and_stay_inside(n_frames, window, data):
    stride = data.draw(st.integers(1, window))
    starts = window_starts(n_frames, window, stride)
    covered = np.zeros(n_frames, bool)
    for start in starts:
        covered[start : start + window] = True
    assert covered.all()
    assert starts == sorted(set(starts))
    assert starts[-1] == max(n_frames - window, 0)


def test_a_truth_counts_where_more_than_its_share_lies_inside():
    start, end = np.array([0.0, 95.0, 91.0, 100.0]), np.array([10.0, 105.0, 101.0, 120.0])
    touching, whole = truths_in_window(start, end, 0, 100, 0.9)
    assert touching.tolist() == [True, True, True, False]
    assert whole.tolist() == [True, False, False, False]  # exactly 90 % inside is not more than 90 %


def sampler(**changes):
    windows = [WindowDraw(i // 10, 32 * (i % 10)) for i in range(30)]
    values = {"negatives": 1.0, "jitter": 8, "speed": 0.2, "variants": 2, "augment": True, "seed": 3} | changes
    return TrainingWindows(windows, [i % 5 == 0 for i in range(30)], [450] * 3, 128, **values)


def test_an_epoch_has_every_busy_window_and_its_share_of_empty_ones():
    draws = list(sampler(jitter=0, speed=0.0))
    assert len(draws) == len(sampler()) == 12
    assert {(d.video, d.start) for d in draws} >= {(v, s) for v in range(3) for s in (0, 160)}


def test_epochs_differ_and_repeat_exactly():
    one, two = sampler(), sampler()
    first = list(one)
    one.set_epoch(1)
    assert list(one) != first == list(two)


def test_parts_of_the_face_are_left_out_of_a_window_as_if_they_rested():
    assert all(draw.left_out == () for draw in sampler())
    left_out = [draw.left_out for draw in sampler(dropout=0.3)]
    assert len(set(left_out)) > 5
    assert 0.15 < np.mean([len(tracks) / N_TRACKS for tracks in left_out]) < 0.45
    moved = np.ones((10, N_FEATURES), np.float32)
    grid = without(moved, (2, 5)).reshape(10, -1, N_TRACKS, 2)
    assert (grid[:, :, [2, 5]] == 0).all()
    assert grid.sum() == 10 * N_FEATURES * (N_TRACKS - 2) / N_TRACKS


@given(st.floats(0, 1), st.integers(0, 64))
@settings(max_examples=30, deadline=None)
def test_drawn_windows_stay_inside_their_video(speed, jitter):
    for draw in sampler(speed=speed, jitter=jitter):
        assert 0 <= draw.start <= 450 - 128 * draw.speed + 1
        assert 1 / (1 + speed) - 1e-9 <= draw.speed <= 1 + speed + 1e-9


def source(n_frames=200, truths=((0, 0, 50, 70, 1, 2, 1), (0, 0, 120, 180, 0, -1, 1))):
    features = np.arange(n_frames, dtype=np.float16)[:, None].repeat(2, 1)
    frames = np.arange(n_frames, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 3), np.uint8)
    return WindowSource(n_frames, (features, -features), frames, EventTable.from_rows(truths))


def test_a_window_of_features_holds_its_frames_and_its_truths():
    sample = WindowDataset([source()], 64, 0.9)[WindowDraw(0, 30)]
    assert sample["features"][:, 0].tolist() == list(range(30, 94))
    assert sample["interval"].tolist() == [[20, 40]]
    assert sample["type"].tolist() == [1]
    assert sample["emotion"].tolist() == [2]
    assert sample["whole"].tolist() == [True]


def test_a_faster_window_sees_more_frames_and_its_truths_are_shorter():
    sample = WindowDataset([source()], 64, 0.9)[WindowDraw(0, 30, variant=1, speed=2.0)]
    assert sample["features"][:, 0].tolist() == [-(30.0 + 2 * i) for i in range(64)]
    assert sample["interval"].tolist() == [[10, 20], [45, 75]]
    assert sample["whole"].tolist() == [True, False]


def test_a_short_video_repeats_its_last_frame():
    sample = WindowDataset([source(n_frames=40, truths=())], 64, 0.9)[WindowDraw(0, 0)]
    assert sample["features"][40:, 0].tolist() == [39.0] * 24


def test_pixels_are_the_frames_asked_for_and_change_only_with_a_seed():
    dataset = WindowDataset(
        [WindowSource(200, (), source().frames, source().truths)], 64, 0.9, lambda clip, seed: clip + 1
    )
    plain, changed = dataset[WindowDraw(0, 30)]["frames"], dataset[WindowDraw(0, 30, seed=5)]["frames"]
    assert plain.shape == (64, 3, 4, 4)
    assert plain[:, 0, 0, 0].tolist() == list(range(30, 94))
    assert torch.equal(changed, plain + 1)


def test_sampled_frames_come_as_pixels_beside_the_features_of_all():
    plain, drawn = list(sampler(augment=False)), list(sampler(augment=False, sampled=5))
    assert [draw._replace(sampled=()) for draw in drawn] == plain, "the windows are those of any network"
    assert len({draw.sampled for draw in drawn}) > 5
    sample = WindowDataset([source()], 64, 0.9)[WindowDraw(0, 30, speed=1.1, sampled=(0, 3, 63))]
    assert sample["features"].shape == (64, 2)
    assert sample["sampled"].tolist() == [0, 3, 63]
    assert sample["frames"].shape == (3, 3, 4, 4)
    assert sample["frames"][:, 0, 0, 0].tolist() == sample["features"][[0, 3, 63], 0].tolist() == [30, 33, 99]
    assert collate([sample, sample])["frames"].shape == (2, 3, 3, 4, 4)


def test_a_batch_pads_truths_and_says_which_are_there():
    dataset = WindowDataset([source()], 128, 0.9)
    batch = collate([dataset[WindowDraw(0, 0)], dataset[WindowDraw(0, 50)], dataset[WindowDraw(0, 0)]])
    assert batch["features"].shape == (3, 128, 2)
    assert batch["truths"]["interval"].shape == (3, 2, 2)
    assert batch["truths"]["present"].tolist() == [[True, True], [True, True], [True, True]]
    alone = collate([dataset[WindowDraw(0, 60)], WindowDataset([source(truths=())], 128, 0.9)[WindowDraw(0, 0)]])
    assert alone["truths"]["present"].tolist() == [[True, True], [False, False]]


@given(st.lists(st.floats(0, 9), min_size=1, max_size=20))
def test_interpolation_is_numpys(position):
    features = np.random.default_rng(0).normal(size=(10, 3)).astype(np.float16)
    expected = np.stack([np.interp(position, np.arange(10), features[:, k].astype(np.float64)) for k in range(3)], 1)
    np.testing.assert_allclose(interpolate(features, np.array(position)), expected, atol=1e-5)


def test_shifted_labels_keep_their_lengths_and_stay_inside():
    truths = source().truths
    shifted = shift_at_random(truths, 200, np.random.default_rng(0))
    assert (shifted.end - shifted.start).tolist() == [20, 60]
    assert shifted.start.min() >= 0
    assert shifted.end.max() <= 200
    assert shifted.start.tolist() != truths.start.tolist()


def test_an_epoch_without_any_expression_is_empty_of_busy_windows():
    windows = [WindowDraw(0, s) for s in range(0, 100, 32)]
    quiet = TrainingWindows(windows, [False] * 4, [300], 128, 3.0, 0, 0.0, 1, False, 0)
    assert len(quiet) == 0


@pytest.mark.parametrize("seed", [0, 1])
def test_an_augmented_clip_keeps_what_moves(seed):
    from fedn_lightning.datamodules.transforms import AugmentConfig, ClipAugmenter

    clip = np.full((6, 32, 32, 3), 100, np.uint8)
    clip[3:, 8:20, 8:20] = 180
    changed = ClipAugmenter(AugmentConfig(noise=0.0))(clip, seed)
    assert np.array_equal(changed[0], changed[2])  # equal frames stay equal: one draw for the whole clip
    assert np.array_equal(changed[3], changed[5])
    assert not np.array_equal(changed[0], changed[3])
    again = ClipAugmenter(AugmentConfig(noise=0.0))(clip, seed)
    assert np.array_equal(changed, again)
    assert not np.array_equal(changed, ClipAugmenter(AugmentConfig(noise=0.0))(clip, seed + 2))


def test_sensor_noise_is_drawn_anew_for_every_frame():
    from fedn_lightning.datamodules.transforms import AugmentConfig, ClipAugmenter

    quiet = AugmentConfig(flip=0, brightness=0, contrast=0, hue=0, shift=0, scale=0, rotate=0, noise=5.0)
    changed = ClipAugmenter(quiet)(np.full((2, 16, 16, 3), 100, np.uint8), 4)
    assert not np.array_equal(changed[0], changed[1])


def test_windows_of_a_test_may_be_longer_and_then_have_more_proposals():
    same, longer = WindowConfig(64), WindowConfig(64, test_stride=480, test_length=512)
    assert (same.tested, same.proposals(50)) == (64, 50)
    assert (longer.tested, longer.proposals(50)) == (512, 400)
    DetectionDataModule(CorpusConfig("csv", "nowhere"), CropConfig("store"), longer)
    for name, changes in (("test_stride", {"test_stride": 513}), ("train_stride", {"train_stride": 65})):
        windows = WindowConfig(64, **{"train_stride": 32, "test_stride": 16, "test_length": 512, **changes})
        with pytest.raises(ConfigError, match=f"{name} = {changes[name]}"):
            DetectionDataModule(CorpusConfig("csv", "nowhere"), CropConfig("store"), windows)
