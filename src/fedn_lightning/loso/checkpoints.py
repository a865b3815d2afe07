"""Which checkpoints a fold may use: it resumes only from its own, and starts from none that has seen its subjects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fedn_lightning.errors import CheckpointError
from fedn_lightning.loso.folds import Fold
from fedn_lightning.results.names import LAST


def resumable(folder: Path, fold: Fold) -> Path | None:
    """The checkpoint a fold can go on from.

    A checkpoint is refused, and the fold begun anew, if it cannot be read, if it is not one of this fold (its record of
    subjects differs), or if the best epoch so far has gone: then nothing is lost but time.

    Args:
        folder: of the fold.
        fold: its subjects must be the test subjects that the checkpoint names.

    Returns:
        `checkpoints/last.ckpt`, or None.
    """
    last = folder / LAST
    if not last.is_file():
        return None
    # Imported here: torch takes seconds, and most calls end above.
    from fedn_lightning.models.checkpoints import read_checkpoint

    try:
        content = read_checkpoint(last)
        if not belongs_to(content, fold):
            return None
        for kept in kept_by_callbacks(content):
            if kept.resolve() != (folder / "checkpoints" / kept.name).resolve():
                return None  # the folder was moved: Lightning would forget the best epoch
            read_checkpoint(kept)
    except CheckpointError:
        return None
    return last


def belongs_to(content: Mapping[str, Any], fold: Fold) -> bool:
    """Whether a checkpoint's own record of subjects is that of a fold.

    >>> record = {"train": ("a", "b"), "val": ("c",), "test": ("d",)}
    >>> belongs_to({"fedn": {"subjects": record}}, Fold(0, ("d",)))
    True
    >>> belongs_to({"fedn": {"subjects": record}}, Fold(0, ("a",))), belongs_to({}, Fold(0, ("a",)))
    (False, False)
    """
    record = content.get("fedn", {}).get("subjects", {})
    seen = {*record.get("train", ()), *record.get("val", ())}
    return sorted(record.get("test", ())) == sorted(fold.subjects) and not seen & set(fold.subjects)


def kept_by_callbacks(content: Mapping[str, Any]) -> list[Path]:
    """Checkpoints that the checkpoint callbacks have recorded, e.g. the best epoch's."""
    states = [state for state in content.get("callbacks", {}).values() if isinstance(state, Mapping)]
    return [Path(state["best_model_path"]) for state in states if state.get("best_model_path")]


def seen_subjects(content: Mapping[str, Any]) -> tuple[str, set[str]]:
    """The corpus and the subjects a checkpoint was trained or chosen on; empty if it keeps no such record."""
    record = content.get("fedn", {})
    subjects = record.get("subjects", {})
    return str(record.get("dataset", "")), {*subjects.get("train", ()), *subjects.get("val", ())}


def check_unseen(weights: Path, dataset: str, subjects: Sequence[str]) -> None:
    """Checks that encoder weights were neither trained nor chosen on subjects of the corpus.

    Checkpoints of this project's detection runs keep a record of their subjects. Generated stills show people who are
    in no corpus, and AffectNet's photographs none of the laboratories' subjects; checkpoints of such a pre-training,
    and public ones, keep no record and are accepted.

    Args:
        weights: the checkpoint.
        dataset: name of the corpus.
        subjects: of the corpus; each is a test subject of some fold.

    Raises:
        CheckpointError: naming the file and the subjects.
    """
    from fedn_lightning.models.checkpoints import read_checkpoint

    trained_on, seen = seen_subjects(read_checkpoint(weights))
    both = sorted(seen & set(subjects))
    if both and trained_on == dataset:
        msg = (
            f"The encoder weights {weights} were trained on subjects {', '.join(both)} of {dataset}, which the folds "
            f"hold out; take weights of an encoder that was pre-trained on other people (model.encoder.weights)."
        )
        raise CheckpointError(msg)
