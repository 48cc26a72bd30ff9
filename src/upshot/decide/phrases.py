"""Numbers as people say them, for the sentences of a verdict."""

from upshot.analysis.result import Bounds
from upshot.model.metric import Kind

MINUS = "\N{MINUS SIGN}"


def signed_percent(share: float) -> str:
    """A relative change with its sign.

    >>> signed_percent(0.052), signed_percent(-0.0041), signed_percent(1.2)
    ('+5.2%', '−0.41%', '+120%')
    """
    return ("+" if share >= 0 else MINUS) + percent(abs(share))


def percent(share: float) -> str:
    """A share: two digits below 1%, whole numbers from 100%.

    >>> percent(0.025), percent(0.05), percent(0.0009)
    ('2.5%', '5%', '0.09%')
    """
    value = share * 100
    digits = 0 if abs(value) >= 99.95 else 1 if abs(value) >= 0.995 else 2
    text = f"{value:,.{digits}f}"
    if "." in text and abs(value) >= 0.005:
        text = text.rstrip("0").rstrip(".")
    elif value and abs(value) < 0.005:
        text = f"{value:.1g}"
    return text.replace("-", MINUS) + "%"


def percent_interval(bounds: Bounds) -> str:
    """An interval of relative changes; an open end in words.

    >>> percent_interval((0.011, 0.094)), percent_interval((None, -0.02))
    ('[1.1%, 9.4%]', '[no lower bound, −2%]')
    """
    low, high = bounds
    if low is None and high is None:
        return "[no bounds]"
    left = "no lower bound" if low is None else percent(low)
    right = "no upper bound" if high is None else percent(high)
    return f"[{left}, {right}]"


def quantity(value: float) -> str:
    """A number in its own unit: four digits, thousands with commas.

    >>> quantity(12345.6), quantity(0.012345), quantity(-3.0)
    ('12,346', '0.01235', '−3')
    """
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return text.replace("-", MINUS)


def level(value: float, kind: Kind) -> str:
    """The mean of a metric: shares as percentages, anything else in its own unit."""
    return percent(value) if kind in ("proportion", "retention", "funnel") else quantity(value)


def ended(text: str) -> str:
    """A text with one full stop."""
    return text.rstrip(". ") + "."


def sentence(text: str) -> str:
    """A text as a sentence of its own; nothing stays nothing.

    >>> sentence("find the cause"), sentence("")
    ('Find the cause.', '')
    """
    plain = text.strip()
    return plain if not plain else plain[0].upper() + plain[1:].rstrip(".") + "."


def probability(p_value: float) -> str:
    """A p-value.

    >>> probability(0.0123), probability(2e-9), probability(0.5)
    ('p = 0.012', 'p < 0.0001', 'p = 0.50')
    """
    if p_value < 0.0001:
        return "p < 0.0001"
    return f"p = {p_value:.{2 if p_value >= 0.1 else 3 if p_value >= 0.001 else 4}f}"
