"""The use cases, one file a noun: what doors call."""
