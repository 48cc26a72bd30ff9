"""Spans of time as people write them: ``7d``, ``24h``, ``90m``."""

import re
from datetime import timedelta

_UNITS = {
    "w": timedelta(weeks=1),
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
}
PATTERN = r"[0-9]{1,5}[wdhms]"
_SPAN = re.compile(PATTERN)


def parse_duration(text: str) -> timedelta:
    """The span that a person wrote: a whole number and w, d, h, m or s. Raises ValueError where it is none.

    >>> parse_duration("7d"), parse_duration("24h")
    (datetime.timedelta(days=7), datetime.timedelta(days=1))
    """
    if not _SPAN.fullmatch(text):
        raise ValueError(text)
    return int(text[:-1]) * _UNITS[text[-1]]


def duration_text(span: timedelta) -> str:
    """A span of whole seconds in the largest of days, hours, minutes and seconds that it is a whole number of.

    >>> duration_text(timedelta(days=14)), duration_text(timedelta(hours=36))
    ('14d', '36h')
    """
    unit = next(unit for unit in "dhms" if not span % _UNITS[unit])
    return f"{span // _UNITS[unit]}{unit}"
