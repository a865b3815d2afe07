"""The checks of versions, devices, memory, data and W&B; the result of a check and its text."""

from __future__ import annotations

import importlib.util
import netrc
import os
import platform
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml  # type: ignore[import-untyped]
from packaging.requirements import Requirement

from fedn_lightning.utils import TRAINING_MEMORY, available_cores, available_memory

GB = 1e9

MIN_DISK = 3.0
"""GB: generated corpus, stills, crops and runs of `make fit` take some 2 GB."""


def check_machine(paths: bool = False) -> Section:
    """System, Python, cores, memory, disk."""
    where = [Finding("Python's path", sys.executable), Finding("folder", str(Path.cwd()))] if paths else []
    return Section(
        "Machine",
        (
            Finding("system", platform.platform()),
            Finding("Python", platform.python_version()),
            Finding("cores", f"{available_cores()} of {os.cpu_count()} usable"),
            _memory(),
            disk(shutil.disk_usage(Path.cwd()).free),
            *where,
        ),
    )


def check_devices() -> Section:
    """Devices that torch can use."""
    import torch

    found = [Finding("threads", f"{torch.get_num_threads()} of torch (OMP_NUM_THREADS {_setting('OMP_NUM_THREADS')})")]
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    for number in range(count):
        free, total = torch.cuda.mem_get_info(number)
        name = torch.cuda.get_device_name(number)
        found.append(Finding(f"CUDA {number}", f"{name}, {free / GB:.1f} of {total / GB:.1f} GB free"))
    if not count:
        built = (
            f"built for {torch.version.cuda}, but no device answers" if torch.version.cuda else "torch is built without"
        )
        found.append(Finding("CUDA", f"none ({built})"))
    found.append(Finding("MPS", "available" if torch.backends.mps.is_available() else "none"))
    return Section("Devices", tuple(found))


def disk(free: float) -> Finding:
    """Checks the free space, in bytes, of the disk of the current folder.

    >>> disk(1e9).problem
    'The disk has 1.0 GB free; make fit needs about 3. Make room, or work in a folder on another disk.'
    """
    problem = ""
    if free < MIN_DISK * GB:
        problem = (
            f"The disk has {free / GB:.1f} GB free; make fit needs about {MIN_DISK:g}. "
            f"Make room, or work in a folder on another disk."
        )
    return Finding("disk", f"{free / GB:.1f} GB free", problem)


def _memory() -> Finding:
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 0
    available = available_memory()
    if available is None:
        return Finding("memory", f"{total / GB:.1f} GB" if total else "unknown")
    problem = ""
    if available < TRAINING_MEMORY:
        problem = (
            f"{available / GB:.1f} GB of memory are free; training needs about {TRAINING_MEMORY / GB:g}. "
            "End other programs."
        )
    return Finding("memory", f"{available / GB:.1f} of {total / GB:.1f} GB free", problem)


def _setting(name: str) -> str:
    return os.environ.get(name, "not set")


PROJECT = "fedn-lightning"
REPAIR = "pip install -c constraints.txt -e ."
"""The command that installs what the project needs, in its checkout."""


def check_packages() -> Section:
    """Versions of all that the project needs."""
    found = [Finding(PROJECT, metadata.version(PROJECT))]
    return Section("Packages", (*found, *(check_requirement(need) for need in requirements() if applies(need))))


def check_extras() -> Section:
    """Which optional extras are installed; a missing one is no problem."""
    names = metadata.metadata(PROJECT).get_all("Provides-Extra") or []
    found = [_extra(name, [need for need in requirements() if applies(need, name)]) for name in sorted(names)]
    mesh = (
        "installed"
        if importlib.util.find_spec("mediapipe")
        else "not installed; the error message of `finder: mesh` names the command"
    )
    return Section("Extras", (*found, Finding("face mesh", mesh)))


def requirements() -> list[Requirement]:
    """The requirements of the installed project, extras included."""
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


def check_requirement(need: Requirement) -> Finding:
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


def _extra(name: str, needs: Sequence[Requirement]) -> Finding:
    wanted = [need for need in needs if need.name != PROJECT]
    versions = {need.name: version_of(need.name) for need in wanted}
    missing = [package for package, version in versions.items() if version is None]
    if missing:
        return Finding(name, f"not installed ({', '.join(missing)}); pip install '{PROJECT}[{name}]'")
    return Finding(name, ", ".join(f"{package} {version}" for package, version in versions.items()))


WANDB_MODES = ("offline", "online", "disabled", "dryrun", "run")
"""What the variable WANDB_MODE may say; the last two are old names of the first two."""

WANDB_HOST = "https://api.wandb.ai"


