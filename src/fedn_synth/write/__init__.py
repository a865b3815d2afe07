"""Writes a generated corpus: videos, workbook, the hidden ground truth, still images, contact sheets."""
