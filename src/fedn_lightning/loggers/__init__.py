"""Experiment tracking; the only package that talks to Weights & Biases."""
