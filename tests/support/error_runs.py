"""A run on a generated corpus of which only the truth exists: nothing is rendered, trained or tested."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fedn_lightning.analysis.synthetic_truth import FOLDER
from fedn_lightning.events import EXPRESSION_TYPES, DetectionRecord, EventTable, Video
from fedn_lightning.results.writing import write_tables
from fedn_synth.plan.corpus_plan import Scene, plan_corpus
from fedn_synth.plan.distractors import ORDINARY
from fedn_synth.plan.presets import find_preset
from fedn_synth.plan.video_plan import VideoPlan, plan_video
from fedn_synth.write import corpus

EMOTIONS = ("negative", "positive", "surprise")


def write_generated_truth(root: Path, seed: int = 0) -> list[tuple[Scene, VideoPlan]]:
    """Writes the truth of a tiny corpus to `root/truth`; returns its scenes, each with what happens in it."""
    preset = find_preset("tiny")
    plans = [(scene, plan_video(scene, preset, seed, ORDINARY)) for scene in plan_corpus(preset, seed)]
    expressions = {scene.index: plan.expressions for scene, plan in plans}
    corpus.write_expressions(root / FOLDER, [scene for scene, _ in plans], expressions)
    for scene, plan in plans:
        corpus.write_video_truth(root / FOLDER / f"s{scene.folder}" / f"{scene.stem}.npz", plan)
    return plans


def write_generated_run(folder: Path, root: Path, seed: int = 0) -> DetectionRecord:
    """Writes a run that finds most of what happens there, loosely, and here and there what does not.

    Every fifth label ends at the apex, as where the offset is unknown.
    """
    rng = np.random.default_rng(seed)
    videos, truths, found = [], [], []
    subjects: dict[str, int] = {}
    for index, (scene, plan) in enumerate(write_generated_truth(root)):
        subject = subjects.setdefault(f"s{scene.folder}", len(subjects))
        videos.append(Video("casme2", f"s{scene.folder}", scene.stem, "nowhere", 30.0, n_frames=scene.n_frames))
        for expression in plan.expressions:
            kind = EXPRESSION_TYPES.index(expression.planned.type)
            emotion = EMOTIONS.index(expression.planned.expert) if expression.planned.expert in EMOTIONS else -1
            end = expression.apex + 1 if len(truths) % 5 == 4 else expression.end
            truths.append([subject, index, expression.start, end, kind, emotion, 1])
            start, stop = expression.start + rng.integers(-4, 5), expression.end + rng.integers(-4, 5)
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
