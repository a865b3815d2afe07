"""Runs a checkpoint on any video: `Detector.from_checkpoint("best.ckpt").detect("video.mp4")`."""
