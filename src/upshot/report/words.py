"""Numbers, dates and lists as people say them. A minus is U+2212; thousands have commas; p is never 0."""

import math
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import date

from upshot.analysis.result import Bounds
from upshot.model.metric import Kind

MINUS = "−"
SHARES = frozenset({"proportion", "retention", "funnel"})


def plain(text: str) -> str:
    """One line without the characters that a terminal or browser would act on, or that no XML may hold.

    >>> plain("a\\x1b[31mb\\nc")
    'a[31mb c'
    """
    spaced = " ".join(text.split())
    return "".join(c for c in spaced if unicodedata.category(c) not in {"Cc", "Cf", "Cs"} and not _is_void(c))


def _is_void(character: str) -> bool:
    """Whether it is one of Unicode's 66 noncharacters."""
    code = ord(character)
    return code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF


def _fixed(value: float, decimals: int, *, signed: bool = False, end: bool = False) -> str:
    """With commas and a true minus. What rounds to zero has no sign, but at an end of an interval, where the
    sign says on which side of zero it lies."""
    digits = f"{abs(value):,.{decimals}f}"
    if not value or not (end or digits.strip("0.,")):
        return digits
    return (MINUS if value < 0 else "+" if signed else "") + digits


def _magnitude(value: float) -> int:
    """The power of ten of the leading digit; 0 for zero."""
    return math.floor(math.log10(abs(value))) if value else 0


def _natural_decimals(value: float, most: int = 3) -> int:
    """Decimals that show four significant digits of a number, three below one, none from 1,000."""
    size = _magnitude(value)
    return max(0, min(most, 3 - size) if size >= 0 else min(12, 2 - size))


def count(units: int) -> str:
    """
    >>> count(1284203)
    '1,284,203'
    """
    return f"{units:,}"


def number(value: float, decimals: int | None = None, *, signed: bool = False) -> str:
    """
    >>> number(12345.678), number(3.14159), number(-0.0271828), number(2.0)
    ('12,346', '3.142', '−0.0272', '2')
    """
    if abs(value) >= 1e15:
        return f"{value:.3e}".replace("-", MINUS)
    text = _fixed(value, _natural_decimals(value) if decimals is None else decimals, signed=signed)
    return text.rstrip("0").rstrip(".") if decimals is None and "." in text else text


def percent(share: float, decimals: int | None = None, *, signed: bool = False) -> str:
    """
    >>> percent(0.1203863), percent(0.05), percent(0.00041234), percent(-0.021, 1, signed=True)
    ('12.04%', '5%', '0.0412%', '−2.1%')
    """
    if decimals is not None:
        return _fixed(100 * share, decimals, signed=signed) + "%"
    return number(100 * share, signed=signed) + "%"


def amounts(values: Sequence[float | None], kind: Kind) -> tuple[str, ...]:
    """Values side by side in the metric's own unit: one number of decimals, enough to tell them apart.

    >>> amounts([0.12038, 0.11881, None], "proportion"), amounts([12.3412, 12.3409], "mean")
    (('12.04%', '11.88%', '–'), ('12.3412', '12.3409'))
    """
    factor, unit = (100, "%") if kind in SHARES else (1, "")
    known = [factor * value for value in values if value is not None]
    decimals = min((_natural_decimals(value, 2) for value in known if value), default=0)
    while decimals < 6 and len({round(v, decimals) for v in known}) < len({round(v, 6) for v in known}):
        decimals += 1
    return tuple("–" if v is None else _fixed(factor * v, decimals) + unit for v in values)


def _shared_decimals(values: Iterable[float], width: float | None, least: int) -> int:
    """Two significant digits of the interval's width; of the largest number where there is none."""
    scale = width or max((abs(v) for v in values if v), default=1.0)
    return max(least if scale < 100 else 0, min(6, 1 - _magnitude(scale)))


def with_interval(
    value: float | None, bounds: Bounds, *, relative: bool, kind: Kind = "mean"
) -> tuple[str, str]:
    """An effect or lift and its interval with the same decimals; an end that does not exist, in words.

    >>> with_interval(0.052, (0.011, 0.094), relative=True)
    ('+5.2%', '[+1.1%, +9.4%]')
    >>> with_interval(-0.0016, (-0.004, None), relative=False, kind="proportion")
    ('−0.16 pp', 'above −0.40 pp, no upper end')
    """
    low, high = bounds
    factor, unit = (100, "%") if relative else (100, " pp") if kind in SHARES else (1, "")
    known = [factor * v for v in (value, low, high) if v is not None]
    width = factor * (high - low) if low is not None and high is not None else None
    decimals = _shared_decimals(known, width, least=1 if relative else 0)

    def say(v: float | None) -> str | None:
        return None if v is None else _fixed(factor * v, decimals, signed=True, end=True) + unit

    return say(value) or "–", _bounds(say(low), say(high))


