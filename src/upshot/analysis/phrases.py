"""Numbers in the sentences of checks and guardrails, as people say them."""


def percent(share: float) -> str:
    """A share or relative change: more digits the smaller it is.

    >>> percent(0.0214), percent(0.00123), percent(0.5)
    ('2.1%', '0.12%', '50%')
    """
    value = 100 * share
    if value == 0:
        return "0%"
    digits = 0 if abs(value) >= 10 else 1 if abs(value) >= 1 else 2 if abs(value) >= 0.1 else 3
    text = f"{value:.{digits}f}"
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text}%".replace("-", "−")


def quantity(value: float) -> str:
    """A number in its own unit: thousands apart, four significant digits below.

    >>> quantity(12345.6), quantity(3.14159)
    ('12,346', '3.142')
    """
    return (f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}").replace("-", "−")


def units(count: int, unit: str = "unit") -> str:
    """A count with its noun.

    >>> units(1), units(1200)
    ('1 unit', '1,200 units')
    """
    return f"{count:,} {unit}{'' if count == 1 else 's'}"
