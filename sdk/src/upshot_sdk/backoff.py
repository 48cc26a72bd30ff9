"""How long to wait before trying again, drawn so that many clients do not all come back at once."""

from secrets import SystemRandom

_chance = SystemRandom()  # a forked child draws anew without being told


def around(seconds: float) -> float:
    """An interval give or take a fifth."""
    return _chance.uniform(0.8, 1.2) * seconds


def backoff(failures: int, first: float, longest: float) -> float:
    """Seconds after so many failures in a row: doubled by each, up to the longest, then cut by up to half."""
    return _chance.uniform(0.5, 1.0) * min(first * 2.0 ** min(failures - 1, 32), longest)
