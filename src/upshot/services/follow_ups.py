"""Follow-ups: what to ask next, computed from what experiments found, each with its evidence and a drafted experiment.

Nothing of an experiment that is sealed, in doubt or not decided is taken; what is followed already is left out.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from textwrap import fill
from typing import Literal

from sqlalchemy import Connection

from upshot.analysis.result import Comparison, MetricResult
from upshot.formats.experiments import design_to_yaml
from upshot.model.course import Decision
from upshot.model.experiment import Design
from upshot.model.metric import Metric
from upshot.report import rows, segments, words
from upshot.report.findings import Findings
from upshot.report.rows import Row
from upshot.report.segments import Split
from upshot.services.live import again
from upshot.store import experiments, looks
from upshot.store.control import ControlStore
from upshot.store.experiments import Experiment

Kind = Literal["near miss", "iterate", "segment", "surprise"]

NEAR = 0.2
"""A p-value up to which a difference in the wanted direction is a near miss."""
LONGEST = 28
"""Days of a drafted experiment at most, as the standard has it."""
DETECTS = 2.8
"""Standard errors that an effect must be away from none to be seen in 80 of 100 experiments at 95%."""
PROTECTED = 0.05
"""The loss that a drafted guardrail allows, relative."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowUp:
    """What could be asked next.

    Attributes:
        kind: what about the experiment asks for it. experiment: its id.
        evidence: the numbers behind it, in a sentence. idea: what to do, in a sentence.
        draft: an experiment to begin with; it needs a flag of its own.
    """

    kind: Kind
    experiment: str
    evidence: str
    idea: str
    draft: Design

    @property
    def file(self) -> str:
        """The name of a file for the draft."""
        return (
            f"{self.experiment}-{self.kind.replace(' ', '-')}-{_slug(self.draft.plan.metrics[0].name)}.yaml"
        )


def follow_ups(store: ControlStore) -> tuple[FollowUp, ...]:
    """What could be asked next, of the newest experiments first."""
    with store.reading() as connection:
        known = experiments.listed(connection)
        followed = {tag for one in known for tag in one.design.tags}
        ended = [one for one in known if one.course.decision and _follows(one.id) not in followed]
        return tuple(found for one in reversed(ended) for found in _of(connection, one))


def draft_text(found: FollowUp) -> str:
    """The file of a draft, with what it rests on above it."""
    told = (f"A draft, from {found.experiment} ({found.kind}).", found.evidence, found.idea)
    head = [fill(line, 108, initial_indent="# ", subsequent_indent="# ") for line in told]
    return "\n".join([*head, design_to_yaml(found.draft)])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """A decided experiment with what it found."""

    experiment: Experiment
    decision: Decision
    findings: Findings

    def draft(self, name: str, hypothesis: str, background: str, metrics: Sequence[Metric] = ()) -> Design:
        """A design like the one that was, that asks another thing."""
        before = self.experiment.design
        plan = replace(
            before.plan,
            id="",
            name=name,
            hypothesis=hypothesis,
            start=None,
            end=None,
            metrics=tuple(map(self._directed, metrics or before.plan.metrics)),
        )
        tags = dict.fromkeys((*before.tags, "follow-up", _follows(self.experiment.id)))
        return replace(before, plan=plan, flag="", background=background, tags=tuple(tags))

    def _directed(self, metric: Metric) -> Metric:
        """Which way is better is said by what was measured; a plan may leave it to the metric's definition."""
        return replace(metric, better=self.findings.metric(metric.name).better)


def _of(connection: Connection, experiment: Experiment) -> Iterator[FollowUp]:
    last, decision = looks.last(connection, experiment.id), experiment.course.decision
    if decision is None or last is None or last.phase != experiment.phase or experiment.plan.purpose == "aa":
        return
    taken = again(connection, last)
    if taken.is_sealed or taken.findings.in_doubt:
        return
    case = _Case(experiment=experiment, decision=decision, findings=taken.findings)
    for found in _RULES.values():
        yield from found(case)


def _near_misses(case: _Case) -> Iterator[FollowUp]:
    """What was not shipped, went the wanted way, and may still be as large as was hoped for."""
    if case.decision.verdict != "KILL":
        return
    plan = case.experiment.plan
    for result, one, row in _pairs(case.findings, "primary"):
        gain = _gain(result, one)
        best = _best(result, one)
        p = one.p_value_adjusted
        if row.standing != "unclear" or gain is None or best is None or p is None:
            continue
        if gain > 0 and p <= NEAR and best >= plan.minimum_effect:
            yield _near_miss(case, row, _units(case, one, max(gain, plan.minimum_effect)))


def _near_miss(case: _Case, row: Row, units: int) -> FollowUp:
    plan, name = case.experiment.plan, case.experiment.id
    draft = case.draft(
        f"{_name(case)}, with enough to see it",
        _again(case),
        f"{name} moved {row.metric} by {row.lift} {row.interval}, and could not tell it from none.",
    )
    enough = replace(draft.plan, planned_units=units, maximum_units=None, maximum_days=LONGEST)
    return FollowUp(
        kind="near miss",
        experiment=name,
        evidence=f"{row.metric} of {row.variant}: {row.lift}, interval {row.interval}, p {row.p}; "
        f"{words.percent(plan.minimum_effect)} is still possible.",
        idea=f"Make the change bolder, or ask again with {words.count(units)} units a variant.",
        draft=replace(draft, plan=enough),
    )


