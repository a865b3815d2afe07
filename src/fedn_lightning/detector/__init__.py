"""A checkpoint at work on any video: `Detector.from_checkpoint("best.ckpt").detect("video.mp4")`."""
