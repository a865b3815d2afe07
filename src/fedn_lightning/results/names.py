"""Names that several packages use: files of a run, scores, and the subjects, videos and emotions in files of events."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from fedn_lightning.events import NO_EMOTION
from fedn_lightning.utils.text import loose_form, normal_form, other_spellings

CONFIG, RESULT, ENVIRONMENT, METRICS_LOG = "config.yaml", "result.json", "env.txt", "metrics.csv"
"""Files of a run folder: configuration, scores of its test, versions and machine, and the numbers of each epoch."""

PREDICTIONS, PROPOSALS, TRUTH, VIDEOS = "predictions.csv", "proposals.csv", "truth.csv", "videos.csv"
TABLES = (PREDICTIONS, PROPOSALS, TRUTH, VIDEOS)
"""What a test writes of its videos; everything is scored again from these files."""

PREDICTION, FRAMES = "prediction.json", "frames.csv"
"""What `fedn predict` notes of a video and of each of its frames, beside the events."""

EVENT_FILES = {"csv": "events.csv", "json": "events.json", "elan": "events.eaf", "megc": "predictions_megc.csv"}
"""Where `fedn predict` writes the events, by its `--format`."""

CHECKSUMS = "checksums"
"""Key of `result.json`: SHA-256 of each table, by name."""

BEST, LAST = "checkpoints/best.ckpt", "checkpoints/last.ckpt"
"""Checkpoints of a run: the best epoch's and the last one's."""

SCORE_NAMES = {
    "spotting.overall.f1": "F1 overall",
    "spotting.macro.f1": "F1 macro",
    "spotting.micro.f1": "F1 micro",
    "detection.map@0.5": "mAP@0.5",
    "strs": "STRS (micro)",
    "recognition.f1_analysis": "recognition F1 (micro)",
    "recognition.uf1": "UF1 (micro)",
    "recognition.uar": "UAR (micro)",
    "false_positives_per_minute": "false positives/min",
    "without_unknown_offsets.spotting.overall.f1": "F1 overall, known offsets",
}
"""What tables call a score, by its path in `fedn evaluate --json`."""

STUDY_SCORES = (
    "spotting.macro.f1",
    "spotting.micro.f1",
    "spotting.overall.f1",
    "without_unknown_offsets.spotting.overall.f1",
    "detection.map@0.5",
    "strs",
    "false_positives_per_minute",
)
"""The scores of a study's table."""

HEADLINES = {path: SCORE_NAMES[path] for path in list(SCORE_NAMES)[:5]}
"""The scores that reports show first."""

HEADLINES_GIVEN = {path: name for path, name in SCORE_NAMES.items() if path.startswith("recognition.")}
"""The same where the intervals were given, so that there is only recognition to score."""

SELECTIONS = {"strict": "strict", "published": "published (selected on test data)"}
"""Ways to choose the thresholds, and what tables call them."""

ChallengeFormat = Literal["megc", "str"]
"""The spotting challenge's file, the spot-then-recognise challenge's."""

Format = Literal["fedn", "megc", "str"]
"""This project's CSV, or a challenge file."""

CHALLENGE_COLUMNS: dict[ChallengeFormat, tuple[str, ...]] = {
    "megc": ("vid", "pred_onset", "pred_offset", "type"),
    "str": ("subject", "video", "onset", "offset", "emotion"),
}
"""Columns of the challenge files, in their order."""

SCORES = ("score", "emotion_score")
"""Optional columns of predictions."""

OFFSET_KNOWN = "offset_known"
"""Optional column of truths: 0 where the release does not know the offset, else 1."""

TYPES = {"macro": 0, "micro": 1, "mae": 0, "me": 1, "macro-expression": 0, "micro-expression": 1}
"""Spellings of the expression type, lower case."""

NOT_ANALYSED = ("others",)
"""Emotion names that are expressions without an analysed class, unless a caller says otherwise."""


def headlines(given: bool) -> dict[str, str]:
    """Path and name of the first scores, of a result whose intervals were given or of one that spotted them."""
    return HEADLINES_GIVEN if given else HEADLINES


@dataclass
class Names:
    """Names met in files, each with its index; shared by all files that are scored together."""

    subjects: dict[str, int] = field(default_factory=dict)  # index of each subject
    videos: dict[tuple[str, str], int] = field(default_factory=dict)  # index of each (subject, video)
    emotions: dict[str, int] = field(default_factory=dict)  # index of each analysed emotion
    not_analysed: tuple[str, ...] = NOT_ANALYSED  # emotion names that count as no emotion
    closed_by: str | None = None  # the video list that names every video there is; None if files may name new ones
    # number of frames and frame rate of each video of the list
    lengths: dict[tuple[str, str], tuple[int, float]] = field(default_factory=dict)
    _by_vid: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    _by_loose_form: dict[str, tuple[str, str]] = field(default_factory=dict)

    def video(self, subject: str | None, video: str) -> tuple[int, int]:
        """Indices of subject and video; new ones are added unless a video list has closed the names.

        Args:
            subject: None in a file without subjects: the video is then looked up by its name alone.
            video: its name.

        Raises:
            ValueError: with the reason, if the video is not listed, its name alone is ambiguous, or another name met
                before could be another spelling of it.
        """
        key = self._find(video) if subject is None else (normal_form(subject), normal_form(video))
        if not key[1]:
            raise ValueError("the video has no name")
        if key not in self.videos:
            self._check_spelling(key)
            if self.closed_by is not None:
                raise ValueError(f"video {key[1]!r} of subject {key[0]!r} is not listed in {self.closed_by}")
            self.add(key)
        return self.subjects[key[0]], self.videos[key]

    def _check_spelling(self, key: tuple[str, str]) -> None:
        """Refuses `base.mp4` beside `base`, or `07` beside `7`: as two videos, neither would ever match."""
        other = self._by_loose_form.get(loose_form("/".join(key)))
        if other is not None and other != key:
            raise ValueError(
                f"video {key[1]!r} of subject {key[0]!r} is spelt {other[1]!r} of subject {other[0]!r} elsewhere; "
                "write one spelling in all files"
            )

    def add(self, key: tuple[str, str]) -> None:
        """Gives a new (subject, video) its indices."""
        subject, video = key
        self._by_loose_form.setdefault(loose_form("/".join(key)), key)
        self.subjects.setdefault(subject, len(self.subjects))
        self.videos[key] = len(self.videos)
        for vid in {video, f"{subject}_{video}", f"{subject}/{video}"}:
            self._by_vid.setdefault(vid, []).append(key)

    def _find(self, vid: str) -> tuple[str, str]:
        vid = normal_form(vid)
        keys = self._by_vid.get(vid) or [(vid, vid)]
        if vid not in self._by_vid and (near := other_spellings(vid, self._by_vid)):
            raise ValueError(f"video {vid!r} is spelt {near[0]!r} elsewhere; write one spelling in all files")
        if len(keys) > 1:
            subjects = ", ".join(sorted(subject for subject, _ in keys)[:3])
            raise ValueError(f"video {vid!r} exists for several subjects ({subjects} ...); write it as subject_video")
        return keys[0]

    def emotion(self, name: str) -> int:
        """Index of an emotion, :data:`NO_EMOTION` for an empty name or one that is not analysed."""
        name = name.strip().lower()
        if not name or name in self.not_analysed:
            return NO_EMOTION
        return self.emotions.setdefault(name, len(self.emotions))
