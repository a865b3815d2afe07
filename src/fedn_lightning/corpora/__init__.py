"""One reader for each data set; all return the one schema of `events.Corpus`."""
