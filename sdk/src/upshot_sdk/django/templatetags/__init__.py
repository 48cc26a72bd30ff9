"""``{% load upshot %}``."""
