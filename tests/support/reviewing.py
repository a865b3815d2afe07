"""Predictions to review, without a network: films whose frames show their own number, and what was found in them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from lookalikes.movies import numbered, write_movie

FRAMES = 300

COLUMNS = "video,face,type,emotion,confidence,emotion_confidence,onset,offset"

FOUND = (
    (40, 70, "macro", "positive", 0.9),
    (120, 131, "micro", "surprise", 0.55),
    (200, 240, "macro", "negative", 0.6),
)
"""Onset, offset, type, emotion and confidence."""


def write_prediction(
    folder: Path, film: Path, found: Sequence[tuple[int, int, str, str, float]] = FOUND, n_frames: int = FRAMES
) -> Path:
    """Writes the files of `fedn predict` for a film, which is made if it is not there."""
    if not film.exists():
        write_movie(film, (numbered(n, 96, 224) for n in range(1, n_frames + 1)))
    folder.mkdir(parents=True)
    rows = [f"{film.name},1,{kind},{emotion},{score},1.0,{on},{off}" for on, off, kind, emotion, score in found]
    (folder / "events.csv").write_text("\n".join([COLUMNS, *rows, ""]), encoding="utf-8")
    lines = [
        "face,frame,unreliable,confidence_macro,confidence_micro,motion_brow_x,motion_brow_y,motion_chin_x,motion_chin_y"
    ]
    lines += [
        f"1,{n},,{0.9 * (40 <= n <= 70)},{0.5 * (120 <= n <= 131)},{n % 7},0,0,{-(n % 5)}"
        for n in range(1, n_frames + 1)
    ]
    (folder / "frames.csv").write_text("\n".join([*lines, ""]), encoding="utf-8")
    record = {
        "path": str(film.resolve()), "n_frames": n_frames, "fps": 30.0, "threshold": {"macro": 0.5, "micro": 0.5},
        "faces": [{"face": 1, "box": [20, 10, 60, 60]}], "notes": [],
        "unreliable": [{"face": 1, "start": 80.0, "end": 100.0, "reason": "blurred"}],
    }  # fmt: skip
    (folder / "prediction.json").write_text(json.dumps(record), encoding="utf-8")
    return folder


@contextlib.contextmanager
def review(*words: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Runs `fedn review` and gives the page's address and the process."""
    command = [sys.executable, "-m", "fedn_lightning", "review", *words, "--no-browser"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ})
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert address.startswith("http://127.0.0.1:"), address
        yield address, process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=20)
        process.stdout.close()


@contextlib.contextmanager
def serving(target: Path, out: Path) -> Iterator[str]:
    """Serves a review from a thread of this process, which starts at once, and gives the page's address."""
    import uvicorn

    from fedn_lightning.review.files import read_videos
    from fedn_lightning.review.server import application
    from fedn_lightning.review.session import Session

    app = application(Session(read_videos(target), out, "cora"), "secret")
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/secret/"
    server.should_exit = True
    thread.join(timeout=10)


CONTRAST = """() => {
  const channel = (value) => (value /= 255) <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const light = (rgb) => [0.2126, 0.7152, 0.0722].reduce((sum, part, k) => sum + part * channel(rgb[k]), 0);
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const over = (colours) => {
    canvas.clearRect(0, 0, 1, 1);
    for (const colour of colours) { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); }
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const faint = [], unnamed = [];
  for (const element of document.querySelectorAll("body *")) {
    if (!element.offsetParent || element.disabled) continue;
    const control = element.matches("button, select, input, img");
    if (control && !(element.getAttribute("aria-label") || element.alt || element.textContent.trim()
      || element.querySelector("img[alt]") || element.closest("label"))) unnamed.push(element.outerHTML);
    if (![...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim())) continue;
    const stack = [];
    for (let at = element; at; at = at.parentElement) stack.unshift(getComputedStyle(at).backgroundColor);
    const [a, b] = [light(over([...stack, getComputedStyle(element).color])), light(over(stack))]
      .sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) faint.push(element.outerHTML.slice(0, 90));
  }
  return { faint, unnamed };
}"""
"""Text of too little contrast (below 4.5), and controls without a name."""
