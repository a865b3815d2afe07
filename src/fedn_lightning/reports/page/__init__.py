"""Self-contained HTML pages: one skeleton and style, and the sections of `fedn report`."""
