"""Where windows come from: the clip store, the videos themselves, and folders with gaps."""

import threading

import numpy as np
import pytest
import torch
from pulses import write_video
from torch import nn

from fedn_lightning.datamodules.base import CorpusConfig, CropConfig
from fedn_lightning.datamodules.detection import DetectionDataModule
from fedn_lightning.datamodules.features import FeatureCache
from fedn_lightning.datamodules.transforms import AugmentConfig
from fedn_lightning.datamodules.windows import TrainingWindows, WindowConfig, WindowDataset, WindowDraw, WindowSource
from fedn_lightning.events import Corpus, EventTable, Expression, Video
from fedn_lightning.motion.features import N_FEATURES, MotionCache, mirrored, motion_features, tracks
from fedn_lightning.motion.flow import MotionConfig
from lookalikes.movies import numbered, read_number, write_frames, write_movie

N, SIDE, WINDOW = 60, 112, 16
OPEN_GOP = {"g": "20", "bf": "3", "b_strategy": "0", "x264-params": "open-gop=1:keyint=20:bframes=3:log-level=-1"}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A corpus of three subjects: two videos of theirs, one that decord gets wrong, and a folder with gaps."""
    place = tmp_path_factory.mktemp("corpus")
    videos = place / "videos"
    write_movie(videos / "anna" / "a.mp4", (numbered(i, SIDE, SIDE) for i in range(N)))
    write_movie(videos / "ben" / "b.mp4", (numbered(i, SIDE, SIDE) for i in range(N)), options=OPEN_GOP)
    write_frames(videos / "cleo" / "c", (numbered(i, SIDE, SIDE) for i in range(N)), "{}.png", first=1)
    for number in (21, 22, 23, 51):  # frames 20 to 22 and 50
        (videos / "cleo" / "c" / f"{number}.png").unlink()
    rows = ["anna,a,11,20", "ben,b,31,40", "cleo,c,6,12", "cleo,c,15,26", "cleo,c,32,40"]
    lines = ["subject,video,onset,offset,type,emotion", *(f"{row},macro,happiness" for row in rows)]
    (place / "annotations.csv").write_text("\n".join(lines))
    return place


def module(root, store, test_subject=("ben",), num_workers=0, **crops):
    made = DetectionDataModule(
        CorpusConfig("csv", str(root), {"fps": "30"}),
        CropConfig(str(store), size=SIDE, jobs=0, align="none", **crops),
        WindowConfig(WINDOW, train_stride=8, test_stride=8, jitter=4, speed=0.2),
        test_subject=list(test_subject),
        val_subject=["anna"] if "anna" not in test_subject else ["ben"],
        batch_size=4,
        num_workers=num_workers,
    )
    made.prepare_data()
    made.setup("fit")
    made.setup("test")
    return made


@pytest.mark.parametrize("workers", [0, 2])
def test_windows_decoded_from_videos_are_the_stores(root, tmp_path, workers, capsys):
    stored = module(root, tmp_path / "a")
    decoded = module(root, tmp_path / "b", num_workers=workers, frames="video")
    assert "1 by decord, 1 by folder, 1 by pyav" in capsys.readouterr().err
    for stage in ("train", "val", "test"):
        pairs = zip(*(getattr(d, f"{stage}_dataloader")() for d in (stored, decoded)), strict=True)
        for one, other in pairs:
            assert torch.equal(one["frames"], other["frames"])
            assert torch.equal(one["truths"]["interval"], other["truths"]["interval"])


class Means(nn.Module):
    """Stands for an encoder: mean brightness of the quarters."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, frames):
        return nn.functional.adaptive_avg_pool2d(frames.float().mean(1, keepdim=True), 2).flatten(1) * self.scale


def test_features_of_decoded_crops_are_those_of_the_store(root, tmp_path):
    features = []
    for frames in ("store", "video"):
        data = module(root, tmp_path / frames, frames=frames)
        cache = FeatureCache(str(tmp_path / frames), Means(), AugmentConfig(), half=False)
        clips = [data.stored(video) for video in data.corpus.videos]
        cache.build(clips, variants=2)
        written = list(tmp_path.glob(f"{frames}/*/*.npy"))
        cache.build(clips, variants=2)
        assert written == list(tmp_path.glob(f"{frames}/*/*.npy")), "once"
        features.append([np.array(cache.load(clip)) for clip in clips])
    for one, other in zip(*features, strict=True):
        assert len(one) == N
        assert np.array_equal(one, other)


def test_motion_features_are_computed_with_the_motion_and_anew_for_other_filters(root, tmp_path, monkeypatch):
    data = module(root, tmp_path / "store")
    clips, cache = [data.stored(video) for video in data.corpus.videos], MotionCache(tmp_path, MotionConfig())
    cache.build(clips, jobs=0)
    assert len(list(tmp_path.glob("*.npy"))) == 2 * len(clips)
    for clip in clips:
        computed = motion_features(tracks(cache.load(clip)), clip.fps)
        assert np.array_equal(cache.features(clip), computed)
        monkeypatch.setattr("fedn_lightning.motion.features.MIN_NOISE", 1.0)
        assert not np.array_equal(cache.features(clip), computed)
        monkeypatch.undo()


