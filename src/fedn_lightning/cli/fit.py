"""`fedn fit`, `validate` and `test`: one experiment file, one run folder, one result.

A run writes to one folder alone: `config.yaml`, `env.txt`, `metrics.csv`, `checkpoints/`, then `predictions.csv`,
`truth.csv`, `videos.csv`, `timelines/`, `curves.png`, `wandb/`, and at last `result.json`.
"""

from __future__ import annotations

import contextlib
import importlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import LearningRateMonitor, ModelCheckpoint, ProgressBar, RichModelSummary
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import Logger
from lightning.pytorch.plugins.io import CheckpointIO
from lightning.pytorch.utilities.exceptions import SIGTERMException

import fedn_lightning.loggers.before_torch  # noqa: F401 # first, as the module says
from fedn_lightning.callbacks.results import RunProgress, TrackResults, WriteResults
from fedn_lightning.callbacks.run_config import (
    ConfiguredOptimizer,
    LastCheckpoint,
    RunLog,
    SaveRunConfig,
    SeedEpochs,
    WholeCheckpoints,
    plain_config,
)
from fedn_lightning.cli.config import with_bases
from fedn_lightning.cli.main import COMMANDS
from fedn_lightning.cli.options import quieten
from fedn_lightning.cli.parsing import (
    PARSER_OPTIONS,
    FednParser,
    plain_errors,
    prepare_parsing,
    qualify_references,
    root_of,
)
from fedn_lightning.errors import CheckpointError, ConfigError, FednError
from fedn_lightning.loggers.metrics import define_summaries
from fedn_lightning.loggers.wandb import WandbSettings, identify, resolve_mode, run_of, start, wandb_session
from fedn_lightning.models.checkpoints import read_checkpoint
from fedn_lightning.reports.console import print_card
from fedn_lightning.results import ChallengeFormat
from fedn_lightning.results.names import BEST, LAST, RESULT
from fedn_lightning.results.run_folder import RunFolder
from fedn_lightning.utils.console import note

_MISMATCH = re.compile(
    r"size mismatch for (?P<name>\S+): .*?torch\.Size\(\[(?P<saved>[\d, ]*)\]\).*?\[(?P<now>[\d, ]*)\]"
)


def read_run(path: str | Path) -> dict[str, Any]:
    """Reads the checkpoint that a run is to begin with."""
    if not Path(path).is_file():
        raise CheckpointError(f"The checkpoint {path} does not exist (--ckpt_path).")
    content = read_checkpoint(path)
    if "state_dict" not in content:
        raise CheckpointError(f"{path} holds no weights of a run (--ckpt_path); give a .ckpt file of a run.")
    for keys in (
        ("hyper_parameters",),
        ("fedn",),
        ("fedn", "model"),
        ("fedn", "model", "network"),
        ("fedn", "subjects"),
    ):
        part: Any = content
        for key in keys:
            part = part.get(key, {})
        if not isinstance(part, dict):
            name = ".".join(keys)
            raise CheckpointError(f"{path} is damaged (--ckpt_path): its {name} is no mapping of names to values.")
    return content


