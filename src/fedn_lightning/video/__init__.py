"""From video files and frame folders to aligned face crops."""
