"""From an analysis and its plan to a verdict whose reasons can be read aloud."""
