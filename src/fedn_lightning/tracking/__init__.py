"""Experiment tracking; the only place that talks to Weights & Biases."""
