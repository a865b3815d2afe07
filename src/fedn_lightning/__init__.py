"""fedn-lightning: facial-expression detection in long videos with FEDN on PyTorch Lightning."""

__version__ = "0.1.0"