def describe_differences(content: dict[str, Any], model: Any) -> list[str]:
    """Where the configuration of the model differs from that in a checkpoint.

    Returns:
        A clause per differing argument, by name. Where the encoder's weights came from is no difference: the
        checkpoint holds them.
    """
    saved = _flat(content.get("fedn", {}).get("model") or content.get("hyper_parameters", {}))
    arguments = model.get("init_args") or {}
    configured = _flat(arguments.as_dict() if hasattr(arguments, "as_dict") else dict(arguments))
    return [
        f"model.{name} is {configured[name]!r}, in the checkpoint {saved[name]!r}"
        for name in sorted(saved.keys() & configured.keys())
        if saved[name] != configured[name] and not name.endswith("encoder.weights")
    ]


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """Nested dictionaries as one, with dotted keys."""
    flat: dict[str, Any] = {}
    for key, child in value.items():
        if isinstance(child, dict):
            flat.update(_flat(child, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = list(child) if isinstance(child, tuple) else child
    return flat


def explain_failure(path: str | Path, error: Exception) -> CheckpointError:
    """Makes one sentence of PyTorch's list of all the tensors that do not fit."""
    text = str(error)
    if match := _MISMATCH.search(text):
        detail = f"{match['name']} is [{match['saved']}] in the file and [{match['now']}] in the network"
    else:
        detail = " ".join(text.split(":", 2)[-1].split())[:200].rstrip(".")
    return CheckpointError(f"The checkpoint {path} does not fit the configured network: {detail}.")


# isort: split


RUNS = Path("runs")
"""Default parent of the run folders, in the current folder."""

CLASS_MODULES = (
    "fedn_lightning.tasks.detection",
    "fedn_lightning.tasks.encoder",
    "fedn_lightning.baselines.flow.task",
    "fedn_lightning.tasks.recognition",
    "fedn_lightning.datamodules.detection",
    "fedn_lightning.datamodules.recognition",
    "fedn_lightning.datamodules.stills",
)
"""Imported before parsing, so that an experiment can name their classes without a path."""


@dataclass
class CheckpointSettings:
    """Which epoch is kept as `checkpoints/best.ckpt`.

    Attributes:
        monitor: a metric of the validation subjects, e.g. `val/f1`; the last epoch is taken if none is given.
        mode: whether more or less of it is better.
    """

    monitor: str | None = None
    mode: Literal["max", "min"] = "max"


class FednCLI(LightningCLI):
    """LightningCLI with a run folder, W&B, and a result at the end of `fit`."""

    run_folder: RunFolder
    results: WriteResults | None = None

    def __init__(self, exits: contextlib.ExitStack, argv: Sequence[str]) -> None:
        self.exits, self.command = exits, argv[0]
        super().__init__(
            LightningModule,
            LightningDataModule,
            subclass_mode_model=True,
            subclass_mode_data=True,
            seed_everything_default=7,
            parser_class=FednParser,
            parser_kwargs=dict(PARSER_OPTIONS),
            auto_configure_optimizers=False,
            args=list(argv),
        )

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parses the given words; the base class warns whenever `sys.argv` holds words as well."""
        self.config = parser.parse_args(args)
        for group in ("trainer", "checkpoint", "wandb"):
            if not hasattr(self.settings[group], "get"):
                msg = f'The configuration key "{group}" must be a group of keys, not {self.settings[group]!r}.'
                raise ConfigError(msg)
        name = self.settings.experiment
        if not isinstance(name, str) or not name.strip() or "\0" in name:
            raise ConfigError(f'The configuration key "experiment" must be a name, not {name!r}.')

    def subcommands(self) -> dict[str, set[str]]:  # type: ignore[override] # static in the base class
        """The one command that is run: a parser for each would quadruple the time to start."""
        return {self.command: super().subcommands()[self.command]}

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Adds the keys that belong to a run as a whole."""
        parser.add_argument("--experiment", type=str, default="fedn", help="Name of the experiment.")
        parser.add_argument(
            "--run_dir", type=str | None, default=None, help="The run's folder; runs/EXPERIMENT by default."
        )
        parser.add_argument(
            "--test_after_fit", type=bool, default=True, help="End `fit` with a test of the best checkpoint."
        )
        parser.add_class_arguments(CheckpointSettings, "checkpoint")
        parser.add_class_arguments(WandbSettings, "wandb")

    def _prepare_subcommand_parser(self, klass: type, subcommand: str, **kwargs: Any) -> LightningArgumentParser:
        parser = super()._prepare_subcommand_parser(klass, subcommand, **kwargs)
        parser.description = COMMANDS[(subcommand,)].summary
        parser.usage = f"fedn {subcommand} --config EXPERIMENT.yaml [--KEY VALUE ...]"
        parser.set_defaults(weights_only=True)
        if subcommand == "test":
            formats = Literal["fedn", *get_args(ChallengeFormat)]  # type: ignore[valid-type]
            parser.add_argument("--format", type=formats, default="fedn", help="Also write a challenge's file.")
        if subcommand in ("validate", "test"):
            parser.set_defaults(verbose=False)  # the end card shows the scores
        return parser

    @property
    def settings(self) -> Any:
        """The parsed configuration of the command."""
        return self.config[self.config["subcommand"]]

    def _parse_ckpt_path(self) -> None:
        """The configuration wins over the hyperparameters in a checkpoint, unlike in the base class."""
        settings, command = self.settings, self.config["subcommand"]
        base = Path(settings.run_dir or RUNS / settings.experiment)
        if command != "fit" and settings.ckpt_path is None:
            best = base / BEST
            if not best.is_file():
                raise CheckpointError(f"There is no checkpoint: {best} does not exist; give one with --ckpt_path.")
            settings.ckpt_path = str(best)
            note(f"using {best}")
        resume = False
        if settings.ckpt_path is not None:
            content = read_run(settings.ckpt_path)
            for difference in describe_differences(content, settings.model):
                note(f"{difference}; the configuration wins.")
            resume = command == "fit" and base.resolve() in Path(settings.ckpt_path).resolve().parents
        folder = base if command == "fit" else base / command
        self.run_folder = RunFolder(folder, resume)
        settings.run_dir = str(base)

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Opens the run folder and gives the trainer its loggers and callbacks."""
        config = self._get(self.config_init, "trainer")
        if config.get("fast_dev_run"):
            return super().instantiate_trainer(logger=False, **kwargs)  # a trial of a few batches leaves nothing
        if is_first_process():
            self.exits.callback(self.run_folder.close)
            self.run_folder.open()
            self.exits.push(self._leave)
        folder = str(self.run_folder.path)
        self.save_config_callback, self.save_config_kwargs = SaveRunConfig, {"folder": folder}
        if config.get("logger") in (None, True):
            kwargs["logger"] = self._loggers()
        config["callbacks"] = [*_as_list(config.get("callbacks")), *self._callbacks(config, kwargs.get("logger"))]
        plugins = _as_list(config.get("plugins"))
        if not plugins and SLURMEnvironment.detect():
            # Requeueing would restart a fold from the newest checkpoint it finds, which may be another fold's.
            plugins = [SLURMEnvironment(auto_requeue=False)]
        if not any(isinstance(plugin, CheckpointIO) for plugin in plugins):
            plugins.append(WholeCheckpoints())
        kwargs["plugins"] = config["plugins"] = plugins
        kwargs.setdefault("default_root_dir", config.get("default_root_dir") or folder)
        return super().instantiate_trainer(**kwargs)

    def _leave(self, kind: type[BaseException] | None, *_: Any) -> None:
        """Gives the folder back if the user's mistake or wish ended the run before anything was learned or written."""
        ended = kind is not None and issubclass(kind, FednError | KeyboardInterrupt)
        path = self.run_folder.path
        if ended and not (path / RESULT).exists() and not any(path.glob("checkpoints/*.ckpt")):
            self.run_folder.abandon()
        elif self.run_folder.aside is not None:
            note(f"the earlier run in {path} was kept as {self.run_folder.aside}")

    def _loggers(self) -> list[Logger]:
        """The CSV log first: the first logger's folder is where Lightning puts its own files."""
        settings = self.settings
        wandb: WandbSettings = self._get(self.config_init, "wandb")
        mode = resolve_mode(wandb.mode)
        loggers: list[Logger] = [RunLog(self.run_folder.path)]
        self.exits.enter_context(wandb_session(self.run_folder.path, mode))
        if mode != "disabled":
            plain = plain_config(self._parser(self.subcommand), settings)
            identity = identify(wandb, plain, settings.experiment, str(self.subcommand))
            loggers.append(start(wandb, identity, self.run_folder.path, mode))
            if (run := run_of(loggers)) is not None:  # the first process's alone
                define_summaries(run, settings.checkpoint.monitor, settings.checkpoint.mode)
        return loggers

    def _callbacks(self, config: Any, loggers: Any) -> list[Callback]:
        challenge = self.settings.get("format")
        wandb: WandbSettings = self._get(self.config_init, "wandb")
        folder, form = str(self.run_folder.path), None if challenge == "fedn" else challenge
        self.results = WriteResults(folder, form, timeline_every=5 if wandb.events else 0)
        callbacks: list[Callback] = [self.results, TrackResults(self.results, wandb)]
        if self.subcommand == "fit":
            # The best epoch's comes first: it is the trainer's checkpoint callback.
            callbacks += [self._best_checkpoint(), LastCheckpoint(self.run_folder.path / "checkpoints")]
            callbacks.append(ConfiguredOptimizer(note))
            seed = self.settings.seed_everything
            callbacks += [] if seed in (False, None) else [SeedEpochs(int(seed))]
            callbacks += [LearningRateMonitor()] if loggers else []
        given = _as_list(config.get("callbacks"))
        if config.get("enable_progress_bar") is not False and not any(isinstance(c, ProgressBar) for c in given):
            callbacks.append(RunProgress())
        if config.get("enable_model_summary") is not False:
            callbacks.append(RichModelSummary(max_depth=1))
        return callbacks

    def _best_checkpoint(self) -> ModelCheckpoint:
        settings = self.settings.checkpoint
        return ModelCheckpoint(
            dirpath=self.run_folder.path / "checkpoints",
            filename="best",
            monitor=settings.monitor,
            mode=settings.mode,
            auto_insert_metric_name=False,
            enable_version_counter=False,
        )

    def instantiate_classes(self) -> None:
        """Builds data module, network and trainer; a value that a constructor refuses is the configuration's fault."""
        try:
            super().instantiate_classes()
        except (TypeError, ValueError) as error:
            root = root_of(error)
            if isinstance(root, FednError):
                raise root from None
            raise ConfigError(f"The configuration cannot work: {' '.join(str(root).split()).rstrip('.')}.") from error

    def _run_subcommand(self, subcommand: str) -> None:
        try:
            super()._run_subcommand(subcommand)
        except (RuntimeError, ValueError) as error:
            if self.settings.ckpt_path is None or not re.search(r"(loading|loaded) state.?dict", str(error)):
                raise
            raise explain_failure(self.settings.ckpt_path, error) from error
        except SystemExit as error:
            if isinstance(error, SIGTERMException) or not self.trainer.interrupted:
                raise
            # Lightning ends the process itself on the keyboard's interrupt, silently.
            last = self.run_folder.path / LAST
            if last.is_file():
                note(f"resume the run with --ckpt_path {last}")
            raise KeyboardInterrupt from error

    def after_fit(self) -> None:
        """Scores the best checkpoint: on the held-out subjects, or on the validation subjects if so configured."""
        if self.results is None or self.trainer.interrupted:
            return  # a trial run of a few batches writes nothing
        best = getattr(self.trainer.checkpoint_callback, "best_model_path", "") or None
        split = getattr(self.datamodule, "split", None)
        nobody = split is not None and not split.test
        if self.settings.test_after_fit and nobody:
            note("data.test_subject is empty: nobody is held out, and the scores are those of the validation subjects")
        score = self.trainer.test if self.settings.test_after_fit and not nobody else self.trainer.validate
        score(self.model, datamodule=self.datamodule, ckpt_path=best, verbose=False, weights_only=True)


def is_first_process() -> bool:
    """Whether this is the process of a distributed run that owns the run folder."""
    return getattr(rank_zero_only, "rank", 0) == 0


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def main(argv: Sequence[str]) -> int:
    """Runs `fedn fit|validate|test`.

    Returns:
        0, or 143 where the system asked the process to end.
    """
    quieten()
    prepare_parsing()
    for module in CLASS_MODULES:
        importlib.import_module(module)
    args = with_bases(qualify_references(argv))
    try:
        with contextlib.ExitStack() as exits, plain_errors():
            cli = FednCLI(exits, args)
    except SIGTERMException:
        return 143  # Lightning would exit with 0, as if the run were complete
    _report(cli)
    return 0


def next_command(result: dict[str, Any], folder: Path) -> str:
    """The command that scores the run's files again, with every subject's counts and operating curves."""
    if "spotting" not in result:
        return ""
    files = f"--predictions {folder}/proposals.csv --truth {folder}/truth.csv --videos {folder}/videos.csv"
    thresholds = " ".join(f"{value:.9g}" for value in result["threshold"].values())
    return f"fedn evaluate {files} --threshold {thresholds} --per-subject --html {folder}/report.html"


def _report(cli: FednCLI) -> None:
    """Prints the end card."""
    if cli.results is None or cli.results.result is None or not cli.trainer.is_global_zero:
        return
    result, folder = cli.results.result, cli.run_folder.path
    files = sorted(path.name for path in folder.iterdir())
    print_card(result, str(folder), files, next_command(result, folder))
