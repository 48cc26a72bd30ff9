"""The whole rule on many worlds: look after look through `analyze` and `decide`, as a team would."""

from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from functools import partial
from multiprocessing import get_context

import numpy as np

from upshot.analysis.analyze import analyze
from upshot.analysis.result import Analysis, Bounds, Look
from upshot.decide.policy import decide
from upshot.model.decision import ExperimentVerdict, Verdict
from upshot.model.plan import Plan
from upshot.simulate.outcomes import Ending, Outcomes
from upshot.simulate.world import START, World, evidences

FINAL: frozenset[Verdict] = frozenset({"SHIP", "KILL", "ITERATE", "DISCUSS"})
CHUNK = 25  # worlds that one process takes at a time

Progress = Callable[[int], None]


def run(
    plan: Plan,
    world: World,
    worlds: int = 10_000,
    seed: int = 0,
    processes: int = 1,
    whole: bool = False,
    progress: Progress = lambda _: None,
) -> Outcomes:
    """The endings of many courses of one world under the plan's rule, with a look at the end of each day.

    World i draws from a generator of (seed, i), so the same seed gives the same endings however many
    processes share the work. A course ends with the first SHIP, KILL, ITERATE or DISCUSS.

    Args:
        plan: the rule; metrics of which the world knows no truth are left out of it.
        world: what is true. worlds: how many courses. seed: of all chance.
        processes: 1 runs here; more are started afresh, so the caller's module must be importable.
        whole: go on to the last day for `Outcomes.always_covered`; the ending stays that of the decision.
        progress: called with the number of worlds done, now and then.
    """
    known = tuple(metric for metric in plan.metrics if metric.name in world.truths)
    plan = replace(plan, metrics=known, start=plan.start or START)
    chunks = [range(first, min(first + CHUNK, worlds)) for first in range(0, worlds, CHUNK)]
    work = partial(_endings, plan, world, seed, whole)
    done: dict[int, tuple[Ending, ...]] = {}
    for first, endings in _each(work, chunks, processes):
        done[first] = endings
        progress(sum(map(len, done.values())))
    return Outcomes(tuple(ending for first in sorted(done) for ending in done[first]))


Work = Callable[[range], tuple[Ending, ...]]


def _each(work: Work, chunks: list[range], processes: int) -> Iterable[tuple[int, tuple[Ending, ...]]]:
    if processes == 1:
        yield from ((chunk.start, work(chunk)) for chunk in chunks)
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        jobs = {pool.submit(work, chunk): chunk.start for chunk in chunks}
        for job in as_completed(jobs):
            yield jobs[job], job.result()


def _endings(plan: Plan, world: World, seed: int, whole: bool, chunk: range) -> tuple[Ending, ...]:
    return tuple(follow(plan, world, np.random.default_rng((seed, index)), whole) for index in chunk)


def follow(plan: Plan, world: World, rng: np.random.Generator, whole: bool = False) -> Ending:
    """One course of the world until the rule decides or time runs out."""
    looks: tuple[Look, ...] = ()
    ending: Ending | None = None
    harmed, always = False, True
    for number, (day, evidence) in enumerate(evidences(world, plan, rng), start=1):
        analysis = analyze(plan, evidence, looks, day, closing=False)
        looks = (*looks, analysis.look)
        if ending is None:
            harmed = harmed or _guardrail_harm(analysis)
            verdict = decide(plan, analysis)
            if verdict.verdict in FINAL or number == world.days:
                ending = _ending(verdict, analysis, world, number, harmed)
        if whole:
            always = always and _covers(analysis, world) is not False
        elif ending is not None:
            return ending
    if ending is None:
        raise ValueError(f"days is {world.days}: a world needs at least one")
    return replace(ending, always_covered=always)


def _ending(verdict: ExperimentVerdict, analysis: Analysis, world: World, day: int, harmed: bool) -> Ending:
    primaries = [metric for metric in analysis.metrics if metric.role == "primary"]
    named = verdict.winner or (primaries[0].comparisons[0].variant if primaries else "")
    lifts = [one.lift for metric in primaries[:1] for one in metric.comparisons if one.variant == named]
    return Ending(
        verdict=verdict.verdict,
        cause=verdict.cause,
        winner=verdict.winner,
        day=day,
        decided=verdict.verdict in FINAL,
        significant=any(one.significant for metric in primaries for one in metric.comparisons),
        covered=_covers(analysis, world),
        always_covered=None,
        guardrail_harm=harmed,
        estimate=lifts[0] if lifts else None,
    )


def _guardrail_harm(analysis: Analysis) -> bool:
    return any(
        one.guardrail is not None and one.guardrail.state == "harmed"
        for metric in analysis.metrics
        for one in metric.comparisons
    )


def _covers(analysis: Analysis, world: World) -> bool | None:
    """Whether the adjusted interval of every primary's effect holds the truth; None if there is no interval."""
    answers = [
        _holds(one.interval, world.truths[metric.name].effect_in(one.variant))
        for metric in analysis.metrics
        if metric.role == "primary"
        for one in metric.comparisons
        if one.effect is not None
    ]
    return all(answers) if answers else None


def _holds(bounds: Bounds, value: float) -> bool:
    low, high = bounds
    return (low is None or low <= value) and (high is None or value <= high)
