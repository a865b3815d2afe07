"""What a run got wrong: kinds of errors, what was there instead, and what depends on what."""
