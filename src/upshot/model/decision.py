"""Verdicts, their causes, and what people add to the numbers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
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
class Situation:
    """What people know beside the numbers.

    Attributes:
        notes: qualitative signals.
        acknowledged: what somebody accepted -> the reason: a check's name (``sample_ratio``), a secondary
            metric's name, or a segment as ``country=DE``. An empty reason acknowledges nothing.
        effects_seen: the first day on which anybody saw an effect; a note counts only if it is dated
            before. None: nobody has seen one, every note counts.
    """

    notes: tuple[Note, ...] = ()
    acknowledged: Mapping[str, str] = field(default_factory=dict)
    effects_seen: date | None = None

    def reason_for(self, name: str) -> str:
        """The reason with which something was acknowledged; empty where it was not."""
        return self.acknowledged.get(name, "").strip()

    @property
    def leaning(self) -> int:
        """Positive notes minus negative ones, of those that count."""
        counted = [note for note in self.notes if self._counts(note)]
        return sum(1 if note.sign == "positive" else -1 for note in counted)

    def _counts(self, note: Note) -> bool:
        return self.effects_seen is None or (note.dated is not None and note.dated < self.effects_seen)


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