def check_data(experiments: Path, folder: Path) -> Section:
    """Which data sets and weights the experiments name are there, and the other content of the data folder."""
    named = configured_paths(experiments)
    found = [
        Finding(place, f"{'there' if Path(place).exists() else 'not there'} ({', '.join(sorted(who))})")
        for place, who in sorted(named.items())
    ]
    others = sorted(str(path) for path in folder.glob("*") if path.is_dir() and str(path) not in named)
    found += [Finding(place, "there") for place in others]
    if not named:
        found.append(
            Finding("experiments", f"none in the folder {experiments}; run this in the project's checkout to see them")
        )
    return Section("Data", tuple(found))


def configured_paths(experiments: Path) -> dict[str, set[str]]:
    """Data roots and encoder weights by the experiments that name them."""
    named: dict[str, set[str]] = {}
    for file in sorted(experiments.rglob("*.yaml")):
        try:
            content = yaml.safe_load(file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, RecursionError, yaml.YAMLError):
            continue  # fedn fit reports the error
        for place in _paths_of(content):
            named.setdefault(place, set()).add(file.stem)
    return named


def _paths_of(content: Any) -> list[str]:
    paths = (
        ("data", "init_args", "corpus", "root"),
        ("data", "init_args", "root"),
        ("model", "init_args", "encoder", "weights"),
    )
    found = []
    for path in paths:
        value = content
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        found += [place for place in (value if isinstance(value, list) else [value]) if isinstance(place, str)]
    return found


def check_wandb() -> Section:
    """Mode and login of W&B; the key is looked for, never shown."""
    mode = os.environ.get("WANDB_MODE", "")
    login = login_of(os.environ.get("WANDB_BASE_URL") or WANDB_HOST)
    problem = ""
    if mode and mode not in WANDB_MODES:
        problem = f'WANDB_MODE is "{mode}"; set it to offline, online or disabled, or unset it.'
    elif mode in ("online", "run") and not login:
        problem = f"WANDB_MODE is {mode}, but there is no login. Run: wandb login, or unset WANDB_MODE."
    return Section(
        "W&B",
        (
            Finding(
                "mode", f"{mode} (WANDB_MODE)" if mode else "offline, unless a configuration says otherwise", problem
            ),
            Finding("login", login or "none; only uploads need one"),
        ),
    )


def login_of(server: str) -> str:
    """Where a key for a W&B server comes from; empty if there is none. The key itself is not read out."""
    if os.environ.get("WANDB_API_KEY"):
        return "by WANDB_API_KEY"
    given = os.environ.get("NETRC")
    files = [Path(given)] if given else [Path.home() / ".netrc", Path.home() / "_netrc"]
    for file in files:
        try:
            known = netrc.netrc(file).hosts
        except (OSError, netrc.NetrcParseError):
            continue
        if urlsplit(server).hostname in known:
            return f"by {file.name}"
    return ""


@dataclass(frozen=True)
class Finding:
    """The result of one check."""

    name: str  # what was checked
    value: str  # what was found
    problem: str = ""  # what is wrong and what to do, a sentence; empty if nothing is
    broken: bool = False  # whether something that everybody needs does not work


@dataclass(frozen=True)
class Section:
    """Findings that belong together."""

    title: str
    findings: tuple[Finding, ...]


def is_broken(sections: Sequence[Section]) -> bool:
    """Whether something that everybody needs does not work."""
    return any(finding.broken for section in sections for finding in section.findings)


def problems(sections: Sequence[Section]) -> list[str]:
    """The sentences about what is wrong."""
    return [finding.problem for section in sections for finding in section.findings if finding.problem]


def to_markdown(sections: Sequence[Section]) -> str:
    """Headings and lists that read well in a terminal and in a bug report.

    >>> print(to_markdown([Section("Disk", (Finding("free", "1 GB", "Make room."),))]))
    ### Problems
    - Make room.
    <BLANKLINE>
    ### Disk
    - free: 1 GB
    """
    wrong = problems(sections)
    blocks = ["\n".join(["### Problems", *(f"- {text}" for text in wrong)]) if wrong else "No problem was found."]
    blocks += ["\n".join([f"### {s.title}", *(f"- {f.name}: {f.value}" for f in s.findings)]) for s in sections]
    return "\n\n".join(blocks)


def to_plain(sections: Sequence[Section]) -> dict[str, Any]:
    """The same as plain values for JSON."""
    found = {section.title.lower(): [asdict(finding) for finding in section.findings] for section in sections}
    return {"broken": is_broken(sections), "problems": problems(sections), **found}


def hide_home(sections: Sequence[Section], home: Path | None = None) -> list[Section]:
    """The same with the home folder written as `~`, so that a pasted report shows no user name.

    >>> section = Section("Data", (Finding("root", "/ada/data"),))
    >>> hide_home([section], Path("/ada"))[0].findings[0].value
    '~/data'
    """
    folder = str(home or Path.home())
    if len(folder) <= 1:
        return list(sections)

    def shorten(finding: Finding) -> Finding:
        name, value, problem = (text.replace(folder, "~") for text in (finding.name, finding.value, finding.problem))
        return Finding(name, value, problem, finding.broken)

    return [Section(section.title, tuple(map(shorten, section.findings))) for section in sections]
