"""`fedn data synth`: writes the generated corpus."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from fedn_lightning.cli.options import CommandParser
from fedn_lightning.errors import ConfigError


def synth(argv: list[str]) -> int:
    """Runs the command.

    Args:
        argv: the arguments after `fedn data synth`.

    Returns:
        0; errors are raised as :class:`~fedn_lightning.errors.FednError`.
    """
    from fedn_synth.plan.presets import PRESETS
    from fedn_synth.renderers import Faces
    from fedn_synth.write.output import Form

    parser = CommandParser(
        "data synth",
        "Films generated faces and writes the videos, their annotation workbook and the truth about them "
        "as CAS(ME)^2 lies on disk. If it is interrupted, run the same command again to continue.",
    )
    parser.add_argument("--preset", choices=PRESETS, default="standard", help="size of the corpus (default: standard)")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to: new, empty, or begun before")
    parser.add_argument("--seed", type=int, default=0, help="another seed, other people and expressions (default: 0)")
    parser.add_argument("--as", dest="form", choices=get_args(Form), default="video", help="form of the videos")
    parser.add_argument("--jobs", type=int, default=None, help="number of processes (default: one per core)")
    parser.add_argument("--hard", action="store_true", help="stronger distractors, other light, stronger compression")
    parser.add_argument("--faces", choices=get_args(Faces), default="2d", help="painted flat or heads of a mesh")
    parser.add_argument("--pose", type=float, default=0, help="degrees by which heads of --faces 3d turn at most")
    parser.add_argument("--rate", type=float, default=1, help="share of the preset's expressions; 0 for none at all")
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
    """Runs the command.

    Args:
        argv: the arguments after `fedn data stills`.

    Returns:
        0; errors are raised as :class:`~fedn_lightning.errors.FednError`.
    """
    from fedn_synth.renderers import Faces

    parser = CommandParser(
        "data stills",
        "Photographs generated people who occur in no generated corpus, showing the eight classes of "
        "AffectNet and in its layout. If it is interrupted, run the same command again to continue.",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder to write to: new, empty, or begun before")
    parser.add_argument("--seed", type=int, default=0, help="another seed, other people (default: 0)")
    parser.add_argument("--identities", type=int, default=600, help="number of people (default: 600)")
    parser.add_argument("--per-identity", type=int, default=20, help="stills of each (default: 20)")
    parser.add_argument("--size", type=int, default=160, help="side of the stills in pixels (default: 160)")
    parser.add_argument("--faces", choices=get_args(Faces), default="2d", help="painted flat or heads of a mesh")
    parser.add_argument("--pose", type=float, default=0, help="degrees by which heads of --faces 3d turn at most")
    parser.add_argument("--jobs", type=int, default=None, help="number of processes (default: one per core)")
    options = parser.parse_args(argv)
    from fedn_synth.write.stills import StillsJob, write_stills

    sizes = options.identities, options.per_identity, options.size
    job = StillsJob(options.seed, *sizes, faces=options.faces, pose=options.pose)
    stills = write_stills(options.out, job, options.jobs)
    print(
        f"{options.out}: {stills['n_train']} stills to train on, {stills['n_val']} of other people to validate on. "
        f"{stills['licence']}"
    )
    return 0


def moments(argv: list[str]) -> int:
    """Runs the command.

    Args:
        argv: the arguments after `fedn data moments`.

    Returns:
        0; errors are raised as :class:`~fedn_lightning.errors.FednError`.
    """
    parser = CommandParser(
        "data moments",
        "Films generated people who occur nowhere else, and writes two quiet frames, the onset and the "
        "apex of micro- and macro-expressions of every emotion: what PrintFeatureMotion tests an encoder on.",
    )
    parser.add_argument("--out", type=Path, required=True, help="file to write; .npz")
    parser.add_argument("--seed", type=int, default=0, help="another seed, other people (default: 0)")
    parser.add_argument("--identities", type=int, default=20, help="number of people (default: 20)")
    parser.add_argument("--size", type=int, default=128, help="side of the crops in pixels (default: 128)")
    parser.add_argument("--faces", choices=("2d", "3d"), default="2d", help="painted flat or heads of a mesh")
    options = parser.parse_args(argv)
    from fedn_synth.write.stills import MomentsJob, write_moments

    job = MomentsJob(options.seed, options.identities, options.size, options.faces)
    print(f"{options.out}: {write_moments(options.out, job)} expressions of {options.identities} people.")
    return 0


def faces_parser() -> CommandParser:
    """The command's options."""
    parser = CommandParser(
        "data faces",
        "Draws a contact sheet of generated faces: neutral and the apex of every emotion in columns, "
        "people in rows, and below them micro-expressions beside their onset.",
    )
    parser.add_argument("--out", required=True, help="picture to write; .png or .jpg")
    parser.add_argument("--seed", type=int, default=0, help="which people are drawn (default: 0)")
    parser.add_argument("--identities", type=int, default=6, help="how many people are drawn (default: 6)")
    parser.add_argument("--faces", choices=("2d", "3d"), default="2d", help="painted flat or heads of a mesh")
    return parser


def faces(argv: list[str]) -> int:
    """Runs the command.

    Args:
        argv: the arguments after `fedn data faces`.

    Returns:
        Exit code 0.

    Raises:
        ConfigError: if an option has a value that cannot work.
    """
    options = faces_parser().parse_args(argv)
    out = Path(options.out)
    if out.suffix.lower() not in (".png", ".jpg"):
        msg = f"--out {options.out} must end in .png or .jpg, so that it is clear which kind of picture is meant."
        raise ConfigError(msg)
    if options.seed < 0 or options.identities < 1:
        msg = f"--seed must be at least 0 and --identities at least 1, got {options.seed} and {options.identities}."
        raise ConfigError(msg)

    import cv2

    from fedn_synth.plan.distractors import ORDINARY
    from fedn_synth.renderers import check_faces
    from fedn_synth.write.contact_sheet import contact_sheet

    check_faces(options.faces, 0, ORDINARY)
    sheet = contact_sheet(options.seed, options.identities, options.faces)
    out.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(out), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))
    print(f"{options.identities} people, {sheet.shape[1]} x {sheet.shape[0]} px: {out}")
    return 0
