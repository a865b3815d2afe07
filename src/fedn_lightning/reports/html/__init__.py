"""Self-contained HTML pages: one page frame and style, and the sections of `fedn report`."""
