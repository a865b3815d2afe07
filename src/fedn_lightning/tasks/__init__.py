"""LightningModules: detection, and the pre-training of the face encoder."""
