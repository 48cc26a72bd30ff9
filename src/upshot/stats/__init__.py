"""Inference from moments: NumPy and `scipy.special`, no input or output, no clock, no randomness."""
