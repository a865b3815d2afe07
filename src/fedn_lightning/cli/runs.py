"""Commands on finished runs, such as `fedn report`, and `fedn export`, `dashboard` and `doctor`.

Every function takes the words after the command and returns the exit code.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fedn_lightning.cli.options import RUN_FILES, CommandParser, at_least
from fedn_lightning.errors import CheckpointError, ConfigError

if TYPE_CHECKING:
    from fedn_lightning.analysis.summary import Summary


# The functions import what they need when they are called: torch and numpy take seconds, and --help needs neither.

A_RUN = "RUN is the folder of a run, of pooled folds, or of an experiment of fedn loso with one pooled result."
COMPARISON = {"md": "comparison.md", "tex": "comparison.tex", "json": "comparison.json", "png": "comparison.png"}


def compare(argv: list[str]) -> int:
    """Runs `fedn compare`."""
    p = CommandParser(
        "compare",
        "Compares runs on the same subjects with the first one: differences, and 95 % intervals from a bootstrap that "
        "draws the same subjects for all runs.",
        A_RUN,
    )
    p.add_argument("runs", nargs="+", metavar="RUN", help=RUN_FILES)
    p.add_argument("--names", nargs="+", default=[], metavar="NAME", help="names of the runs in the tables")
    p.add_draws(2000)
    p.add_argument("--seed", type=int, default=0, help="of the draws (default: 0)")
    p.add_argument("--json", action="store_true", help="print JSON")
    p.add_argument("--out", metavar="DIR", help=f"write {', '.join(COMPARISON.values())}")
    options = p.parse_args(argv)
    from fedn_lightning.analysis import comparison
    from fedn_lightning.reports.console import lines
    from fedn_lightning.utils.files import write_json, write_text

    found = comparison.compare(options.runs, options.names, options.bootstrap, options.seed)
    if options.json:
        print(json.dumps(comparison.comparison_json(found), indent=2))
    else:
        print("\n".join([*lines("", comparison.score_rows(found)), "", *lines("", comparison.subject_rows(found))]))
    if options.out:
        folder = Path(options.out)
        write_text(folder / COMPARISON["md"], comparison.comparison_markdown(found))
        write_text(folder / COMPARISON["tex"], comparison.comparison_latex(found))
        write_json(folder / COMPARISON["json"], comparison.comparison_json(found))
        comparison.save_comparison(found, folder / COMPARISON["png"])
        print(f"wrote {', '.join(COMPARISON.values())} into {folder}", file=sys.stderr)
    return 0


def errors(argv: list[str]) -> int:
    """Runs `fedn errors`."""
    p = CommandParser(
        "errors",
        "Sorts the false negatives and false positives of a run into kinds, after TIDE and DETAD; shows the cost of "
        "each kind, the distractors, and how recall depends on the expression. Several runs are shown side by side.",
        A_RUN,
    )
    p.add_argument("runs", nargs="+", metavar="RUN", help=RUN_FILES)
    p.add_argument("--names", nargs="+", default=[], metavar="NAME", help="names of the runs in the tables")
    p.add_argument("--truth", metavar="CORPUS", help="root of the generated corpus (default: as in the run's config)")
    p.add_argument("--json", action="store_true", help="print JSON")
    p.add_argument("--out", metavar="DIR", help="write errors.csv, errors.md, errors.json and pictures")
    options = p.parse_args(argv)
    from fedn_lightning.analysis.comparison import shortest_names
    from fedn_lightning.analysis.run import read_run_errors
    from fedn_lightning.analysis.summary import errors_json, summarise
    from fedn_lightning.results import find_run

    if options.names and len(options.names) != len(options.runs):
        msg = f"Give a name for every run or for none; got {len(options.runs)} runs and {len(options.names)} names."
        raise ConfigError(msg)
    folders = [find_run(Path(run)) for run in options.runs]
    names = tuple(options.names) or shortest_names(folders)
    if len(set(names)) < len(names):
        raise ConfigError(f"Runs need different names, got {', '.join(names)}; give them with --names.")
    found = [summarise(read_run_errors(*run, options.truth)) for run in zip(folders, names, strict=True)]
    if options.json:
        print(json.dumps(errors_json(found), indent=2))
    else:
        print(_errors_text(found))
    if options.out:
        _write_errors(Path(options.out), found)
    return 0


def _errors_text(found: Sequence[Summary]) -> str:
    from fedn_lightning.analysis import summary as tables
    from fedn_lightning.reports.console import lines

    heads = "\n".join(tables.headline(summary.run) for summary in found)
    return "\n\n".join(
        [heads, *("\n".join(lines("", rows)) for rows in tables.all_tables(found)), *tables.notes(found)]
    )


def _write_errors(folder: Path, found: Sequence[Summary]) -> None:
    """Writes tables and pictures. Each of several runs gets a folder, beside their comparison."""
    from fedn_lightning.analysis import pictures
    from fedn_lightning.analysis import summary as tables
    from fedn_lightning.analysis.run import write_errors
    from fedn_lightning.utils.files import write_json, write_text

    for one in found:
        home = folder if len(found) == 1 else folder / one.run.name.replace("/", "_")
        write_errors(home / "errors.csv", one.run)
        write_text(home / "errors.md", tables.errors_markdown([one]))
        write_json(home / "errors.json", tables.errors_json([one]))
        pictures.save_pictures(one, home)
    if len(found) > 1:
        write_text(folder / "errors.md", tables.errors_markdown(found))
        write_json(folder / "errors.json", tables.errors_json(found))
        pictures.save_losses(found, folder / "losses.png")
    print(f"wrote tables and pictures into {folder}", file=sys.stderr)


def report(argv: list[str]) -> int:
    """Runs `fedn report`."""
    p = CommandParser(
        "report",
        "Writes one self-contained HTML page about a run: scores with intervals, subjects, confusion, operating "
        "curves, timelines to zoom, the worst errors as film strips, and the network's attention.",
        "RUN is the folder of a run, of a fold, of pooled folds, or of an experiment of fedn loso.",
    )
    p.add_argument("run", metavar="RUN", help="folder of a run or of fedn loso")
    p.add_argument("--out", metavar="FILE", help="the page (default: RUN/report.html)")
    p.add_argument("--open", action="store_true", help="show it in the browser")
    strips = "false positives and false negatives shown (default: 8 each)"
    p.add_argument("--strips", type=at_least(0), default=8, metavar="N", help=strips)
    looks = "events whose attention is shown (default: 5)"
    p.add_argument("--looks", type=at_least(0), default=5, metavar="N", help=looks)
    p.add_draws()
    options = p.parse_args(argv)
    from fedn_lightning.reports.html.report import write_report
    from fedn_lightning.results.run_folder import read_run

    run = read_run(options.run, options.bootstrap)
    page = write_report(options.out or run.folder / "report.html", run, options.strips, options.looks)
    print(f"{page} ({page.stat().st_size / 1e6:.1f} MB)")
    if options.open:
        import webbrowser

        webbrowser.open(page.resolve().as_uri())
    return 0


def two_step(argv: list[str]) -> int:
    """Runs `fedn two-step`."""
    p = CommandParser(
        "two-step",
        "Runs the two-step pipeline: a recogniser names the emotion of every proposal of a spotter. Writes a run like "
        "that of fedn fit, for fedn evaluate, compare, report and errors.",
        "Both are folders of fedn fit with the same held-out subjects, or both are folders of fedn loso "
        "(runs/EXPERIMENT/HASH): then every fold is combined, and the folds are pooled. Finished folds are kept.",
    )
    p.add_argument("spotter", type=Path, metavar="SPOTTER_RUN", help="run of a DetectionTask, e.g. recognise: false")
    p.add_argument("recogniser", type=Path, metavar="RECOGNISER_RUN", help="run of a RecognitionTask")
    p.add_argument("--out", type=Path, required=True, metavar="RUN", help="folder to write")
    p.add_draws()
    options = p.parse_args(argv)
    from rich.console import Console

    from fedn_lightning.baselines.two_step import EXPERIMENT, combine, combine_folds
    from fedn_lightning.loso.pool import print_seeds
    from fedn_lightning.reports.console import print_card
    from fedn_lightning.utils.console import note

    parts = options.spotter, options.recogniser
    if any((part / EXPERIMENT).is_file() for part in parts):
        print_seeds(combine_folds(*parts, options.out, options.bootstrap, note), Console())
    else:
        result = combine(*parts, options.out)
        print_card(result, str(options.out), sorted(path.name for path in options.out.iterdir()))
    return 0


def generalise(argv: list[str]) -> int:
    """Runs `fedn generalise`; returns the exit code of `fedn test`."""
    p = CommandParser(
        "generalise",
        "Tests the best checkpoint of RUN on every video of the corpus in ROOT. Nothing is trained or chosen again: "
        "weights and score thresholds are those of RUN. It is `fedn test` with RUN's configuration, everyone as test "
        "subject, and a clip store and a run folder of its own.",
        "Further options go to fedn test, e.g. --data.corpus.policies.offset_policy apex.",
        usage="fedn generalise RUN ROOT [--dataset NAME] [--store DIR] [--run_dir DIR] [--KEY VALUE ...]",
    )
    p.add_argument("run", type=Path, metavar="RUN", help="folder of a run of fedn fit")
    p.add_argument("root", type=Path, metavar="ROOT", help="root of the other corpus")
    p.add_argument("--dataset", metavar="NAME", help="its reader (default: that of RUN)")
    p.add_argument("--store", type=Path, metavar="DIR", help="its clip store (default: beside RUN's, named as ROOT)")
    p.add_argument("--run_dir", type=Path, metavar="DIR", help="where to write (default: RUN_on_<name of ROOT>)")
    options, more = p.parse_known_args(argv)
    args = args_of_test(options.run, options.root, options.dataset, options.store, options.run_dir)
    from fedn_lightning.cli.fit import main as test

    return test([*args, *more])


def args_of_test(
    run: Path, root: Path, dataset: str | None = None, store: Path | None = None, run_dir: Path | None = None
) -> list[str]:
    """The arguments of `fedn test` that test a run on another corpus.

    Args:
        run: folder of the run.
        root: of the other corpus.
        dataset: name of its reader, None for the run's own.
        store: its clip store. By default it lies beside the run's and is named as the corpus: crops of two corpora must
            never share a store, where videos of the same name would replace each other.
        run_dir: where the test writes its folder `test`.
    """
    from fedn_lightning.results.names import BEST, CONFIG

    config, checkpoint = run / CONFIG, run / BEST
    if not config.is_file():
        raise ConfigError(f"{run} is not a run: it has no config.yaml. Give a folder that fedn fit has written.")
    if not checkpoint.is_file():
        raise CheckpointError(f"{run} is not a finished run: it has no checkpoints/best.ckpt. Let fedn fit end first.")
    name, home = root.resolve().name, run if run.name not in ("", "..") else run.resolve()
    store = store or _store_of(run).parent / name
    run_dir = run_dir or home.with_name(f"{home.name}_on_{name}")
    args = ["test", "--config", str(config), "--ckpt_path", str(checkpoint), "--run_dir", str(run_dir)]
    args += ["--data.corpus.root", str(root), "--data.crops.store", str(store), "--data.test_subject", "all"]
    return [*args, *(["--data.corpus.dataset", dataset] if dataset else [])]


def _store_of(run: Path) -> Path:
    """The clip store that a run's configuration names."""
    from fedn_lightning.results.names import CONFIG
    from fedn_lightning.results.run_folder import RunConfig

    store = RunConfig.read(run).crops.get("store")
    if not store:
        raise ConfigError(f"{run / CONFIG} names no clip store (data.crops.store); it is not that of a detection run.")
    return Path(store)


