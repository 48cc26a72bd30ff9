"""Numbers as people write them: ``5%``, ``0.05``, ``1,000``."""

from decimal import Decimal, InvalidOperation


def parse_number(text: str) -> float:
    """The number a person wrote; ``%`` divides by 100. Raises ValueError where there is no finite number.

    >>> parse_number("0.1%"), parse_number("3000"), parse_number("12,345")
    (0.001, 3000.0, 12345.0)
    """
    plain = text.strip().replace(",", "").replace("_", "")
    try:
        value = Decimal(plain.removesuffix("%"))
    except InvalidOperation:
        raise ValueError(text) from None
    if not value.is_finite():
        raise ValueError(text)
    return float(value / 100 if plain.endswith("%") else value)  # decimal: 99.9% is 0.999 to the last digit
