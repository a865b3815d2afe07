"""Runs the commands of docs/tutorial.md one after another, as they stand there, and says how long each took.

They run in the folder where this is called, with the `fedn` beside this Python.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "tutorial.md"


def commands(page: str) -> list[str]:
    """The lines of the page's blocks `sh`.

    >>> commands("text" + chr(10) + "```sh" + chr(10) + "fedn data synth" + chr(10) + "```")
    ['fedn data synth']
    """
    blocks = re.findall(r"^```sh\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.splitlines()]


def run(command: str, environment: Mapping[str, str]) -> None:
    """Runs a command as a shell does. A review is opened, and ended once its page has answered.

    Raises:
        subprocess.CalledProcessError: if it fails.
    """
    if " review " not in command:
        subprocess.run(command, shell=True, check=True, env=environment)
        return
    words = [*command.split(), "--no-browser"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        try:
            with urllib.request.urlopen(process.stdout.readline().strip(), timeout=60) as page:
                assert b"fedn review" in page.read()
        finally:
            process.send_signal(signal.SIGINT)
        if process.wait(timeout=60) not in (0, 130):
            raise subprocess.CalledProcessError(process.returncode, command)


def main() -> None:
    """Runs all of them; the first that fails ends it."""
    beside = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{beside}{os.pathsep}{os.environ['PATH']}"}
    began = time.monotonic()
    for command in commands(PAGE.read_text(encoding="utf-8")):
        print(f"\n$ {command}", flush=True)
        start = time.monotonic()
        run(command, environment)
        print(f"({time.monotonic() - start:.0f} s)", flush=True)
    print(f"\nThe tutorial took {(time.monotonic() - began) / 60:.1f} minutes.")


if __name__ == "__main__":
    main()
