"""Explains results: kinds of errors, oracles, comparisons between runs, and what a corpus holds."""