# The functions import what they need when they are called: torch takes seconds, and --help does not need it.


def doctor(argv: list[str]) -> int:
    """Runs `fedn doctor`; returns 1 if something that everybody needs is broken."""
    p = CommandParser(
        "doctor",
        "Checks versions, devices, decoders, the face finder, data sets, W&B and the disk. Prints Markdown to paste "
        "into a bug report. Exit code 1 if something that everybody needs is broken.",
    )
    p.add_argument("--json", action="store_true", help="print JSON")
    p.add_argument("--paths", action="store_true", help="print full paths (default: the home folder is written as ~)")
    options = p.parse_args(argv)
    from fedn_lightning.doctor import hide_home, is_broken, run_checks, to_markdown, to_plain

    sections = run_checks(paths=options.paths)
    if not options.paths:
        sections = hide_home(sections)
    print(json.dumps(to_plain(sections), indent=2) if options.json else to_markdown(sections))
    return int(is_broken(sections))


def export(argv: list[str]) -> int:
    """Runs `fedn export`."""
    p = CommandParser(
        "export",
        "Writes a checkpoint as encoder.onnx (face crops to frame features) and detector.onnx (windows of features to "
        "intervals and scores), with a manifest fedn.json, and compares both with PyTorch.",
        "docs/export.md shows how to use the files with onnxruntime alone. Takes about half a minute.",
    )
    p.add_argument("--ckpt", type=Path, metavar="FILE", help="checkpoint (default: the weights in the package)")
    p.add_argument("--align", choices=("video", "track", "none"), help="how faces were aligned, if it does not say")
    p.add_argument("--out", type=Path, metavar="DIR", help="folder to write to (default: onnx, beside --ckpt)")
    options = p.parse_args(argv)
    print("translating and comparing, about half a minute ...", file=sys.stderr)
    from fedn_lightning.export import check_packages, export
    from fedn_lightning.utils.console import note
    from fedn_lightning.weights import shipped

    check_packages()
    beside = options.ckpt.parent if options.ckpt else Path()
    exported = export(options.ckpt or shipped(), options.out or beside / "onnx", options.align)
    for sentence in exported.notes:
        note(sentence)
    for file in exported.files:
        print(f"{file}  {file.stat().st_size / 1e6:.2f} MB")
    print("largest difference from PyTorch, on a generated face and on random input:")
    for found in exported.differences:
        print(f"  {found.graph + '.' + found.output:<20}  {found.largest:.1e}  (values up to {found.scale:.3g})")
    return 0


