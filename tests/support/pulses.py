"""A corpus of brightness pulses, written straight into a clip store: the smallest thing FEDN can learn."""

from pathlib import Path

import numpy as np

from fedn_lightning.events import Corpus, Expression, Video
from fedn_lightning.video.store import ArrayWriter, CropSpec, spec_record

SIZE = 16
EMOTIONS = ("negative", "positive")


def write_pulses(store: Path, subjects: int = 7, n_frames: int = 300, seed: int = 0) -> Corpus:
    """Videos in which an expression is a pulse of light: red or green by emotion, long or short by type."""
    store.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    videos, expressions = [], []
    for number in range(subjects):
        video = Video("pulses", f"p{number}", "v", "nowhere", 30.0, n_frames=n_frames)
        frames = np.full((n_frames, SIZE, SIZE, 3), 90 + 10 * number, np.float32)
        for start in range(20, n_frames - 60, 70):
            micro, emotion = rng.random() < 0.5, int(rng.integers(2))
            length = 12 if micro else 36
            onset = start + int(rng.integers(0, 15))
            rise = np.sin(np.linspace(0.3, np.pi - 0.3, length)) * 80
            frames[onset : onset + length, :, :, emotion] += rise[:, None, None]
            kind = "micro" if micro else "macro"
            expressions.append(
                Expression("pulses", video.subject, "v", onset, onset + length, None, kind, EMOTIONS[emotion])
            )
        videos.append(video)
        write_video(store, video, frames.clip(0, 255).astype(np.uint8))
    return Corpus("pulses", tuple(videos), tuple(expressions))


def write_video(store: Path, video: Video, frames: np.ndarray) -> None:
    record = {
        "key": video.key,
        "spec": spec_record(CropSpec(crop_size=frames.shape[1])),
        "source": {"path": video.path},
        "source_fps": video.fps,
        "source_times": None,
        "source_n_frames": len(frames),
        "fps": 30.0,
        "transform": [[1.0, 0, 0], [0, 1.0, 0]],
    }
    with ArrayWriter(store, video.key, frames.shape[1]) as writer:
        writer.write(frames)
        writer.commit(record)
