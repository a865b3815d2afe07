"""Small helpers that every package may use: files, locks, cores, checks, colours."""
