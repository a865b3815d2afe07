"""Measures `fedn review` in a browser on a 60-minute video: `python tests/bench/bench_review.py [MINUTES]`.

Films 20 seconds (640x480 H.264) and repeats them. Prints the time from navigation to the first frame on the screen (the
median of five pages), that of a step and of a drag (medians and the slowest of 20), and the server's peak memory. Exit
code 1 if the first frame takes more than a second, a median more than 100 ms, or the server more than 500 MiB.
"""

import re
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

import av
import numpy as np
from browser import PROGRAM
from playwright.sync_api import Page, sync_playwright
from reviewing import review, write_prediction

from lookalikes.movies import write_movie

SECONDS, FPS = 20, 30

FIRST = """window.first = new Promise((done) => {
  const look = () => {
    const video = document.querySelector("#video");
    if (video) video.requestVideoFrameCallback(() => done(performance.now())); else requestAnimationFrame(look);
  };
  look();
})"""

STEP = """async () => {
  const begin = performance.now();
  const shown = new Promise((done) => video.requestVideoFrameCallback(() => done(performance.now() - begin)));
  document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true }));
  return await shown;
}"""

DRAG = """async () => {
  const lanes = document.querySelector("#lanes"), handle = document.querySelector(".event.selected .handle.l");
  const { x, y } = handle.getBoundingClientRect(), times = [];
  lanes.setPointerCapture = () => {};
  const send = (to, kind, at) => to.dispatchEvent(
    new PointerEvent(kind, { bubbles: true, clientX: at, clientY: y + 5, pointerId: 1, button: 0 }));
  send(handle, "pointerdown", x);
  for (let k = 1; k <= 20; k++) {
    const begin = performance.now();
    const shown = new Promise((done) => video.requestVideoFrameCallback(() => done(performance.now() - begin)));
    send(lanes, "pointermove", x - 9 * k);
    times.push(await shown);
  }
  send(lanes, "pointerup", x);
  return times;
}"""


def film(path: Path, minutes: int) -> int:
    """Writes a moving, noisy picture that is repeated; returns its frames."""
    rng = np.random.default_rng(0)
    ground = rng.integers(60, 200, (480, 1280, 3), np.uint8)
    short = path.with_name("short.mp4")
    write_movie(short, (ground[:, n : n + 640] for n in range(SECONDS * FPS)), options={"bf": "0", "g": "250"})
    repeats, count = minutes * 60 // SECONDS, SECONDS * FPS
    with av.open(str(short)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        packets = [packet for packet in source.demux(video=0) if packet.size]
        step = packets[1].pts - packets[0].pts
        for number, packet in ((k * count + n, packet) for k in range(repeats) for n, packet in enumerate(packets)):
            again = av.Packet(bytes(packet))
            again.stream, again.time_base, again.duration = stream, packet.time_base, step
            again.pts = again.dts = number * step
            again.is_keyframe = packet.is_keyframe
            target.mux(again)
    return repeats * count


def measure(page: Page, address: str) -> float:
    """Opens the page; milliseconds until its first frame."""
    page.add_init_script(FIRST)
    page.goto(address)
    return float(page.evaluate("first"))


def main() -> int:
    minutes = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        n_frames = film(root / "long.mp4", minutes)
        found = [(n, n + 30, "macro", "positive", 0.6) for n in range(500, n_frames - 40, 500)]
        write_prediction(root / "p" / "long", root / "long.mp4", found, n_frames)
        with review(str(root / "p"), "--coder", "bench") as (address, server), sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=PROGRAM, args=["--no-sandbox"])
            pages = [browser.new_page() for _ in range(5)]
            first = [measure(page, address) for page in pages]
            for page in pages[1:]:
                page.close()
            pages[0].wait_for_selector(".event.selected")
            time.sleep(5)  # times and curves are read meanwhile
            steps = [float(pages[0].evaluate(STEP)) for _ in range(20)]
            drags = [float(each) for each in pages[0].evaluate(DRAG)]
            peak = int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{server.pid}/status").read_text())[1]) / 1024
            browser.close()
    medians = [statistics.median(each) for each in (first, steps, drags)]
    print(f"first frame: {medians[0]:.0f} ms (slowest {max(first):.0f})")
    print(f"step: {medians[1]:.0f} ms (slowest {max(steps):.0f}); drag: {medians[2]:.0f} ms (slowest {max(drags):.0f})")
    print(f"server: {peak:.0f} MiB at most, on a video of {minutes} minutes ({n_frames} frames)")
    return int(medians[0] > 1000 or max(medians[1:]) > 100 or peak > 500)


if __name__ == "__main__":
    sys.exit(main())
