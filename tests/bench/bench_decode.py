"""Times decoding and conversion, in ms of processor time a frame: `python tests/bench/bench_decode.py VIDEO`."""

import sys
import time

import numpy as np

from fedn_lightning.video.pyav import PyAVSource, scan


def milliseconds(run, frames):
    """Processor time of a frame, least of three."""
    found = []
    for _ in range(3):
        before = time.process_time()
        run()
        found.append(time.process_time() - before)
    return 1000 * min(found) / frames


def main():
    path = sys.argv[1]
    source = PyAVSource(path)
    side = source.height // 2
    left, top = (source.width - side) // 2, (source.height - side) // 2
    box = left, top, left + side, top + side
    for name, run in (
        ("decoding alone", lambda: scan(path)),
        ("and conversion of the whole", lambda: [np.sum(f[0, 0, 0]) for f in source.iterate(1)]),
        ("and of the part", lambda: [np.sum(f[0, 0]) for f in source.within(box)]),
    ):
        print(f"{name:<28}{milliseconds(run, source.n_frames):8.2f}")


if __name__ == "__main__":
    main()
