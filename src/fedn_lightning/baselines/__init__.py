"""Methods that FEDN is compared with: optical flow without learning, and the two-step pipeline."""
