"""`fedn data synth`, `stills`, `moments` and `faces`: write what is generated.

Every function takes the words after its command and returns 0. Errors are raised as
:class:`~fedn_lightning.errors.FednError`. What takes long to import waits until the options are read.
"""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from fedn_lightning.cli.options import CommandParser
from fedn_lightning.errors import ConfigError
from fedn_synth import Faces, Form, PresetName

A_FOLDER = "folder to write to: new, empty, or begun before"
AGAIN = "If it is interrupted, run the same command again to continue."


def _parser(command: str, description: str, out: str, seed: str) -> CommandParser:
    """The options that every command has."""
    parser = CommandParser(f"data {command}", description)
    parser.add_argument("--out", type=Path, required=True, help=out)
    parser.add_argument("--seed", type=int, default=0, help=f"{seed} (default: 0)")
    parser.add_argument("--faces", choices=get_args(Faces), default="2d", help="painted flat or heads of a mesh")
    return parser


def _add_writing(parser: CommandParser) -> None:
    """The options of commands that write a folder."""
    parser.add_argument("--pose", type=float, default=0, help="degrees by which heads of --faces 3d turn at most")
    parser.add_argument("--jobs", type=int, default=None, help="number of processes (default: one per core)")


def _add_counts(parser: CommandParser, **counts: tuple[int, str]) -> None:
    for name, (default, text) in counts.items():
        parser.add_argument(
            f"--{name.replace('_', '-')}", type=int, default=default, help=f"{text} (default: {default})"
        )


def synth(argv: list[str]) -> int:
    """Runs `fedn data synth`."""
    parser = _parser(
        "synth",
        "Films generated faces and writes the videos, their annotation workbook and the truth about them as CAS(ME)^2 "
        f"lies on disk. {AGAIN}",
        A_FOLDER,
        "another seed, other people and expressions",
    )
    sizes = get_args(PresetName)
    parser.add_argument("--preset", choices=sizes, default="standard", help="size of the corpus (default: standard)")
    parser.add_argument("--as", dest="form", choices=get_args(Form), default="video", help="form of the videos")
    parser.add_argument("--hard", action="store_true", help="stronger distractors, other light, stronger compression")
    parser.add_argument("--rate", type=float, default=1, help="share of the preset's expressions; 0 for none at all")
    _add_writing(parser)
    options = parser.parse_args(argv)
    from fedn_synth.write.corpus import Job, write_corpus

    kind = {"faces": options.faces, "pose": options.pose, "rate": options.rate}
    job = Job(options.preset, options.seed, options.form, options.hard, **kind)
    corpus = write_corpus(options.out, job, options.jobs)
    print(
        f"{options.out}: {corpus['n_subjects']} subjects, {corpus['n_videos']} videos, {corpus['n_frames']} frames, "
        f"{corpus['n_macro']} macro- and {corpus['n_micro']} micro-expressions. {corpus['licence']}"
    )
    return 0


def stills(argv: list[str]) -> int:
    """Runs `fedn data stills`."""
    parser = _parser(
        "stills",
        "Photographs generated people who occur in no generated corpus, showing the eight classes of AffectNet and in "
        f"its layout. {AGAIN}",
        A_FOLDER,
        "another seed, other people",
    )
    side = 160, "side of the stills in pixels"
    _add_counts(parser, identities=(600, "number of people"), per_identity=(20, "stills of each"), size=side)
    _add_writing(parser)
    options = parser.parse_args(argv)
    from fedn_synth.write.stills import StillsJob, write_stills

    sizes = options.identities, options.per_identity, options.size
    job = StillsJob(options.seed, *sizes, faces=options.faces, pose=options.pose)
    written = write_stills(options.out, job, options.jobs)
    print(
        f"{options.out}: {written['n_train']} stills to train on, {written['n_val']} of other people to validate on. "
        f"{written['licence']}"
    )
    return 0


def moments(argv: list[str]) -> int:
    """Runs `fedn data moments`."""
    parser = _parser(
        "moments",
        "Films generated people who occur nowhere else, and writes two quiet frames, the onset and the apex of micro- "
        "and macro-expressions of every emotion: what PrintFeatureMotion tests an encoder on.",
        "file to write; .npz",
        "another seed, other people",
    )
    _add_counts(parser, identities=(20, "number of people"), size=(128, "side of the crops in pixels"))
    options = parser.parse_args(argv)
    from fedn_synth.write.stills import MomentsJob, write_moments

    job = MomentsJob(options.seed, options.identities, options.size, options.faces)
    print(f"{options.out}: {write_moments(options.out, job)} expressions of {options.identities} people.")
    return 0


def faces(argv: list[str]) -> int:
    """Runs `fedn data faces`."""
    parser = _parser(
        "faces",
        "Draws a contact sheet of generated faces: neutral and the apex of every emotion in columns, people in rows, "
        "and below them micro-expressions beside their onset.",
        "picture to write; .png or .jpg",
        "which people are drawn",
    )
    _add_counts(parser, identities=(6, "how many people are drawn"))
    options = parser.parse_args(argv)
    if options.out.suffix.lower() not in (".png", ".jpg"):
        raise ConfigError(
            f"--out {options.out} must end in .png or .jpg, so that it is clear which kind of picture is meant."
        )
    if options.seed < 0 or options.identities < 1:
        raise ConfigError(
            f"--seed must be at least 0 and --identities at least 1, got {options.seed} and {options.identities}."
        )

    import cv2

    from fedn_synth.plan.distractors import ORDINARY
    from fedn_synth.renderers import check_faces
    from fedn_synth.write.contact_sheet import contact_sheet

    check_faces(options.faces, 0, ORDINARY)
    sheet = contact_sheet(options.seed, options.identities, options.faces)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(options.out), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))
    print(f"{options.identities} people, {sheet.shape[1]} x {sheet.shape[0]} px: {options.out}")
    return 0
