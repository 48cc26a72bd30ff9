"""From a model of flags and experiments to the ruleset that evaluators read, and to the same draw as SQL."""
