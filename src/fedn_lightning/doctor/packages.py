"""Which packages are installed, and whether they are those that the project needs."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from importlib import metadata

from packaging.requirements import Requirement

from fedn_lightning import __version__
from fedn_lightning.doctor.findings import Finding, Section

PROJECT = "fedn-lightning"
REPAIR = "pip install -c constraints.txt -e ."
"""The command that installs what the project needs, in its checkout."""


def packages() -> Section:
    """Versions of all that the project needs."""
    found = [Finding(PROJECT, __version__)]
    return Section("Packages", (*found, *(look(need) for need in requirements() if applies(need))))


def extras() -> Section:
    """Which optional extras are installed; a missing one is no problem."""
    names = metadata.metadata(PROJECT).get_all("Provides-Extra") or []
    found = [_extra(name, [need for need in requirements() if applies(need, name)]) for name in sorted(names)]
    mesh = (
        "installed" if importlib.util.find_spec("mediapipe") else "not installed; fedn_lightning/video/mesh.py says how"
    )
    return Section("Extras", (*found, Finding("face mesh", mesh)))


def requirements() -> list[Requirement]:
    """What the installed project says it needs, extras included."""
    return [Requirement(line) for line in metadata.requires(PROJECT) or []]


def applies(need: Requirement, extra: str = "") -> bool:
    """Whether a requirement holds on this machine: for everybody, or because of an extra alone.

    >>> applies(Requirement("ray>=2; extra == 'ray'")), applies(Requirement("ray>=2; extra == 'ray'"), "ray")
    (False, True)
    """
    always = need.marker is None or need.marker.evaluate({"extra": ""})
    if not extra:
        return always
    return not always and need.marker is not None and need.marker.evaluate({"extra": extra})


def look(need: Requirement) -> Finding:
    """Whether a package is installed in a version that will do."""
    version = version_of(need.name)
    if version is None:
        return Finding(need.name, "not installed", f"{need.name} is not installed. Run: {REPAIR}", broken=True)
    if not need.specifier.contains(version, prereleases=True):
        problem = f"{need.name} is {version}, but the project needs {need.specifier}. Run: {REPAIR}"
        return Finding(need.name, version, problem, broken=True)
    return Finding(need.name, version)


def version_of(name: str) -> str | None:
    """The installed version of a package, None if it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _extra(name: str, needs: Iterable[Requirement]) -> Finding:
    wanted = [need for need in needs if need.name != PROJECT]
    versions = {need.name: version_of(need.name) for need in wanted}
    missing = [package for package, version in versions.items() if version is None]
    if missing:
        return Finding(name, f"not installed ({', '.join(missing)}); pip install '{PROJECT}[{name}]'")
    return Finding(name, ", ".join(f"{package} {version}" for package, version in versions.items()))
