"""A team's past in a control store: experiments with real looks at made-up units, decided or running."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np

from upshot.bootstrap import new_salt
from upshot.formats.catalogue import catalogue
from upshot.formats.experiments import design_from_yaml
from upshot.model.course import Decision
from upshot.model.decision import Situation
from upshot.model.standards import Standards
from upshot.services.learnings import archived
from upshot.services.live import findings_of
from upshot.services.workspace import Workspace
from upshot.simulate.units import Truth
from upshot.simulate.world import World, evidences
from upshot.store import experiments, looks
from upshot.store.control import ControlStore
from upshot.store.flags import StoredFlags

BEGIN = datetime(2026, 3, 2, 9, tzinfo=UTC)
TEXT = """
name: {name}
type: {type}
flag: {flag}
owner: ann@example.org
hypothesis: If we ask for less, then {goal} rises by 10%, because forms cost patience
background: Seven of ten leave at the form.
variants: {{control: the long form, treatment: the short form}}
plan:
  split: {{control: 1, treatment: 1}}
  metrics:
    primary: [{goal}]
    secondary: [share_rate]
    guardrail: ["crash_rate,margin=20%"]
  monitoring: {monitoring}
  planned_units: 4000
  looks: 14
  minimum_effect: 10%
  minimum_days: 7
  maximum_days: 14
  start: 2026-03-02
segments: [country]
rollback: Switch the flag off.
tags: [forms]
"""
STILL = {
    "share_rate": Truth(shape="binary", baseline=0.1),
    "crash_rate": Truth(shape="binary", baseline=0.02),
}


def design(
    name="A shorter form", *, kind="onboarding", flag="short-form", goal="activation", monitoring="fixed"
):
    return design_from_yaml(TEXT.format(name=name, type=kind, flag=flag, goal=goal, monitoring=monitoring))


class Past:
    """Experiments whose units are drawn; the days pass by the clock that is moved here."""

    def __init__(self, url, path):
        self.now = BEGIN
        self.store = ControlStore.open(url, self.clock)
        self.workspace = Workspace(
            store=self.store, flags=StoredFlags(self.store, "upshot"), data=path, definitions=catalogue(),
            standards=Standards(), clock=self.clock, new_salt=new_salt,
        )  # fmt: skip

    def clock(self):
        self.now += timedelta(seconds=1)
        return self.now

    def run(
        self, asked=None, lift=0.0, *, days=14, seed=1, daily=600, segments=None, situation=None, **others
    ):
        """An experiment that was looked at on each of its days; lifts of the goal, of others by their name.

        segments: country -> the lift of the goal there.
        """
        asked = asked or design()
        with self.store.changing("ann@example.org", "proposed") as change:
            made = experiments.create(change, asked)
            experiments.move(change, made.id, "running")
        (goal,) = (metric.name for metric in asked.plan.of_role("primary"))
        course = zip(
            evidences(_world(goal, lift, others, daily), made.plan, np.random.default_rng(seed)),
            _by_country(goal, segments or {}, made.plan, daily, seed),
            strict=False,
        )
        for (day, evidence), countries in list(course)[:days]:
            self.now = datetime.combine(day + timedelta(days=1), self.now.timetz())
            found = replace(evidence, segments={"country": countries} if countries else {})
            self.look(made.id, day, found, situation or Situation())
        return made.id

    def look(self, experiment_id, day, evidence, situation):
        with self.store.changing("upshot looks", "daily") as change:
            before = looks.history(change.connection, experiment_id, 1)
            plan = experiments.find(change.connection, experiment_id).plan
            found = findings_of(plan, evidence, before, day, situation)
            looks.keep(change, experiment_id, evidence=evidence, analysis=found.analysis, verdict=found.verdict,
                       situation=situation)  # fmt: skip

    def decide(self, experiment_id, verdict, *, reason="it is clear", variant=None, state="decided", **more):
        """What a decision leaves behind, its learning included."""
        with self.store.changing("bob@example.org", reason) as change:
            found = experiments.find(change.connection, experiment_id)
            last = looks.last(change.connection, experiment_id)
            decision = Decision(
                verdict=verdict, variant=variant, at=change.at, actor="bob@example.org", reason=reason,
                recommended=last.verdict.verdict if last else None, cause=last.verdict.cause if last else None,
                headline=last.verdict.headline if last else "", look=last.number if last else None, **more,
            )  # fmt: skip
            if found.state == "running":
                experiments.move(change, experiment_id, "killed" if state == "killed" else "analyzing")
            experiments.move(
                change, experiment_id, "decided", course=replace(found.course, decision=decision)
            )
            return archived(change, experiment_id)

    def close(self):
        self.store.close()


def _world(goal, lift, others, daily):
    lifts = {goal: lift, **others}
    known = {goal: Truth(shape="binary", baseline=0.3)} | STILL
    truths = {
        name: replace(truth, lifts={"treatment": lifts.get(name, 0.0)}) for name, truth in known.items()
    }
    return World(truths=truths, daily_units=daily, days=14)


def _by_country(goal, lifts, plan, daily, seed):
    """For each day what the units of each country did."""
    courses = {
        name: [
            one.total
            for _, one in evidences(_world(goal, lift, {}, daily), plan, np.random.default_rng(seed + place))
        ]
        for place, (name, lift) in enumerate(lifts.items(), start=100)
    }
    return ({name: course[day] for name, course in courses.items()} for day in range(14))


def day(number):
    return date(2026, 3, 2) + timedelta(days=number)
