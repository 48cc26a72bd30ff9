"""Honest made-up worlds, where the truth is known: error rates of the whole rule, and the demo."""