def test_of_two_runs_at_once_one_computes_the_features_of_a_video(root, tmp_path):
    data = module(root, tmp_path)
    clips = [data.stored(video) for video in data.corpus.videos]
    begun, go, calls = threading.Event(), threading.Event(), []

    class Slow(nn.Module):
        def forward(self, frames):
            calls.append(len(frames))
            begun.set()
            assert go.wait(60)
            return frames.float().mean((2, 3))

    runs = [
        threading.Thread(target=FeatureCache(tmp_path, Slow(), AugmentConfig(), half=False).build, args=(clips,))
        for _ in range(2)
    ]
    runs[0].start()
    assert begun.wait(60)
    runs[1].start()
    runs[1].join(0.3)  # it waits for the first
    go.set()
    for run in runs:
        run.join(60)
    assert sum(calls) == sum(clip.n_frames for clip in clips)


@pytest.mark.parametrize("frames", ["store", "video"])
def test_no_window_crosses_a_gap(root, tmp_path, frames):
    data = module(root, tmp_path, test_subject=["cleo"], gaps="split", frames=frames)
    assert data.stored(data.videos("test")[0]).parts == [(0, 20), (23, 50), (51, 60)]
    seen = set()
    for batch in data.test_dataloader():
        for clip, start, video in zip(batch["frames"], batch["start"].tolist(), batch["video"].tolist(), strict=True):
            shown = [read_number(image.permute(1, 2, 0).numpy()) for image in clip]
            assert video == 0
            assert shown[0] == start, "windows are placed in the whole video"
            assert len({int(np.searchsorted([20, 50], n, side="right")) for n in shown}) == 1
            assert shown == [min(shown[0] + i, shown[-1]) for i in range(WINDOW)]
            seen.update(shown)
    assert seen == set(range(N)) - {20, 21, 22, 50}, "every frame that exists is looked at"


def test_truths_beside_and_across_a_gap(root, tmp_path):
    data = module(root, tmp_path, test_subject=["cleo"], gaps="split")
    found = {}
    for batch in data.test_dataloader():
        rows = batch["truths"]
        for start, interval, whole, present in zip(
            batch["start"].tolist(), rows["interval"], rows["whole"], rows["present"], strict=True
        ):
            for (first, last), complete in zip(interval[present].tolist(), whole[present].tolist(), strict=True):
                found.setdefault((start + first, start + last), set()).add(complete)
    assert found[5, 12] == {True}, "both windows of its part hold it"
    assert found[31, 40] == {True, False}
    assert found[14, 26] == {False}, "12 frames, of which no part holds more than half"
    assert len(data.truths(data.videos("test")[0])) == 3, "it is scored all the same: the reader's policy decides"


def test_training_windows_stay_in_their_parts(root, tmp_path):
    data = module(root, tmp_path, test_subject=["anna"], gaps="split")
    loader = data.train_dataloader()
    loader.dataset.augmenter = None  # so that the numbers can be read
    for epoch in range(5):
        loader.sampler.set_epoch(epoch)
        for batch in loader:
            for clip in batch["frames"]:
                shown = [read_number(image.permute(1, 2, 0).numpy()) for image in clip]
                assert len({np.searchsorted([20, 50], n, side="right") for n in shown}) == 1


@pytest.mark.parametrize(("rule", "end", "known"), [("onset", 45, False), ("policy", 33, True)])
def test_a_truth_of_unknown_offset_ends_as_long_after_its_apex_as_it_begins_before(rule, end, known, tmp_path):
    data = DetectionDataModule(
        CorpusConfig("csv", "."), CropConfig(str(tmp_path)), WindowConfig(16, 8, 8, unknown_offset=rule), val_subject=0
    )
    video = Video("d", "s", "v", "", 30.0)
    truths = (
        Expression("d", "s", "v", 20, 33, 32, "macro", "others", end_known=False),
        Expression("d", "s", "v", 50, 60, 55, "macro", "others"),
    )
    data.corpus = Corpus("d", (video,), truths)
    write_video(tmp_path, video, np.zeros((100, 8, 8, 3), np.uint8))
    data.setup("fit")
    (source,) = data.sources("train")
    assert source.truths.end.tolist() == [end, 60]
    assert source.truths.end_known.tolist() == [known, True]
    assert data.truths(video, 0).end.tolist() == [33, 60]


def test_motion_is_read_beside_the_features_larger_smaller_or_mirrored():
    rng = np.random.default_rng(0)
    features, moved = (rng.normal(size=(N, n)).astype(np.float16) for n in (3, N_FEATURES))
    source = WindowSource(N, (features,), np.empty(0), EventTable(), motion=moved)
    dataset = WindowDataset([source], WINDOW, 0.9)
    plain, changed = (
        dataset[draw]["features"].numpy() for draw in (WindowDraw(0, 4), WindowDraw(0, 4, 0, 1.0, None, 2.0, True))
    )
    np.testing.assert_array_equal(plain, np.concatenate([features, moved], axis=1)[4 : 4 + WINDOW].astype(np.float32))
    np.testing.assert_array_equal(changed[:, :3], plain[:, :3])
    np.testing.assert_allclose(changed[:, 3:], mirrored(2 * plain[:, 3:]))


def test_the_augmentation_of_motion_leaves_the_windows_of_an_epoch_as_they_are():
    draws = [WindowDraw(0, start) for start in range(0, 40, 8)]
    one, other = (
        list(TrainingWindows(draws, [True] * 5, [N], WINDOW, 1.0, 4, 0.2, 1, False, 3, amplitude=a, mirror=a / 2))
        for a in (0.0, 1.0)
    )
    assert [draw[:5] for draw in one] == [draw[:5] for draw in other]
    assert all((draw.amplitude, draw.mirror) == (1.0, False) for draw in one)
    assert len({draw.mirror for draw in other}) == 2
    assert all(0.5 <= draw.amplitude <= 2 for draw in other)
