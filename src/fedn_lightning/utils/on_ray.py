"""Work on a Ray cluster, a running one or one started for the occasion on this machine.

Every machine of the cluster must have this package installed and see the same folders under the same paths: names go
through Ray, files do not.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from fedn_lightning.errors import ConfigError

AHEAD = 2
"""Tasks that wait for each core, so that a list of any length costs little memory."""


def connect(cores: int, address: str | None) -> Any:
    """Connects to a cluster.

    Args:
        cores: of a cluster started here.
        address: of a running cluster, e.g. `auto` or `ray://host:10001`; None starts one here.

    Returns:
        The module `ray`; call its `shutdown` at the end.

    Raises:
        ConfigError: if Ray is not installed or the cluster cannot be reached.
    """
    try:
        import ray
    except ImportError as error:
        msg = "--launcher ray needs Ray, which is not installed: pip install 'fedn-lightning[ray]'."
        raise ConfigError(msg) from error
    here: dict[str, Any] = {"num_cpus": cores} if address is None else {}
    try:
        ray.init(address=address or "local", log_to_driver=False, include_dashboard=False, **here)
    except Exception as error:  # Ray raises Exception itself where a cluster takes too long to start
        msg = f"The Ray cluster {address or 'on this machine'} cannot be used: {str(error).splitlines()[0]}"
        raise ConfigError(msg) from error
    return ray


def run(
    function: Callable[[Any, Callable[[int], None]], Any],
    items: Sequence[Any],
    cores: int,
    address: str | None = None,
    gpus: float = 0,
) -> Iterator[tuple[int, Any]]:
    """Runs `function(item, tick)` on every item, one core each; as :func:`fedn_lightning.video.workers.run`.

    Args:
        function: importable on every machine.
        items: picklable.
        cores: of a cluster started here.
        address: of a running cluster.
        gpus: that each item needs, may be a part of one.

    Yields:
        Index of the item and its result, or the exception it failed with, in the order they end.
    """
    ray = connect(cores, address)
    try:
        task = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=1)(_call)
        cwd, waiting = str(Path.cwd()), iter(enumerate(items))
        pending: dict[Any, int] = {}
        most = AHEAD * max(1, int(ray.cluster_resources().get("CPU", cores)))
        while True:
            while len(pending) < most and (following := next(waiting, None)) is not None:
                pending[task.remote(function, following[1], cwd)] = following[0]
            if not pending:
                return
            for reference in ray.wait(list(pending), num_returns=1)[0]:
                index = pending.pop(reference)
                try:
                    yield index, ray.get(reference)
                except ray.exceptions.RayTaskError as error:
                    yield index, error.cause
                except ray.exceptions.RayError as error:
                    yield index, RuntimeError(f"Ray lost it: {str(error).strip().splitlines()[-1]}")
    finally:
        ray.shutdown()


def _call(function: Callable[[Any, Callable[[int], None]], Any], item: Any, cwd: str) -> Any:
    """The body of a task."""
    os.chdir(cwd)  # paths are relative to where the user started
    return function(item, lambda frames: None)