def dashboard(argv: list[str]) -> int:
    """Runs `fedn dashboard`."""
    p = CommandParser(
        "dashboard",
        "Creates a W&B workspace: pooled results, ablations against a baseline, folds, training, timelines, events. It "
        "needs network and login, except with --dry-run or --json (docs/tracking.md).",
    )
    p.add_argument("--project", default="fedn-lightning", help="W&B project (default: fedn-lightning)")
    p.add_argument("--entity", default="", help="user or team (default: that of the login)")
    p.add_argument("--group", nargs="+", default=[], metavar="G", help="only runs of these groups (default: all)")
    p.add_argument("--baseline", metavar="G", help="group whose pooled run the others are compared with")
    p.add_argument("--name", default="fedn", help="of the workspace (default: fedn)")
    p.add_argument("--dry-run", action="store_true", help="show what it would hold; create nothing")
    p.add_argument("--json", metavar="FILE", help="write it to a file as W&B stores it; create nothing")
    options = p.parse_args(argv)
    from fedn_lightning.loggers.workspace import View, build, describe, save, specification
    from fedn_lightning.utils.files import write_json

    view = View(options.project, options.entity, options.name, tuple(options.group), options.baseline)
    if options.json:
        write_json(options.json, specification(view))
        print(f"wrote {options.json}", file=sys.stderr)
    if options.dry_run:
        print("\n".join(describe(view, build(view).sections)))
    if not options.json and not options.dry_run:
        print(save(view))
    return 0
