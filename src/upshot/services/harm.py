"""Harm of running experiments: what is proven to hurt is turned off by itself, and the experiment is killed.

It is looked for every few seconds, always-valid and at a level of its own, by the first row of the table of verdicts
and nothing else. Where nothing is proven, no look is kept and nobody sees an effect. Where harm is proven, the flag is
turned off first, durably; the look and the experiment's end follow in one transaction, and whoever died between the two
finds the flag off and goes on from there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from upshot.errors import ConflictError, DataError
from upshot.model.decision import ExperimentVerdict, Situation, VariantVerdict
from upshot.model.event_metric import EventMetric
from upshot.model.plan import Plan
from upshot.report.findings import Findings
from upshot.services.defined import Defined
from upshot.services.live import Past, findings_of, keep_look, past_of
from upshot.services.live_evidence import live_evidence, met
from upshot.services.live_plan import check_plan
from upshot.store import experiments
from upshot.store.control import ControlStore
from upshot.store.experiments import Experiment


@dataclass(frozen=True, slots=True, kw_only=True)
class Harm:
    """That an experiment is proven to harm.

    Attributes:
        experiment: as it was then. findings: the look that says so, with all of its effects.
        past: what was kept of it before.
    """

    experiment: Experiment
    findings: Findings
    past: Past

    @property
    def sentence(self) -> str:
        """What harms, and by how much."""
        return harm_words(self.findings.verdict)


def harmful_variants(verdict: ExperimentVerdict) -> tuple[VariantVerdict, ...]:
    """The variants that a verdict turns off for harm."""
    return tuple(one for one in verdict.variants if one.verdict == "KILL" and one.cause == "harm")


def harm_words(verdict: ExperimentVerdict) -> str:
    """What harms by a verdict, and by how much; of other variants nothing."""
    return " ".join(f"{one.variant}: {one.headline}. {one.reasons[0]}" for one in harmful_variants(verdict))


def find_harm(
    store: ControlStore,
    directory: Path,
    experiment: Experiment,
    defined: Defined,
    as_of: datetime,
) -> Harm | None:
    """Whether an experiment is proven to harm; None where it is not, or there is too little to say so.

    Args:
        directory: the data directory. defined: what can be measured. as_of: until when events are seen.

    Raises:
        UpshotError: its data or its metrics cannot be used.
    """
    check_plan(experiment.plan, defined.metrics)
    with met(directory, experiment.id, as_of, defined.exposures, experiment.design.segments) as found:
        phase = max(found.newest, experiment.phase)
        if phase not in found.phases:
            return None
        past = past_of(store, experiment.id, phase)
        try:
            evidence = live_evidence(
                found,
                experiment.plan,
                defined.metrics,
                phase,
                segments=experiment.design.segments,
                at_once=told_at_once(experiment.plan, defined.metrics),
            )
            situation = situation_of(experiment, past)
            findings = findings_of(experiment.plan, evidence, past.history, as_of.date(), situation)
        except (
            DataError
        ):  # too little yet, such as control alone; the look of the day tells where it stays so
            return None
    if not harmful_variants(findings.verdict):
        return None
    return Harm(experiment=experiment, findings=findings, past=past)


def told_at_once(plan: Plan, definitions: Mapping[str, EventMetric]) -> frozenset[str]:
    """The metrics whose bad news is known when it happens: shares of units with something that should not be.

    A unit that crashed has crashed, whatever the rest of its window brings; waiting for that would let a harm of
    seconds be found after days. A unit that has not yet counts as one that did not, which hides harm and makes none.
    """
    others = {metric.column for metric in plan.metrics if metric.role != "guardrail"}
    asked = (
        definitions[metric.column] for metric in plan.of_role("guardrail") if metric.column not in others
    )
    return frozenset(
        one.name for one in asked if one.kind == "proportion" and one.better == "lower" and not one.absent
    )


def situation_of(experiment: Experiment, past: Past) -> Situation:
    """What people know, as the last look has it, else as they said it."""
    return past.last.situation if past.last is not None else experiment.course.situation


def close_harmed(
    store: ControlStore, experiment: Experiment, harm: Harm | None, actor: str, reason: str
) -> None:
    """Keep the look that proved harm, and end the experiment: both or neither. Its flags were turned off before.

    Args:
        harm: what is to be kept as a look; None: there is nothing to be had any more, and it ends all the same.

    Raises:
        ConflictError: somebody changed the experiment, or looked, meanwhile.
    """
    with store.changing(actor, reason) as change:
        now = experiments.find(change.connection, experiment.id)
        if now.state not in ("running", "analyzing"):
            return
        if harm is not None:
            if now.version != harm.experiment.version:
                raise ConflictError(f"{experiment.id} was changed meanwhile")
            situation = situation_of(harm.experiment, harm.past)
            keep_look(change, now.id, harm.past, now.plan, harm.findings, situation)
        experiments.move(change, now.id, "killed")
