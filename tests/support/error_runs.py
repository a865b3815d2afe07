"""A run on a generated corpus of which only the truth exists: nothing is rendered, trained or tested."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fedn_lightning.datasets.generated_truth import FOLDER
from fedn_lightning.events import EXPRESSION_TYPES, DetectionRecord, EventTable, Video
from fedn_lightning.results.writing import write_tables
from fedn_synth.plan.corpus_plan import Scene, cast
from fedn_synth.plan.distractors import ORDINARY
from fedn_synth.plan.presets import find_preset
from fedn_synth.plan.video_plan import Screenplay, write_screenplay
from fedn_synth.write import truth

EMOTIONS = ("negative", "positive", "surprise")


def write_generated_truth(root: Path, seed: int = 0) -> list[tuple[Scene, Screenplay]]:
    """Writes the truth of a tiny corpus to `root/truth`; returns its scenes, each with what happens in it."""
    preset = find_preset("tiny")
    plays = [(scene, write_screenplay(scene, preset, seed, ORDINARY)) for scene in cast(preset, seed)]
    acts = {scene.index: play.acts for scene, play in plays}
    truth.write_expressions(root / FOLDER, [scene for scene, _ in plays], acts)
    for scene, play in plays:
        truth.write_video_truth(root / FOLDER / f"s{scene.folder}" / f"{scene.stem}.npz", play)
    return plays


def write_generated_run(folder: Path, root: Path, seed: int = 0) -> DetectionRecord:
    """Writes a run that finds most of what happens there, loosely, and here and there what does not.

    Every fifth label ends at the apex, as where the offset is unknown.
    """
    rng = np.random.default_rng(seed)
    videos, truths, found = [], [], []
    subjects: dict[str, int] = {}
    for index, (scene, play) in enumerate(write_generated_truth(root)):
        subject = subjects.setdefault(f"s{scene.folder}", len(subjects))
        videos.append(Video("casme2", f"s{scene.folder}", scene.stem, "nowhere", 30.0, n_frames=scene.n_frames))
        for act in play.acts:
            kind = EXPRESSION_TYPES.index(act.part.type)
            emotion = EMOTIONS.index(act.part.expert) if act.part.expert in EMOTIONS else -1
            end = act.apex + 1 if len(truths) % 5 == 4 else act.end
            truths.append([subject, index, act.start, end, kind, emotion, 1])
            start, stop = act.start + rng.integers(-4, 5), act.end + rng.integers(-4, 5)
            wrong = int(rng.random() < 0.15)
            found.append([subject, index, start, stop, kind ^ wrong, max(emotion, 0), rng.uniform(0.3, 1), 0.9])
        for start in rng.integers(0, 540, 3):
            found.append([subject, index, start, start + 20, 0, int(rng.integers(3)), rng.uniform(0.2, 0.9), 0.7])
    lengths = tuple(video.n_frames or 0 for video in videos)
    tables = EventTable.from_rows(truths), EventTable.from_rows(found)
    record = DetectionRecord(tuple(videos), lengths, EMOTIONS, *tables, threshold=(0.5, 0.5))
    write_tables(record, folder)
    (folder / "config.yaml").write_text(f"data:\n  init_args:\n    corpus: {{dataset: casme2, root: '{root}'}}\n")
    return record
