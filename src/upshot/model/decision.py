"""Verdicts, their causes, and what people add to the numbers."""

from dataclasses import dataclass
from datetime import date
from typing import Literal

Verdict = Literal["SHIP", "KILL", "ITERATE", "EXTEND", "DISCUSS", "CONTINUE", "INVESTIGATE"]
Cause = Literal[
    "harm", "check", "early", "mixed", "worse", "better", "unproven", "small", "qualitative", "no_effect",
    "inconclusive", "promising", "running", "fading", "tie", "acknowledge", "no_harm", "healthy", "unhealthy",
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A qualitative signal: an interview, a ticket, a survey; counts if dated before effects were seen."""

    sign: Literal["positive", "negative"]
    text: str = ""
    dated: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantVerdict:
    """The row of the table that one variant meets, with its sentences.

    Attributes:
        variant: whose verdict it is.
        verdict, cause: as DESIGN's table names them.
        row: the number of the row that applied (1 to 13; other policies number their own).
        headline: one plain sentence for people who read nothing else.
        reasons: sentences, each with the numbers used.
        would_change: what would have to be seen for another verdict.
    """

    variant: str
    verdict: Verdict
    cause: Cause
    row: int
    headline: str
    reasons: tuple[str, ...]
    would_change: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentVerdict:
    """The verdict over all variants."""

    verdict: Verdict
    cause: Cause
    headline: str
    reasons: tuple[str, ...]
    would_change: str
    winner: str | None
    variants: tuple[VariantVerdict, ...]
