"""Lightning callbacks: run folder, result files, end card."""
