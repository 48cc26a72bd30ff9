"""The model's values from and to text: YAML plans, metric strings, canonical JSON and its hashes."""
