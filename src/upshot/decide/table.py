"""The tables of verdicts: the first row that applies to a case gives its finding."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from upshot.decide import finding, harmless
from upshot.decide.case import Case
from upshot.decide.finding import Finding
from upshot.model.plan import Policy


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its number, the condition, and what it says."""

    number: int
    applies: Callable[[Case], bool]
    says: Callable[[Case], Finding]


def first_row(case: Case) -> tuple[Row, Finding]:
    """The row that a case meets; the last row of every table applies always."""
    row = next(row for row in TABLES[case.plan.policy] if row.applies(case))
    return row, row.says(case)


def is_early(case: Case) -> bool:
    """Before the maximum: the minimum runtime, the floor or the decision point is missing."""
    progress = case.progress
    ready = progress.minimum_reached and progress.floor_reached and progress.decision_point
    return not progress.maximum_reached and not ready


def _small(case: Case) -> bool:
    """A win below the bar that cannot reach it any more."""
    if not case.better or case.worth:
        return False
    beneath = all(reading.rules_out(case.plan.worth_shipping) for reading in case.better)
    return beneath or case.progress.maximum_reached


def _worth_trying_again(case: Case) -> bool:
    leaning = not case.better and any(reading.leans_well for reading in case.primaries)
    done = case.no_gain(case.plan.minimum_effect) or case.progress.maximum_reached
    return leaning and case.situation.leaning > 0 and done


def _hopeless(case: Case) -> bool:
    """A significant gain below the bar is not "no effect": it goes on until row 6 or row 8 settles it."""
    return not case.better and (case.no_gain(case.plan.minimum_effect) or case.futile)


def _promising(case: Case) -> bool:
    more_looks = case.plan.monitoring != "fixed"
    return case.progress.planned_reached and more_looks and bool(finding.promises(case))


STANDARD = (
    Row(1, lambda case: bool(case.harmed), finding.harm),
    Row(2, lambda case: bool(case.failed), finding.check),
    Row(3, is_early, finding.early),
    Row(4, lambda case: bool(case.better) and bool(case.worse), finding.mixed),
    Row(5, lambda case: bool(case.worse), finding.worse),
    Row(6, lambda case: bool(case.worth) and not case.unproven, finding.ship),
    Row(7, lambda case: bool(case.worth), finding.unproven),
    Row(8, _small, finding.small),
    Row(9, _worth_trying_again, finding.iterate),
    Row(10, _hopeless, finding.no_effect),
    Row(11, lambda case: case.progress.maximum_reached, finding.inconclusive),
    Row(12, _promising, finding.promising),
    Row(13, lambda _: True, finding.running),
)

DO_NO_HARM = (
    Row(1, lambda case: bool(case.harmed_guardrails), finding.guardrail_harm),
    Row(2, lambda case: bool(case.failed), finding.check),
    Row(3, is_early, finding.early),
    Row(4, lambda case: bool(harmless.beyond_margin(case)), harmless.worse_than_margin),
    Row(5, lambda case: not harmless.doubtful(case), harmless.no_harm),
    Row(6, lambda _: True, harmless.not_proven),
)

SUPERIORITY_WITH_GUARDRAILS = (
    *STANDARD[:5],
    Row(6, lambda case: bool(case.better) and not case.unproven, finding.ship),
    Row(7, lambda case: bool(case.better), finding.unproven),
    Row(8, _hopeless, finding.no_effect),
    Row(9, lambda case: case.progress.maximum_reached, finding.inconclusive),
    Row(10, _promising, finding.promising),
    Row(11, lambda _: True, finding.running),
)

TABLES: Mapping[Policy, tuple[Row, ...]] = {
    "standard": STANDARD,
    "do_no_harm": DO_NO_HARM,
    "superiority_with_guardrails": SUPERIORITY_WITH_GUARDRAILS,
}
