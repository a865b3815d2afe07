"""Files of a run as W&B artifacts, and which run made or used them: the lineage.

An artifact is known by its name and the checksums of its files. Producer and user of a file build the same artifact
from it, under a name that follows from the producing run's own `config.yaml`, so W&B joins them into one version, and
no run needs to ask the server what another has logged.

What works offline: outputs and inputs are written into the run's log, and `wandb sync` puts both on the server. What
does not: `run.use_artifact` asks the server and raises offline, so inputs are written as the record that it makes of a
new artifact (:func:`use`); versions (`v0`, `v1`) exist once the server has counted them, and `latest` is what was
synced last; and files are not copied but uploaded from where they lie, so sync before a run folder is moved, renamed or
changed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fedn_lightning.datasets.base import digest_corpus
from fedn_lightning.events import EXPRESSION_TYPES, Corpus
from fedn_lightning.results.names import RESULT, TABLES
from fedn_lightning.results.run_folder import RunConfig
from fedn_lightning.utils.files import digest_file

MODEL, PREDICTIONS, DATASET = "model", "predictions", "dataset"
"""Types of artifact."""

FILES = (*TABLES, RESULT)


def run_label(config: Mapping[str, Any], default: str = "run") -> str:
    """What names a run's artifacts: experiment, the run's own name (a fold's is its subject), seed.

    >>> run_label({"experiment": "casme2", "wandb": {"name": "s15"}, "seed_everything": 7})
    'casme2-s15-seed7'
    """
    name = (config.get("wandb") or {}).get("name")
    seed = config.get("seed_everything")
    parts = [config.get("experiment") or default, name, None if seed in (None, False) else f"seed{seed}"]
    return re.sub(r"[^A-Za-z0-9._-]+", "-", "-".join(str(part) for part in parts if part))[:100]


def checkpoint_artifact(checkpoint: Path) -> Any:
    """The artifact of a checkpoint.

    One of this project's runs (`RUN/checkpoints/NAME.ckpt`) is named after that run, and holds the file unless the run
    says `wandb.checkpoints: false`. A checkpoint from elsewhere is someone else's: it is described, not uploaded.
    """
    import wandb

    config = RunConfig.read(checkpoint.absolute().parent.parent)
    size = checkpoint.stat().st_size
    label = (
        run_label(config.content) if config else re.sub(r"[^A-Za-z0-9._-]+", "-", f"external-{checkpoint.stem}")[:100]
    )
    artifact = wandb.Artifact(f"{MODEL}-{label}", MODEL, metadata={"mib": round(size / 2**20, 1)})
    if config and config.wandb.get("checkpoints", True):
        _add(artifact, checkpoint)
    else:
        content = {"name": checkpoint.name, "bytes": size, "sha256": digest_file(checkpoint)}
        _describe(artifact, "checkpoint.json", content)
    return artifact


def predictions_artifact(folder: Path, label: str | None = None) -> Any:
    """The tables and the result of a run, or of pooled folds.

    Args:
        folder: where they lie.
        label: names the artifact; that of the run's configuration by default.
    """
    import wandb

    artifact = wandb.Artifact(f"{PREDICTIONS}-{label or run_label(RunConfig.read(folder).content)}", PREDICTIONS)
    for name in FILES:
        if (folder / name).is_file():
            _add(artifact, folder / name)
    return artifact


def corpus_artifact(corpus: Corpus) -> Any:
    """What a corpus holds, in numbers and with a checksum of its labels; none of its files, names or labels."""
    import wandb

    counts: dict[str, int] = {kind: sum(e.type == kind for e in corpus.expressions) for kind in EXPRESSION_TYPES}
    content: dict[str, str | int] = {
        "dataset": corpus.name,
        "subjects": len(corpus.subjects),
        "videos": len(corpus.videos),
        **counts,
        "repaired_or_dropped_rows": len(corpus.repairs),
        "digest": digest_corpus(corpus),
    }
    artifact = wandb.Artifact(f"{DATASET}-{corpus.name}", DATASET, metadata=content)
    _describe(artifact, "corpus.json", content)
    return artifact


def _add(artifact: Any, path: Path) -> None:
    # Neither copied beside the run nor into a cache: a study of 98 folds would fill the disk with its own checkpoints.
    artifact.add_file(str(path.absolute()), name=path.name, policy="immutable", skip_cache=True)


def _describe(artifact: Any, name: str, content: Mapping[str, Any]) -> None:
    with artifact.new_file(name, encoding="utf-8") as file:
        json.dump(content, file, indent=2, sort_keys=True)


def give(run: Any, artifact: Any, aliases: Sequence[str] = ()) -> None:
    """Declares an artifact as an output of a run."""
    run.log_artifact(artifact, aliases=["latest", *aliases])


def use(run: Any, artifact: Any) -> None:
    """Declares an artifact as an input of a run, offline as online.

    `run.use_artifact` refuses to work offline, and online waits for the upload of an artifact that was made here. This
    writes the same record as it does then, `use_after_commit`: the upload of the run makes the artifact, or finds the
    version that has its content already, and then declares its use. The method is W&B's own and private; a test reads
    the record back.
    """
    run._log_artifact(artifact, is_user_created=True, use_after_commit=True)
