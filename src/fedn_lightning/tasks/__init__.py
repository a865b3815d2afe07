"""LightningModules: detection, its baselines (recognition, optical flow), and the pre-training of the face encoder."""
