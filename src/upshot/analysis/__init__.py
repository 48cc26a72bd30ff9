"""A plan and its data become an analysis: one query, moments, effects, intervals, checks."""