def _bounds(low: str | None, high: str | None) -> str:
    if low is None and high is None:
        return "no bounds"
    if high is None:
        return f"above {low}, no upper end"
    return f"below {high}, no lower end" if low is None else f"[{low}, {high}]"


def p_value(p: float | None, alpha: float | None = None) -> str:
    """Four decimals, more where rounding would carry it over alpha; never 0.

    >>> p_value(0.18988), p_value(1e-300), p_value(0.049998, 0.05), p_value(1.0), p_value(None)
    ('0.1899', '< 0.0001', '0.049998', '1', '–')
    """
    if p is None:
        return "–"
    if p < 0.0001:
        return "< 0.0001"
    decimals = 4
    while alpha is not None and decimals < 12 and (round(p, decimals) < alpha) != (p < alpha):
        decimals += 1
    text = f"{p:.{decimals}f}"
    return "1" if not text.strip("10.") and p > 0.5 else text


def chance(probability: float) -> str:
    """A probability that is never said to be 0 or 1.

    >>> chance(0.9137), chance(0.99999), chance(0.0002)
    ('91%', 'over 99.9%', 'under 0.1%')
    """
    if probability > 0.999 or probability < 0.001:
        return "over 99.9%" if probability > 0.5 else "under 0.1%"
    return percent(probability, 1 if min(probability, 1 - probability) < 0.05 else 0)


def p_phrase(p: float | None, alpha: float | None = None) -> str:
    """
    >>> p_phrase(0.012), p_phrase(1e-9)
    ('p = 0.0120', 'p < 0.0001')
    """
    text = p_value(p, alpha)
    return "no p" if p is None else f"p {text}" if text.startswith("<") else f"p = {text}"


def day(when: date) -> str:
    """
    >>> day(date(2026, 3, 2))
    '2 March 2026'
    """
    return f"{when.day} {when:%B %Y}"


def period(start: date | None, end: date | None) -> str:
    """
    >>> period(date(2026, 3, 2), date(2026, 3, 29)), period(date(2026, 2, 27), date(2026, 3, 5))
    ('2–29 March 2026', '27 February – 5 March 2026')
    >>> period(date(2026, 3, 2), None), period(None, None)
    ('from 2 March 2026', 'not recorded')
    """
    if start is None or end is None:
        return f"from {day(start)}" if start else f"until {day(end)}" if end else "not recorded"
    if start == end:
        return day(start)
    if (start.year, start.month) == (end.year, end.month):
        return f"{start.day}–{day(end)}"
    return f"{day(start) if start.year != end.year else f'{start.day} {start:%B}'} – {day(end)}"


def duration(days: int) -> str:
    """
    >>> duration(28), duration(10), duration(1), duration(7)
    ('28 days (4 weeks)', '10 days', '1 day', '7 days (1 week)')
    """
    weeks = f" ({plural(days // 7, 'week')})" if days and days % 7 == 0 else ""
    return plural(days, "day") + weeks


def plural(n: int, word: str, many: str | None = None) -> str:
    """
    >>> plural(1, "unit"), plural(1200, "unit"), plural(2, "country", "countries")
    ('1 unit', '1,200 units', '2 countries')
    """
    return f"{n:,} {word if n == 1 else many or word + 's'}"


def listing(items: Sequence[str], last: str = "and") -> str:
    """
    >>> listing(["a"]), listing(["a", "b"]), listing(["a", "b", "c"], "or")
    ('a', 'a and b', 'a, b or c')
    """
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} {last} {items[-1]}" if items else ""


def capital(text: str) -> str:
    """A sentence of our own that did not begin with a capital.

    >>> capital("find the cause")
    'Find the cause.'
    """
    text = sentence(text)
    return text[:1].upper() + text[1:]


def sentence(text: str) -> str:
    """On one line, with a full stop; the first letter stays, for it may begin a column's name.

    >>> sentence("converted fell"), sentence("Why?")
    ('converted fell.', 'Why?')
    """
    text = plain(text)
    return text and text + ("" if text[-1] in ".!?:" else ".")
