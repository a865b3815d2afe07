"""What `fedn` alone says: five commands to begin with."""

from __future__ import annotations

import sys

FIRST_STEPS = (
    ("fedn doctor", "is everything here, and does it work?"),
    ("fedn fit --config experiments/synthetic.yaml", "train; `make fit` also makes the data for it"),
    ("fedn predict VIDEO --ckpt runs/synthetic/checkpoints/best.ckpt", "find the expressions in a video"),
    ("fedn report runs/synthetic --open", "look at what was found and missed"),
    ("fedn loso --config experiments/casme2_cpu.yaml --jobs 2", "hold out every subject once, and pool"),
)
"""A command, and what it is for."""

ALL = "fedn --help lists every command, fedn COMMAND --help its options."


def welcome() -> None:
    """Prints the five commands: as a card in a terminal, as plain lines into a pipe."""
    if not sys.stdout.isatty():
        width = max(len(command) for command, _ in FIRST_STEPS)
        print("\n".join([*(f"{command:<{width}}  {purpose}" for command, purpose in FIRST_STEPS), "", ALL]))
        return
    from rich.console import Console, Group
    from rich.panel import Panel
    from rich.text import Text

    steps = [Text.assemble((command, "bold"), "\n  ", (purpose, "dim")) for command, purpose in FIRST_STEPS]
    title = "facial expressions in long videos"
    Console().print(Panel(Group(*steps, "", ALL), title=title, title_align="left", expand=False, padding=(1, 2)))
