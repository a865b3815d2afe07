from __future__ import annotations

import csv
import functools
import json
import shlex
import signal
from pathlib import Path

import pytest
import torch
import toys
from lightning.pytorch import Trainer
from lightning.pytorch.utilities.exceptions import SIGTERMException

from fedn_lightning.callbacks.run_config import WholeCheckpoints
from fedn_lightning.cli import fit as train
from fedn_lightning.cli import main as dispatcher
from fedn_lightning.cli.main import main
from fedn_lightning.errors import ConfigError

RUN = Path("runs/toy/05")


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(train, "CLASS_MODULES", ("toys",))
    monkeypatch.setenv("WANDB_MODE", "disabled")


@pytest.fixture
def fedn(conf: Path):
    def run(command: str, *options: str) -> int:
        return main([command, "--config", str(conf / "toy.yaml"), *options])

    return run


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_fit_fills_one_run_folder_and_ends_with_the_card(fedn, capsys: pytest.CaptureFixture[str]) -> None:
    assert fedn("fit") == 0
    written = {path.name for path in RUN.iterdir() if path.name != "wandb"}
    assert written == {
        "config.yaml", "env.txt", "metrics.csv", "checkpoints", "predictions.csv", "proposals.csv", "truth.csv",
        "videos.csv", "timelines", "curves.png", "result.json",
    }  # fmt: skip
    assert {path.name for path in (RUN / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}
    assert {path.name for path in Path().iterdir()} == {"runs"}  # nothing outside
    result = json.loads((RUN / "result.json").read_text())
    assert result["spotting"]["overall"]["tp"] == 2
    card = capsys.readouterr().out
    for words in ("held-out subjects", "subject 05", "chosen on validation subjects", "0.6667", str(RUN)):
        assert words in card


def test_the_suggested_next_command_gives_the_same_scores(fedn, capsys: pytest.CaptureFixture[str]) -> None:
    fedn("fit", "--trainer.max_epochs", "1")
    result = json.loads((RUN / "result.json").read_text())
    words = shlex.split(train.next_command(result, RUN))[1:]
    capsys.readouterr()
    assert main([*words, "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    for key in ("protocol", "spotting", "detection", "recognition", "strs"):
        assert again[key] == result[key]
    assert (RUN / "report.html").is_file()


def test_the_saved_configuration_repeats_the_run_and_keeps_the_earlier_one(fedn) -> None:
    fedn("fit")
    first = rows(RUN / "metrics.csv")
    assert main(["fit", "--config", str(RUN / "config.yaml")]) == 0
    assert rows(RUN / "metrics.csv") == first
    kept = [path for path in RUN.parent.iterdir() if path != RUN]
    assert len(kept) == 1
    assert rows(kept[0] / "metrics.csv") == first


def test_references_follow_overrides(fedn) -> None:
    assert fedn("fit", "--data.test_subject", "[s07, s08]", "--trainer.max_epochs", "1") == 0
    assert (RUN.parent / "s07" / "result.json").is_file()


def test_references_on_the_command_line_mean_what_they_mean_in_a_file(fedn) -> None:
    fedn("fit", "--run_dir", "elsewhere/${experiment}", "--experiment", "other", "--trainer.max_epochs", "1")
    assert Path("elsewhere/other/result.json").is_file()


def test_run_dir_defaults_to_the_experiment(conf: Path) -> None:
    lines = (conf / "toy.yaml").read_text().splitlines()
    Path("short.yaml").write_text("\n".join(line for line in lines if not line.startswith("run_dir")))
    main(["fit", "--config", "short.yaml", "--trainer.max_epochs", "1"])
    assert Path("runs/toy/result.json").is_file()


def test_one_batch_stays_one_batch(fedn, monkeypatch: pytest.MonkeyPatch) -> None:
    # The wrong order, as typing's cache can bring it about.
    for name in ("limit_train_batches", "limit_val_batches", "overfit_batches"):
        monkeypatch.setitem(Trainer.__init__.__annotations__, name, float | int | None)
    fedn("fit", "--trainer.limit_train_batches", "1", "--trainer.limit_val_batches", "0.34")
    saved = (RUN / "config.yaml").read_text()
    assert "limit_train_batches: 1\n" in saved
    assert "limit_val_batches: 0.34\n" in saved
    assert max(int(row["step"]) for row in rows(RUN / "metrics.csv")) == 1  # 2 epochs of 1 batch


MISTAKES = [
    (["--trainer.max_epochs", "abc"], '"trainer.max_epochs" must be of type int, not abc'),
    (["--trainer.max_epoch", "3"], 'no option "--trainer.max_epoch 3"; did you mean "trainer.max_epochs"'),
    (["--model.widht", "3"], '"model.widht": ToyTask has no such argument; did you mean "width"'),
    (["--model.flavour", "c"], "\"model.flavour\" must be one of 'detection', 'plain', not c"),
    (["--model", "Foo"], '"model" names no class that is known: "Foo"'),
    (["--run_dir", "a/${nope}"], '"run_dir" refers to ${nope}, which does not exist'),
    (["extra"], 'no option "extra"'),
    (["--data.missing", "true"], "No corpus in /nowhere"),
    (["--checkpoint.monitor", "val/nope"], '"checkpoint.monitor" names "val/nope", which is not logged'),
    (["--wandb.mode", "sometimes"], '"wandb.mode" must be one of'),
    (["--model.width", "-1"], "The configuration cannot work"),
    (["--model.weights", "/nowhere/best.ckpt"], "fedn: error: There is no checkpoint at /nowhere/best.ckpt."),
    (["--ckpt_path", "nowhere.ckpt"], "checkpoint nowhere.ckpt does not exist"),
    (["--trainer.max_epochs", "-7"], "`max_epochs` must be"),
]


@pytest.mark.parametrize(("options", "message"), MISTAKES, ids=[" ".join(options) for options, _ in MISTAKES])
def test_a_mistake_ends_in_one_sentence_and_leaves_nothing(
    fedn, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fedn("fit", *options) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    # Some mistakes are found when the training begins, which tells its cores and threads first.
    (said,) = [line for line in lines if not line.startswith("fedn: cores: ")]
    assert said.startswith("fedn: error: ")
    assert message in said
    assert "Namespace" not in said
    assert said.endswith((".", "?"))
    assert not list(Path().iterdir())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("max_epochs", "max_epoch", 'no configuration key "trainer.max_epoch"; did you mean "trainer.max_epochs"'),
        ("class_path: ToyData", "class_path: ToyDate", '"data" names no class that is known: "ToyDate"'),
        ("${experiment}", "${experimen}", '"run_dir" refers to ${experimen}'),
        ("trainer:", "trainer: [", "bad.yaml, line"),
        ("seed_everything: 3", "seed_everything: x", '"seed_everything" must be of type bool or of type int, not x'),
    ],
)
def test_a_mistake_in_a_file_names_the_key(
    conf: Path, old: str, new: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("bad.yaml").write_text((conf / "toy.yaml").read_text().replace(old, new))
    assert main(["fit", "--config", "bad.yaml"]) == 2
    said = capsys.readouterr().err.strip()
    assert message in said
    assert len(said.splitlines()) == 1


def test_no_experiment_at_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit"]) == 2
    assert "--config experiments/synthetic.yaml" in capsys.readouterr().err


def test_a_run_that_fails_at_once_puts_the_earlier_run_back(fedn) -> None:
    fedn("fit")
    before = (RUN / "result.json").stat().st_mtime_ns
    assert fedn("fit", "--model.fail_at", "0") == 2
    assert (RUN / "result.json").stat().st_mtime_ns == before
    assert list(RUN.parent.iterdir()) == [RUN]


def test_a_run_that_fails_later_keeps_its_checkpoint_but_has_no_result(fedn) -> None:
    assert fedn("fit", "--model.fail_at", "1") == 2
    assert (RUN / "checkpoints" / "last.ckpt").is_file()
    assert not (RUN / "result.json").exists()


def test_a_killed_run_is_not_a_success(fedn, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object) -> None:
        raise SIGTERMException

    monkeypatch.setattr(toys.ToyTask, "training_step", killed)
    assert fedn("fit") == 143
    assert not (RUN / "result.json").exists()


@pytest.mark.parametrize(("epoch", "kept"), [(0, False), (1, True)])
def test_an_interrupted_run_says_how_to_go_on(
    fedn, epoch: int, kept: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    step = toys.ToyTask.training_step

    def interrupted(self: toys.ToyTask, *args: object) -> object:
        if self.current_epoch == epoch:
            raise KeyboardInterrupt
        return step(self, *args)

    monkeypatch.setattr(toys.ToyTask, "training_step", interrupted)
    handler = signal.getsignal(signal.SIGINT)
    try:
        assert fedn("fit") == 130
    finally:
        signal.signal(signal.SIGINT, handler)  # Lightning leaves it ignored
    assert ("--ckpt_path runs/toy/05/checkpoints/last.ckpt" in capsys.readouterr().err) == kept
    assert RUN.exists() == kept


def test_on_resume_the_configuration_wins_with_a_message_and_the_log_continues(
    fedn, capsys: pytest.CaptureFixture[str]
) -> None:
    fedn("fit")
    capsys.readouterr()
    last = str(RUN / "checkpoints" / "last.ckpt")
    assert fedn("fit", "--ckpt_path", last, "--model.lr", "0.4", "--trainer.max_epochs", "4") == 0
    said = capsys.readouterr().err
    assert "model.lr is 0.4, in the checkpoint 0.1; the configuration wins." in said
    assert "learning rate 0.4, in the checkpoint 0.1; the configuration wins." in said
    assert "was kept as" not in said
    rates = [float(row["lr-SGD"]) for row in rows(RUN / "metrics.csv") if row["lr-SGD"]]
    assert rates == pytest.approx([0.1, 0.05, 0.1, 0.05])  # 0.4 after two and three halvings
    assert [path for path in RUN.parent.iterdir() if path != RUN] == []


def test_resuming_without_a_change_repeats_the_uninterrupted_run(fedn) -> None:
    fedn("fit", "--trainer.max_epochs", "4", "--run_dir", "whole")
    fedn("fit", "--run_dir", "half")
    fedn("fit", "--trainer.max_epochs", "4", "--run_dir", "half", "--ckpt_path", "half/checkpoints/last.ckpt")
    whole, half = (torch.load(f"{name}/checkpoints/last.ckpt", weights_only=True) for name in ("whole", "half"))
    assert torch.equal(whole["state_dict"]["layer.weight"], half["state_dict"]["layer.weight"])


def test_test_takes_the_best_checkpoint_of_the_run(fedn, capsys: pytest.CaptureFixture[str]) -> None:
    fedn("fit")
    untouched = (RUN / "predictions.csv").stat().st_mtime_ns
    assert fedn("test") == 0
    assert "using runs/toy/05/checkpoints/best.ckpt" in capsys.readouterr().err
    assert (RUN / "test" / "result.json").read_bytes() == (RUN / "result.json").read_bytes()
    assert (RUN / "predictions.csv").stat().st_mtime_ns == untouched


def test_test_without_a_checkpoint(fedn, capsys: pytest.CaptureFixture[str]) -> None:
    assert fedn("test") == 2
    assert "runs/toy/05/checkpoints/best.ckpt does not exist; give one with --ckpt_path" in capsys.readouterr().err


def test_a_checkpoint_of_another_shape(fedn, capsys: pytest.CaptureFixture[str]) -> None:
    fedn("fit", "--trainer.max_epochs", "1")
    assert fedn("test", "--model.width", "5", "--data.width", "5") == 2
    assert "layer.weight is [1, 4] in the file and [1, 5] in the network" in capsys.readouterr().err
    assert not (RUN / "test").exists()


def test_test_writes_a_challenge_file(fedn) -> None:
    fedn("fit", "--trainer.max_epochs", "1")
    assert fedn("test", "--format", "megc") == 0
    predicted = rows(RUN / "test" / "predictions_megc.csv")
    assert [row["type"] for row in predicted].count("me") == 1
    assert len(predicted) == len(rows(RUN / "test" / "predictions.csv"))


def test_validate_says_that_its_figures_are_no_result(fedn, capsys: pytest.CaptureFixture[str]) -> None:
    fedn("fit", "--trainer.max_epochs", "1")
    capsys.readouterr()
    assert fedn("validate") == 0
    assert "not a result to report" in " ".join(capsys.readouterr().out.replace("│", " ").split())


def test_a_task_without_detections_ends_with_its_own_figures(fedn, capsys: pytest.CaptureFixture[str]) -> None:
    assert fedn("fit", "--test_after_fit", "false", "--model.flavour", "plain") == 0
    assert json.loads((RUN / "result.json").read_text()) == {"split": "validation", "scores": {"accuracy": 0.5}}
    assert "accuracy  0.5000" in capsys.readouterr().out


def test_a_trial_run_writes_nothing(fedn) -> None:
    assert fedn("fit", "--trainer.fast_dev_run", "true") == 0
    assert not Path("runs").exists()


def test_checkpoints_are_never_unpickled_freely(fedn, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    load = torch.load

    def spy(*args: object, **kwargs: object) -> object:
        seen.append(kwargs.get("weights_only"))
        return load(*args, **kwargs)

    monkeypatch.setattr(torch, "load", spy)
    fedn("fit", "--trainer.max_epochs", "1")
    fedn("test")
    assert seen
    assert set(seen) == {True}


def test_callbacks_of_a_file_and_of_the_command_line_add_up(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []
    fit = Trainer.fit

    @functools.wraps(fit)
    def spy(self: Trainer, *args: object, **kwargs: object) -> object:
        seen.append([type(callback).__name__ for callback in self.callbacks])
        return fit(self, *args, **kwargs)

    monkeypatch.setattr(Trainer, "fit", spy)
    stop = "\n  callbacks: [{class_path: EarlyStopping, init_args: {monitor: val/f1, mode: max}}]\nmodel:"
    Path("more.yaml").write_text((conf / "toy.yaml").read_text().replace("\nmodel:", stop))
    assert (
        main(
            [
                "fit",
                "--config",
                "more.yaml",
                "--trainer.callbacks+=GradientAccumulationScheduler",
                "--trainer.callbacks.scheduling={0: 1}",
            ]
        )
        == 0
    )
    ours = {"WriteResults", "ModelCheckpoint", "ConfiguredOptimizer", "LearningRateMonitor", "SaveRunConfig"}
    assert ours | {"EarlyStopping", "GradientAccumulationScheduler"} <= set(seen[0])
    assert seen[0].count("ModelCheckpoint") == 1


def test_a_requeued_job_never_picks_a_checkpoint_by_itself(fedn, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {}

    def stop(self: object, **kwargs: object) -> None:
        given.update(kwargs)
        raise ConfigError("Far enough.")

    monkeypatch.setattr(train.SLURMEnvironment, "detect", staticmethod(lambda: True))
    monkeypatch.setattr(train.LightningCLI, "instantiate_trainer", stop)
    assert fedn("fit") == 2
    environment, checkpoints = given["plugins"]
    assert environment.auto_requeue is False
    assert isinstance(checkpoints, WholeCheckpoints)


def test_every_training_command_comes_here() -> None:
    here = [words for words, command in dispatcher.COMMANDS.items() if command.function == f"{train.__name__}:main"]
    assert here == [("fit",), ("validate",), ("test",)]