def _iterations(case: _Case) -> Iterator[FollowUp]:
    """What people want to try again otherwise."""
    if case.decision.verdict != "ITERATE":
        return
    notes = [
        f"{note.sign}: {words.plain(note.text)}"
        for note in case.experiment.course.situation.notes
        if note.text
    ]
    heard = "; ".join(notes) or words.sentence(case.decision.reason or case.decision.headline)
    yield FollowUp(
        kind="iterate",
        experiment=case.experiment.id,
        evidence=f"It was decided to iterate: {words.sentence(heard)}",
        idea="Make the next version of what people said, and ask the same question of it.",
        draft=case.draft(
            f"{_name(case)}, next version",
            _again(case),
            f"{case.experiment.id} was iterated. {words.sentence(heard)}",
        ),
    )


def _segments(case: _Case) -> Iterator[FollowUp]:
    """A primary metric that moved in one segment and not so in another: their intervals do not meet."""
    for split in segments.splits(case.findings):
        best = max(split.parts, key=lambda part: _signed(part[1]), default=None)
        if split.role != "primary" or best is None or best[1].standing != "better":
            continue
        others = [(name, other) for name, other in split.parts if _apart(best[1], other)]
        if others:
            yield _segment(case, split, best, others[-1])


def _segment(case: _Case, split: Split, best: tuple[str, Row], least: tuple[str, Row]) -> FollowUp:
    (value, row), (other, low) = best, least
    here, name = f"{split.column} is {value}", case.experiment.id
    return FollowUp(
        kind="segment",
        experiment=name,
        evidence=f"{split.metric} of {split.variant}: {row.lift} {row.interval} where {here}, and {low.lift} "
        f"{low.interval} where it is {other} (exploratory, over {split.tests} tests).",
        idea=f"Ask it of {split.column} {value} alone, by a condition in the rule of a new flag.",
        draft=case.draft(
            f"{_name(case)}, where {here}",
            f"If we give {split.variant} where {here}, then {split.metric} gets better there, because it did in {name}",
            f"In {name} it moved by {row.lift} there, and by {low.lift} where {split.column} is {other}. That was one "
            f"of {split.tests} tests, so it is an idea and no finding.",
        ),
    )


def _surprises(case: _Case) -> Iterator[FollowUp]:
    """A metric that nobody expected to move."""
    for result, _, row in _pairs(case.findings, "secondary"):
        if row.standing not in ("better", "worse"):
            continue
        wanted = "gets better" if row.standing == "better" else "does not get worse"
        yield FollowUp(
            kind="surprise",
            experiment=case.experiment.id,
            evidence=f"{row.metric} of {row.variant} became {row.standing}, which nobody asked for: {row.lift} "
            f"{row.interval}, p {row.p} over {words.plural(row.tests, 'test')}.",
            idea=f"Find out why {row.metric} moved, and ask for it by itself.",
            draft=_standard(
                case.draft(
                    f"What {row.variant} does to {row.metric}",
                    f"If we make what moved {row.metric} on purpose, then {row.metric} {wanted}, because it became "
                    f"{row.standing} in {case.experiment.id} without being asked for",
                    f"In {case.experiment.id} {row.metric} moved by {row.lift} {row.interval} beside the goal.",
                    _with_goal(case.experiment.design, result.name),
                )
            ),
        )


_RULES: Mapping[Kind, Callable[[_Case], Iterator[FollowUp]]] = {
    "iterate": _iterations,
    "near miss": _near_misses,
    "segment": _segments,
    "surprise": _surprises,
}


# What they are made of


def _pairs(findings: Findings, role: str) -> Iterator[tuple[MetricResult, Comparison, Row]]:
    for result in findings.analysis.metrics:
        if result.role == role:
            for one, row in zip(result.comparisons, rows.of_metrics(findings, [result]), strict=True):
                yield result, one, row


def _gain(result: MetricResult, one: Comparison) -> float | None:
    """The lift in the wanted direction."""
    return None if one.lift is None else one.lift if result.better == "higher" else -one.lift


def _best(result: MetricResult, one: Comparison) -> float | None:
    """The end of the interval that is wanted."""
    low, high = one.lift_interval
    return high if result.better == "higher" else None if low is None else -low


def _signed(row: Row) -> float:
    if row.estimate is None:
        return float("-inf")
    return row.estimate if row.better == "higher" else -row.estimate


def _apart(row: Row, other: Row) -> bool:
    """Whether two intervals do not meet."""
    (low, high), (below, above) = row.bounds, other.bounds
    return (low is not None and above is not None and above < low) or (
        high is not None and below is not None and below > high
    )


def _units(case: _Case, one: Comparison, effect: float) -> int:
    """Units per variant that see an effect, by the spread that was met; no fewer than were planned."""
    now = min(case.findings.analysis.progress.units.values(), default=0)
    planned = case.experiment.plan.planned_units or now
    if one.std_error is None or not one.lift or not one.effect:
        return planned
    spread = one.std_error * abs(one.lift / one.effect)
    return max(planned, ceil(now * (DETECTS * spread / effect) ** 2 / 100) * 100)


def _with_goal(design: Design, goal: str) -> list[Metric]:
    """The metrics with another goal; what was the goal is protected."""
    found: list[Metric] = []
    for metric in design.plan.metrics:
        if metric.name == goal:
            found.insert(0, replace(metric, role="primary", margin=None))
        elif metric.role == "primary":
            found.append(replace(metric, role="guardrail", margin=metric.margin or PROTECTED))
        else:
            found.append(metric)
    return found


def _standard(design: Design) -> Design:
    """With the standard policy and no tie-break, for the goal is another one."""
    return replace(design, plan=replace(design.plan, policy="standard", tie_break=None, ship_threshold=None))


def _again(case: _Case) -> str:
    return case.experiment.design.hypothesis or f"If we try {_name(case)} again, then it shows"


def _name(case: _Case) -> str:
    return case.experiment.design.name or case.experiment.id


def _follows(experiment_id: str) -> str:
    """The tag by which an experiment says what it follows."""
    return f"from {experiment_id}"


def _slug(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name.lower())
