"""Checks of the video readers and of the face finder, on a short film that is written for it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fedn_lightning.doctor.machine import Finding
from fedn_lightning.errors import VideoError
from fedn_lightning.video.readers import Reader, open_video

GREYS = tuple(range(20, 240, 20))
"""Brightness of each frame of the film."""

NEAR = 6.0
"""Grey levels a decoded frame may be off: the film is compressed."""

PATIENCE = 20.0
"""Seconds after which a decoder counts as hung."""

CHILD = """
import sys
from fedn_lightning.doctor.videos import decode
print(decode("decord", sys.argv[1]))
"""


@dataclass
class DecordTrial:
    """Runs decord in a child process, because its native code may hang or crash."""

    child: subprocess.Popen[str]

    @classmethod
    def start(cls, film: Path) -> DecordTrial:
        """Begins to decode the film; :meth:`finding` waits for it."""
        command = [sys.executable, "-c", CHILD, str(film)]
        return cls(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))

    def finding(self) -> Finding:
        """Waits for the result. Without decord, PyAV reads videos, so a failure is a problem but not fatal."""
        instead = "Videos are read by PyAV instead; reinstall it with: pip install --force-reinstall decord"
        try:
            output, complaint = self.child.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.communicate()
            return Finding("decord", "hangs", f"decord made no progress for {PATIENCE:g} s. {instead}")
        answer = output.strip().splitlines()[-1] if output.strip() else ""
        if self.child.returncode == 0 and answer == "right":
            return Finding("decord", "decodes H.264")
        why = answer or (complaint.strip().splitlines() or [f"exit code {self.child.returncode}"])[-1]
        return Finding("decord", "does not work", f"decord cannot decode a film of H.264 ({why}). {instead}")


def write_film(path: Path) -> None:
    """Writes a film of grey frames, one for each of :data:`GREYS`."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.height, stream.width, stream.pix_fmt = 64, 64, "yuv420p"
        for grey in GREYS:
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), grey, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def decode(reader: Reader, film: str) -> str:
    """Decodes the film; `right`, or what is wrong."""
    try:
        source = open_video(film, reader=reader)
        frames = source.frames(0, source.n_frames)
        source.close()
    except (VideoError, ImportError, OSError) as error:
        return str(error)
    return compare_frames(frames)


def compare_frames(frames: npt.NDArray[np.uint8]) -> str:
    """Whether decoded frames `(T, H, W, 3)` are those of the film: `right`, or what is wrong.

    >>> compare_frames(np.zeros((3, 4, 4, 3), np.uint8))
    '3 of 11 frames'
    """
    if len(frames) != len(GREYS):
        return f"{len(frames)} of {len(GREYS)} frames"
    off = np.abs(frames.mean(axis=(1, 2, 3)) - GREYS).max()
    return "right" if off <= NEAR else f"a frame is off by {off:.0f} grey levels"


def check_pyav(film: Path) -> Finding:
    """Writes the film by PyAV and decodes it."""
    repair = "Reinstall it with: pip install --force-reinstall av"
    try:
        write_film(film)
        answer = decode("pyav", str(film))
    except (ImportError, OSError, ValueError) as error:  # errors of PyAV are among these
        answer = str(error) or type(error).__name__
    if answer == "right":
        return Finding("PyAV", "writes and decodes H.264")
    return Finding("PyAV", "does not work", f"PyAV cannot write and decode a film of H.264 ({answer}). {repair}", True)


def check_face_finder() -> Finding:
    """Looks for the face in a picture of a generated one, by OpenCV's cascades."""
    try:
        from fedn_lightning.video.faces import find_faces, sample_face

        faces = len(find_faces(sample_face().mean(axis=2).astype(np.uint8)))
    except (ImportError, AttributeError, RuntimeError) as error:  # errors of OpenCV are among these
        why = f"OpenCV's face cascade does not work ({error})"
        return Finding("face cascade", "does not work", f"{why}. Run: pip install 'opencv-python-headless<5'", True)
    if faces != 1:
        why = f"OpenCV's face cascade finds {faces} faces in a picture of one"
        return Finding("face cascade", "wrong", f"{why}. Run: pip install 'opencv-python-headless<5'", True)
    return Finding("face cascade", "finds a generated face")
