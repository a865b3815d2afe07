from __future__ import annotations

import errno
import io
import os
import resource
import shlex
import subprocess
import sys

import pytest

from fedn_lightning import __version__
from fedn_lightning.cli import main as dispatcher
from fedn_lightning.cli.main import COMMANDS, FIRST_STEPS, TRAINER, find, main

HEAVY = ("torch", "lightning", "numpy", "wandb", "matplotlib", "jsonargparse", "rich")


def python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_help_imports_nothing_heavy() -> None:
    code = "import sys; from fedn_lightning.cli.main import main; main(['--help']); print(*sys.modules)"
    output = python(code)
    loaded = set(output.splitlines()[-1].split())
    assert not loaded.intersection(HEAVY)
    for words in COMMANDS:
        assert f"  {' '.join(words)} " in output


def test_help_is_quick() -> None:
    code = "from fedn_lightning.cli.main import main; main(['--help'])"
    python(code)  # writes the byte code
    times = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        python(code)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(times) < 0.3  # seconds of processor time, whatever else the machine does


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_of_a_command_imports_no_torch(words: tuple[str, ...]) -> None:
    code = f"""
import sys
from fedn_lightning.cli.main import main
try:
    main({[*words, "--help"]})
except SystemExit as end:
    assert not end.code
print(*sys.modules)"""
    output = python(code)
    assert not {"torch", "lightning", "wandb", "matplotlib"}.intersection(output.splitlines()[-1].split())
    assert f"usage: fedn {' '.join(words)} " in output
    if COMMANDS[words].function == TRAINER:
        assert "--help all" in output


@pytest.mark.parametrize("argv", [["--help"], ["-h"], ["help"]])
def test_help_is_no_error(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == 0
    assert "usage: fedn COMMAND" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == f"fedn-lightning {__version__}"


def test_an_unknown_command_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "frobnicate"]) == 2
    assert "there is no command 'data frobnicate'" in capsys.readouterr().err


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    ("words", "codes"),
    [(["--help"], [141]), (["evaluate", "--help"], [0, 141]), (["frobnicate"], [2])],  # argparse swallows it at times
    ids=["help", "evaluate", "nothing"],
)
def test_a_reader_that_goes_away_is_no_error(words: list[str], codes: list[int], unbuffered: str) -> None:
    run = subprocess.Popen(
        [sys.executable, "-m", "fedn_lightning", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
    )
    run.stdout.close()  # as `| head` does, sooner than Python can start
    output = run.stderr.read()
    assert "BrokenPipe" not in output
    assert run.wait() in codes
    run.stderr.close()


def test_a_full_disk_is_a_sentence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def command(argv: list[str]) -> int:
        raise error

    monkeypatch.setattr(dispatcher.pkgutil, "resolve_name", lambda name: command)
    error = OSError(errno.ENOSPC, "No space left on device", "out/a.avi")
    assert main(["data", "synth"]) == 2
    assert capsys.readouterr().err == "fedn: error: out/a.avi: No space left on device.\n"
    error = OSError(errno.EIO, "Input/output error")
    with pytest.raises(OSError, match="Input/output"):
        main(["data", "synth"])


def test_another_broken_pipe_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(argv: list[str]) -> int:
        raise BrokenPipeError

    monkeypatch.setattr(dispatcher, "_run", broken)
    with pytest.raises(BrokenPipeError):
        main([])


def test_five_commands_that_exist_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    output = capsys.readouterr().out.splitlines()
    assert len(FIRST_STEPS) == 5
    for line, (command, purpose) in zip(output, FIRST_STEPS, strict=False):
        assert line.startswith(command)
        assert line.endswith(purpose)
        assert find(shlex.split(command)[1:]) is not None
    assert output[-1].startswith("fedn --help")


def test_a_terminal_gets_a_card(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert main([]) == 0
    output = sys.stdout.getvalue()
    assert output.startswith("\x1b[") or output.startswith("╭")
    assert all(command in output for command, _ in FIRST_STEPS)
