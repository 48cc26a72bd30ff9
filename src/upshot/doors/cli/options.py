"""Options that several commands read, and how their texts become values."""

from collections.abc import Sequence
from typing import Any, get_args

import click

from upshot.errors import DataError, InputError


def parse_split(text: str | None) -> dict[str, float]:
    """Read ``control=1,treatment=1``.

    Raises:
        DataError: a part does not read so, a name is there twice, or there is only one.

    >>> parse_split("control=1,treatment=3")
    {'control': 1.0, 'treatment': 3.0}
    """
    if not text:
        return {}
    split: dict[str, float] = {}
    for part in text.split(","):
        name, equals, weight = part.partition("=")
        if name.strip() in split:
            raise DataError(f"split names {name.strip()} twice: give each variant one weight")
        try:
            split[name.strip()] = float(weight.rstrip("%"))
        except ValueError:
            equals = ""
        if not equals or not name.strip():
            raise DataError(f"split {part!r}: write NAME=WEIGHT,NAME=WEIGHT, such as control=1,treatment=1")
    if len(split) < 2:
        raise DataError(f"split names only {', '.join(split)}: name control and at least one other variant")
    return split


def parse_named(texts: Sequence[str]) -> dict[str, str]:
    """Read ``rollback=it is harmless`` of ``--acknowledge``, where any name may be.

    Raises:
        InputError: a text does not read so.

    >>> parse_named(["rollback=it is harmless"])
    {'rollback': 'it is harmless'}
    """
    found = {}
    for text in texts:
        name, _, reason = text.partition("=")
        if not name.strip() or not reason.strip():
            raise InputError(f"acknowledge {text!r}: write NAME=REASON, such as rollback='it is harmless'")
        found[name.strip()] = reason.strip()
    return found


def parse_reasons(texts: Sequence[str]) -> dict[str, str]:
    """Read ``sample_ratio=known bot filter`` of ``--acknowledge``.

    Raises:
        DataError: a text does not read so, or there is no such check.
    """
    from upshot.analysis.result import CheckName

    checks = get_args(CheckName)
    found: dict[str, str] = {}
    for text in texts:
        name, _, reason = text.partition("=")
        if not name.strip() or not reason.strip():
            raise DataError(
                f"acknowledge {text!r}: write CHECK=REASON, such as sample_ratio='bots were removed'"
            )
        if name.strip() not in checks:
            raise DataError(f"acknowledge {name.strip()!r}: there is no such check, but {', '.join(checks)}")
        found[name.strip()] = reason.strip()
    return found


def percent_or_number(text: str) -> float:
    """Read ``5%`` and ``0.05`` alike.

    Raises:
        click.BadParameter: it is neither.
    """
    try:
        return float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is no number: write 5% or 0.05") from None


class Share(click.ParamType[float]):
    """A number that may be written as a percentage."""

    name = "share"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        return value if isinstance(value, float) else percent_or_number(str(value))


SHARE = Share()
