"""Commands on events of anyone: `fedn evaluate` scores predictions against a truth table, or measures the agreement of
two coders; `fedn summary` counts what was found, for a paper.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from fedn_lightning.cli.options import CommandParser, at_least
from fedn_lightning.errors import ConfigError, PredictionFileError
from fedn_lightning.utils.console import note

if TYPE_CHECKING:
    from fedn_lightning.metrics.functional.threshold import Threshold
    from fedn_lightning.results import EventFile, Names
    from fedn_lightning.results.agreement import Agreement
    from fedn_lightning.results.coded import CodedVideo
    from fedn_lightning.results.report import Report, Selection


PROTOCOL_NAMES = ("megc", "megc2020", "strs_metric", "exclusive")

_COLUMNS = """
Files are CSV with a header; frames are inclusive, the first frame is 1:
  predictions  subject, video, onset, offset, type [, emotion, score, emotion_score]   type: macro | micro
  truth        subject, video, onset, offset, type [, emotion]
  videos       subject, video, n_frames, fps
Challenge files are read as they are: vid, pred_onset, pred_offset, type (me | mae), or
subject, video, onset, offset, emotion (micro-expressions). docs/protocols.md explains the protocols.
Files of ELAN (.eaf), folders of them or of fedn predict give the agreement of two coders; See docs/elan.md.
"""


def parser() -> CommandParser:
    """The command's options."""
    p = CommandParser(
        "evaluate",
        "Scores predictions: spotting, recognition, STRS and detection mAP.",
        _COLUMNS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("--predictions", required=True, metavar="P.csv", help="predicted events")
    p.add_argument("--truth", required=True, metavar="T.csv", help="ground truth")
    p.add_argument("--videos", metavar="V.csv", help="list of all videos; gives false positives per minute")
    p.add_argument(
        "--protocol",
        choices=PROTOCOL_NAMES,
        default="megc",
        help="when a prediction is a true positive (default: megc)",
    )
    choice = p.add_mutually_exclusive_group()
    choice.add_argument(
        "--threshold", type=float, nargs="+", metavar="T", help="count predictions from this score on; two: macro micro"
    )
    choice.add_argument(
        "--select",
        choices=("strict", "published"),
        help="choose the threshold by F1: on --validation files, or on these predictions ('selected on test data')",
    )
    p.add_argument("--validation", nargs=2, metavar=("P.csv", "T.csv"), help="files of other subjects, for strict")
    p.add_argument("--per-type", action="store_true", help="choose a threshold each for macro and micro")
    p.add_argument("--ignore-emotion", nargs="*", default=["others"], metavar="NAME", help="not analysed (others)")
    p.add_argument("--per-subject", action="store_true", help="also every subject's counts")
    p.add_argument(
        "--bootstrap", type=at_least(0), default=0, metavar="N", help="95 %% intervals from N draws of subjects"
    )
    p.add_argument("--seed", type=int, default=0, help="of the bootstrap (default: 0)")
    p.add_argument("--lenient", action="store_true", help="skip unusable rows, count and report them")
    p.add_argument("--coders", nargs=2, metavar=("TRUTH", "PREDICTIONS"), help="of .eaf files that hold several coders")
    p.add_argument("--tiers", metavar="MAP.yaml", help="what tiers of .eaf files hold (default: elan.yaml beside them)")
    p.add_argument("--json", action="store_true", help="print JSON")
    p.add_argument("--html", metavar="OUT", help="write a page with tables and operating curves")
    return p


def main(argv: list[str]) -> int:
    """Runs the command."""
    options = parser().parse_args(argv)
    if is_coded(options.truth) or is_coded(options.predictions):
        return print_agreement(options)
    _check(options)
    report = make_report(options)
    _warn_of_given_intervals(Path(options.predictions))
    # Imported here: --help needs no numpy.
    from fedn_lightning.reports.console import to_text
    from fedn_lightning.results.report import to_json

    print(json.dumps(to_json(report), indent=2) if options.json else to_text(report))
    if options.html:
        from fedn_lightning.reports.html.report import write_evaluation

        try:
            write_evaluation(options.html, report)
        except OSError as error:
            raise ConfigError(f"The page {options.html} cannot be written: {error.strerror or error}.") from error
        print(f"wrote {options.html}", file=sys.stderr)
    return 0


def _warn_of_given_intervals(predictions: Path) -> None:
    """Warns if the predictions are those of a run whose intervals were given to a recogniser."""
    from fedn_lightning.results.names import RESULT
    from fedn_lightning.results.report import GIVEN

    try:
        result = json.loads(predictions.with_name(RESULT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return  # not the file of a run
    if isinstance(result, dict) and result.get("intervals") == "truth":
        note(f"{predictions} holds {GIVEN}. Its spotting scores mean nothing.")


def _check(options: argparse.Namespace) -> None:
    if (options.select == "strict") != (options.validation is not None):
        raise ConfigError(
            "--select strict and --validation P.csv T.csv belong together: strict chooses the threshold on those files."
        )
    if options.per_type and not options.select:
        raise ConfigError("--per-type says how --select chooses; with --threshold give two numbers, macro and micro.")
    if options.threshold and (len(options.threshold) > 2 or any(math.isnan(t) for t in options.threshold)):
        raise ConfigError(f"--threshold takes one number, or two (macro micro), got {options.threshold}.")


def make_report(options: argparse.Namespace) -> Report:
    """Reads the files and scores them as the options say."""
    from fedn_lightning.metrics.functional.bootstrap import bootstrap_intervals
    from fedn_lightning.metrics.functional.evaluation import PROTOCOLS, evaluate
    from fedn_lightning.metrics.functional.threshold import at_threshold, operating_curves
    from fedn_lightning.results import read_events, read_videos
    from fedn_lightning.results.report import Report, by_name

    names = _names(options)
    minutes = read_videos(options.videos, names) if options.videos else math.nan
    truths = read_events(options.truth, names, truth=True, lenient=options.lenient)
    annotated = set(names.emotions)
    predictions = read_events(options.predictions, names, lenient=options.lenient)
    check_common_videos(predictions, truths, names)
    if truths.has_emotion and (unknown := sorted(set(names.emotions) - annotated)):
        note(f"{options.predictions} names emotions that no truth has: {', '.join(unknown[:5])}")
    selection = select(options, predictions, truths, names)
    found, wanted, protocol = predictions.events, truths.events, PROTOCOLS[options.protocol]
    counted = at_threshold(found, selection.threshold)
    intervals = None
    if options.bootstrap:
        intervals = bootstrap_intervals(
            found, wanted, protocol, selection.threshold, draws=options.bootstrap, seed=options.seed
        )
    return Report(
        evaluation=evaluate(found, wanted, protocol, selection.threshold),
        selection=selection,
        predictions=predictions,
        truths=truths,
        emotions=tuple(names.emotions),
        n_videos=len(names.videos),
        curves=operating_curves(found, wanted, minutes),
        per_subject=by_name(counted, wanted, names, protocol) if options.per_subject else None,
        intervals=intervals,
        draws=options.bootstrap,
    )


def check_common_videos(predictions: EventFile, truths: EventFile, names: Names) -> None:
    """Checks that both files are about the same videos; names predicted videos without ground truth.

    With a list of all videos, any video may have no event.
    """
    found, wanted = set(predictions.events.video.tolist()), set(truths.events.video.tolist())
    if names.closed_by is not None or not wanted:
        return
    keys = {index: "/".join(key) for key, index in names.videos.items()}
    if not found and predictions.set_aside:
        raise PredictionFileError(f"No row of {predictions.path} can be used: {predictions.set_aside[0].reason}.")
    if found and not found & wanted:
        raise PredictionFileError(
            f"No video is in both files: {predictions.path} names {_few(keys, found)}, {truths.path} names "
            f"{_few(keys, wanted)}. Write subjects and videos alike in both."
        )
    if extra := found - wanted:
        note(f"{len(extra)} predicted videos have no row in {truths.path}: {_few(keys, extra)}")


def _few(names: dict[int, str], chosen: set[int]) -> str:
    """The first three names, and how many more there are."""
    shown = sorted(names[index] for index in chosen)
    return ", ".join(shown[:3]) + (f" and {len(shown) - 3} more" if len(shown) > 3 else "")


def select(options: argparse.Namespace, predictions: EventFile, truths: EventFile, names: Names) -> Selection:
    """The score threshold, as the options say."""
    from fedn_lightning.results.report import Selection

    if options.threshold:
        fixed: Threshold = options.threshold[0] if len(options.threshold) == 1 else tuple(options.threshold)
        return Selection("fixed", fixed, f"threshold {_shown(fixed)}, given")
    if options.select == "published":
        best = _choose(options, predictions, truths)
        return Selection("published", best, f"threshold {_shown(best)}, selected on test data")
    if options.select == "strict":
        best, subjects = _on_validation(options, names)
        return Selection("strict", best, f"threshold {_shown(best)}, chosen on {subjects} validation subjects")
    return Selection("none", -math.inf, "every prediction counts")


def _on_validation(options: argparse.Namespace, names: Names) -> tuple[Threshold, int]:
    from fedn_lightning.results import read_events

    theirs = _names(options)
    path, truth_path = options.validation
    truths = read_events(truth_path, theirs, truth=True, lenient=options.lenient)
    predictions = read_events(path, theirs, lenient=options.lenient)
    check_common_videos(predictions, truths, theirs)
    both = sorted(set(theirs.subjects) & set(names.subjects))
    if both:
        raise PredictionFileError(
            f"Subject {both[0]} is in the validation files ({path}, {truth_path}) and among the test subjects: "
            "a threshold chosen on test subjects is not strict. Use --select published to choose it there and say so."
        )
    return _choose(options, predictions, truths), len(theirs.subjects)


def _choose(options: argparse.Namespace, predictions: EventFile, truths: EventFile) -> Threshold:
    from fedn_lightning.metrics.functional.threshold import select_threshold, select_threshold_per_type

    choose = select_threshold_per_type if options.per_type else select_threshold
    return choose(predictions.events, truths.events)


def _names(options: argparse.Namespace) -> Names:
    from fedn_lightning.results import Names

    return Names(not_analysed=tuple(name.strip().lower() for name in options.ignore_emotion))


def _shown(threshold: Threshold) -> str:
    values = threshold if isinstance(threshold, tuple) else (threshold,)
    return " / ".join("none (no threshold finds a truth)" if math.isinf(v) else f"{v:.4g}" for v in values)


SUMMARY_EPILOG = """\
PREDICTIONS are folders of fedn predict, .eaf files, tables with start_seconds, end_seconds and type, or folders above
them. The covariates are a table with the column video (or person) and any others: person, condition, group, seconds.
docs/summary.md tells what the numbers mean.
"""


def summary(argv: list[str]) -> int:
    """Runs `fedn summary`."""
    p = CommandParser(
        "summary",
        "Counts expressions: rates, durations and intensities by person and condition, with intervals.",
        SUMMARY_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("predictions", nargs="+", metavar="PREDICTIONS", help="what was found, in any form")
    p.add_argument("--by", default="person", metavar="A,B", help="what rows are grouped by (person)")
    p.add_argument("--covariates", metavar="TABLE.csv", help="what is known of each video or person")
    p.add_argument("--coder", default="", metavar="NAME", help="whose events are taken where several people coded")
    p.add_argument("--tiers", metavar="MAP.yaml", help="what tiers of .eaf files hold (elan.yaml beside them)")
    p.add_argument("--json", action="store_true", help="print JSON")
    p.add_argument("--out", metavar="DIR", help="write summary.csv, .md, .tex, .json and .png")
    options = p.parse_args(argv)
    from fedn_lightning.analysis.event_summary import (
        emotion_rows,
        observe,
        rate_rows,
        read_covariates,
        summarise,
        summary_json,
        write_summary,
    )
    from fedn_lightning.datasets.elan import read_tier_map
    from fedn_lightning.reports.console import lines
    from fedn_lightning.results.coded import find_sources, read_coded

    tier_map = read_tier_map(options.tiers) if options.tiers else None
    sources = find_sources(options.predictions)
    videos = [video for source in sources for video in read_coded(source, tier_map, options.coder)]
    covariates = read_covariates(options.covariates) if options.covariates else None
    by = [word.strip() for word in options.by.split(",") if word.strip()]
    groups = summarise(observe(videos, covariates), by)
    if options.json:
        print(json.dumps(summary_json(groups), indent=2))
    else:
        print("\n".join([*lines("", rate_rows(groups)), "", *lines("", emotion_rows(groups))]))
    if groups[-1].set_aside:
        note(f"{groups[-1].set_aside} events begin in unreliable stretches and do not count")
    if options.out:
        written = write_summary(groups, options.out)
        print(f"wrote {', '.join(path.name for path in written)} into {options.out}", file=sys.stderr)
    return 0


OF_TABLES = ("videos", "threshold", "select", "validation", "per_type", "per_subject", "lenient", "html", "bootstrap")
"""Options of `fedn evaluate` that make sense for tables of frames alone."""


def is_coded(path: str) -> bool:
    """Whether a path is a file of ELAN, or a folder of such files or of outputs of `fedn predict`."""
    return Path(path).suffix.lower() == ".eaf" or Path(path).is_dir()


def print_agreement(options: argparse.Namespace) -> int:
    """Compares `options.truth` and `options.predictions` and prints the result."""
    given = [name for name in OF_TABLES if getattr(options, name)] + (
        ["protocol"] if options.protocol != "megc" else []
    )
    if given:
        msg = f"--{given[0].replace('_', '-')} does not apply to .eaf files, whose events have times and no scores."
        raise ConfigError(msg)
    from fedn_lightning.results.agreement import compare_coders

    coders = options.coders or ("", "")
    truths, predictions = (
        _read_coded(path, options.tiers, coder)
        for path, coder in zip((options.truth, options.predictions), coders, strict=True)
    )
    result = compare_coders(truths, predictions)
    if options.json:
        print(json.dumps(result.to_dict(), indent=2))
    else:
        from fedn_lightning.reports.console import agreement_text

        print(agreement_text(result, truths, predictions))
    _tell_doubts(result)
    return 0


def _read_coded(path: str, tiers: str | None, coder: str) -> list[CodedVideo]:
    from fedn_lightning.datasets.elan import read_tier_map
    from fedn_lightning.results.coded import find_sources, read_coded

    tier_map = read_tier_map(tiers) if tiers else None
    return [video for source in find_sources([path]) for video in read_coded(source, tier_map, coder)]


def _tell_doubts(result: Agreement) -> None:
    if result.left_out:
        names = ", ".join(result.left_out[:3]) + (" ..." if len(result.left_out) > 3 else "")
        note(f"{len(result.left_out)} videos are coded by one of them alone and are left out: {names}")
    if not result.lengths_known:
        note("a video is not where its .eaf file says, so its length is unknown: frames end with the last event")
