"""`fedn generalise`: scores a trained run, as it is, on all people of another corpus."""

from __future__ import annotations

import argparse
from pathlib import Path

from fedn_lightning.results.names import BEST, CONFIG

DESCRIPTION = """
Tests the best checkpoint of RUN on every video of the corpus in ROOT. Nothing is trained or chosen again: weights and
score thresholds are those of RUN. It is `fedn test` with RUN's configuration, everyone as test subject, and a clip
store and a run folder of its own.
"""


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    p = argparse.ArgumentParser(
        prog="fedn generalise",
        usage="fedn generalise RUN ROOT [--dataset NAME] [--store DIR] [--run_dir DIR] [--KEY VALUE ...]",
        description=DESCRIPTION,
        epilog="Further words go to fedn test, e.g. --data.corpus.policies.offset_policy apex.",
        allow_abbrev=False,  # or an option of fedn test could be taken for one of these
    )
    p.add_argument("run", type=Path, metavar="RUN", help="folder of a run of fedn fit")
    p.add_argument("root", type=Path, metavar="ROOT", help="root of the other corpus")
    p.add_argument("--dataset", metavar="NAME", help="its reader (default: that of RUN)")
    p.add_argument("--store", type=Path, metavar="DIR", help="its clip store (default: beside RUN's, named as ROOT)")
    p.add_argument("--run_dir", type=Path, metavar="DIR", help="where to write (default: RUN_on_<name of ROOT>)")
    return p


def main(argv: list[str]) -> int:
    """Runs the command.

    Args:
        argv: the words after `fedn generalise`.

    Returns:
        That of `fedn test`.

    Raises:
        FednError: if RUN is no finished run, or as `fedn test`.
    """
    options, more = parser().parse_known_args(argv)
    args = args_of_test(options.run, options.root, options.dataset, options.store, options.run_dir)
    from fedn_lightning.cli.fit import main as test  # seconds of imports, not needed for --help

    return test([*args, *more])


def args_of_test(
    run: Path, root: Path, dataset: str | None = None, store: Path | None = None, run_dir: Path | None = None
) -> list[str]:
    """The words of `fedn test` that test a run on another corpus.

    Args:
        run: folder of the run.
        root: of the other corpus.
        dataset: name of its reader, None for the run's own.
        store: its clip store. By default it lies beside the run's and is named as the corpus, so that crops of two
            corpora are never in one store: videos of the same name would take each other's place.
        run_dir: where the test writes its folder `test`.

    Raises:
        FednError: if the run has no configuration or no checkpoint.
    """
    from fedn_lightning.errors import CheckpointError, ConfigError

    config, checkpoint = run / CONFIG, run / BEST
    if not config.is_file():
        msg = f"{run} is not a run: it has no config.yaml. Give a folder that fedn fit has written."
        raise ConfigError(msg)
    if not checkpoint.is_file():
        msg = f"{run} is not a finished run: it has no checkpoints/best.ckpt. Let fedn fit end first."
        raise CheckpointError(msg)
    name, home = root.resolve().name, run if run.name not in ("", "..") else run.resolve()
    store = store or store_of(config).parent / name
    run_dir = run_dir or home.with_name(f"{home.name}_on_{name}")
    args = ["test", "--config", str(config), "--ckpt_path", str(checkpoint), "--run_dir", str(run_dir)]
    args += ["--data.corpus.root", str(root), "--data.crops.store", str(store), "--data.test_subject", "all"]
    return [*args, *(["--data.corpus.dataset", dataset] if dataset else [])]


def store_of(config: Path) -> Path:
    """The clip store that a run's configuration names.

    Raises:
        ConfigError: if it names none.
    """
    from fedn_lightning.errors import ConfigError
    from fedn_lightning.results.run_folder import RunConfig

    store = RunConfig.read(config.parent).crops.get("store")
    if not store:
        msg = f"{config} names no clip store (data.crops.store); it is not that of a detection run."
        raise ConfigError(msg)
    return Path(store)
