"""The programme report: how many experiments end in a decision, how many win, how fast, and what it all brought."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from upshot.report import words
from upshot.report.cells import Table
from upshot.report.paper import Block, Facts, Paper, Section, paragraph

WORTH_A_RATE = 10
"""Decisions below which a rate says little."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """What winners brought to one metric, together.

    Attributes:
        metric: its name. winners: how many moved it. measured: their lifts one after the other, as they were measured.
        expected: the same with each lift as it is to be expected once winners are not chosen for being large.
    """

    metric: str
    winners: int
    measured: float
    expected: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Programme:
    """What all experiments are together.

    Attributes:
        proposed, started, running: how many ever were, and how many run now or wait for a decision.
        decided: verdict -> how many ended so. killed: how many were killed on the way.
        by_type: type -> (decided, shipped).
        months: month -> (started, decided), the last ones in order.
        days: from start to decision of each, in days. against: decisions that the recommendation was against.
        unsealed, exploratory: experiments whose seal was broken, and that were changed after data were seen.
        gains: by metric. held: lagging checks by what they found.
    """

    proposed: int
    started: int
    running: int
    decided: Mapping[str, int]
    killed: int
    by_type: Mapping[str, tuple[int, int]]
    months: Sequence[tuple[str, int, int]]
    days: Sequence[int]
    against: int
    unsealed: int
    exploratory: int
    gains: Sequence[Gain]
    held: Mapping[str, int]

    @property
    def decisions(self) -> int:
        """How many experiments were decided."""
        return sum(self.decided.values())

    @property
    def shipped(self) -> int:
        """How many of them won."""
        return self.decided.get("SHIP", 0)


def programme_paper(programme: Programme) -> Paper:
    """The programme report."""
    return Paper(
        title="The experiment programme",
        badge="",
        headline=_headline(programme),
        beside="",
        sections=(
            Section(title="Rates", blocks=[Facts(facts=_rates(programme))]),
            Section(title="Velocity", blocks=_velocity(programme)),
            Section(title="By type", blocks=_by_type(programme)),
            Section(title="What it brought", blocks=_gains(programme)),
            Section(title="Did early wins hold?", blocks=_held(programme)),
            Section(
                title="Discipline",
                blocks=[Facts(facts=_discipline(programme))] if programme.decisions else [],
            ),
        ),
    )


def _headline(programme: Programme) -> str:
    if not programme.decisions:
        return "Nothing was decided yet"
    few = "" if programme.decisions >= WORTH_A_RATE else "; too few for a rate to say much"
    return f"{programme.shipped} of {words.plural(programme.decisions, 'decision')} shipped{few}"


def _rates(programme: Programme) -> list[tuple[str, str]]:
    over = programme.started - programme.running
    sound = over - programme.killed
    completed = f"{_share(sound, over)} that ended came to their decision"
    verdicts = ", ".join(f"{count} {verdict}" for verdict, count in programme.decided.items())
    return [
        ("Proposed", words.count(programme.proposed)),
        ("Started", words.count(programme.started)),
        ("Running or waiting", words.count(programme.running)),
        ("Completion rate", f"{completed}; {programme.killed} killed on the way"),
        ("Win rate", f"{_share(programme.shipped, programme.decisions)} that were decided shipped"),
        ("Verdicts", verdicts or "none yet"),
    ]


def _share(part: int, whole: int) -> str:
    return f"{part} of {whole} ({words.percent(part / whole, 0)})" if whole else "none"


def _velocity(programme: Programme) -> list[Block]:
    if not programme.months:
        return []
    rows = [[month, str(started), str(decided)] for month, started, decided in programme.months]
    table = Table(header=["Month", "Started", "Decided"], rows=rows, numeric=(1, 2))
    days = sorted(programme.days)
    if not days:
        return [table]
    middle = (days[(len(days) - 1) // 2] + days[len(days) // 2]) / 2
    return [
        table,
        paragraph(f"From start to decision: {words.number(middle)} days in the middle, {days[-1]} at most."),
    ]


def _by_type(programme: Programme) -> list[Block]:
    rows = [
        [name, str(decided), str(shipped)] for name, (decided, shipped) in sorted(programme.by_type.items())
    ]
    return [Table(header=["Type", "Decided", "Shipped"], rows=rows, numeric=(1, 2))] if rows else []


def _gains(programme: Programme) -> list[Block]:
    if not programme.gains:
        return []
    rows = [
        [
            one.metric,
            str(one.winners),
            *(words.percent(lift, 1, signed=True) for lift in (one.measured, one.expected)),
        ]
        for one in programme.gains
    ]
    why = (
        "Winners are chosen for being large, so what was measured is too large. Each lift is drawn towards none by how "
        "uncertain it was, and one winner is counted upon the other; only a holdout measures them together."
    )
    header = ["Metric", "Winners", "As measured", "To be expected"]
    return [Table(header=header, rows=rows, numeric=(1, 2, 3)), paragraph(why)]


def _held(programme: Programme) -> list[Block]:
    facts = [(name, words.count(count)) for name, count in programme.held.items()]
    return [Facts(facts=facts)] if facts else []


def _discipline(programme: Programme) -> list[tuple[str, str]]:
    return [
        ("Decided against the recommendation", _share(programme.against, programme.decisions)),
        ("Seal broken", words.count(programme.unsealed)),
        ("Changed after data were seen", words.count(programme.exploratory)),
    ]
