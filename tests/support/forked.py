"""Starts folds from a server process that has imported everything: real processes without seconds of imports."""

from __future__ import annotations

from fedn_lightning.loso.forkserver import ForkServer

start_forked = ForkServer(["fedn_lightning.cli.fit", "fedn_lightning.tasks.detection", "pulses_data"]).start
