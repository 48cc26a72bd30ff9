"""A made-up bicycle shop in which six experiments run, whose truth is known: its files and its visitors."""
