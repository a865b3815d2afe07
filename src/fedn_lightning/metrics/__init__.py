"""Spotting, recognition and detection scores; knows no model."""
