"""The sections of the documentation standard that are words, as values: what document and page both show."""

from datetime import date

from upshot.model.metric import Metric
from upshot.model.plan import Plan
from upshot.report import rows, words
from upshot.report.findings import Findings

Facts = list[tuple[str, str]]

MONITORING = {
    "fixed": "one look, at the planned end",
    "group_sequential": "group sequential: the planned looks share the level",
    "always_valid": "always valid: the level holds at every look",
}
FAMILIES = {
    "holm": "Holm",
    "bonferroni": "Bonferroni",
    "benjamini_hochberg": "Benjamini-Hochberg",
    "dunnett": "Dunnett",
}
POLICIES = {
    "aa": "A/A: healthy when no check fails and nothing differs",
    "standard": "standard: better by enough to be worth it, and nothing that is protected is hurt",
    "do_no_harm": "do no harm: ship when nothing is worse than its margin",
    "superiority_with_guardrails": "superiority with guardrails: one goal better, every guardrail proven",
}
STATUS = {"pass": "passed", "warn": "look at it", "fail": "failed", "skipped": "skipped"}


def overview(findings: Findings) -> Facts:
    """Id, owner, unit, variants, duration, status."""
    plan, progress = findings.plan, findings.analysis.progress
    facts = [
        ("Id", plan.id or "none (analysed without a registered experiment)"),
        ("Owner", plan.owner),
        ("Randomised by", rows.unit_noun(findings.analysis.unit)),
        ("Variants", _variants(findings)),
        ("Period", words.period(*_period(findings))),
        ("Duration", words.duration(progress.days) if progress.days is not None else "not recorded"),
        ("Looks", _looks(findings)),
        ("Status", status(findings)),
    ]
    return [(name, words.plain(text)) for name, text in facts if text]


def _period(findings: Findings) -> tuple[date | None, date | None]:
    days = findings.evidence.days
    first, last = (min(days), max(days)) if days else (None, None)
    return findings.plan.start or first, findings.analysis.look.day or findings.plan.end or last


def _variants(findings: Findings) -> str:
    units, split = findings.analysis.progress.units, findings.plan.split
    noun = rows.unit_noun(findings.analysis.unit)
    total = sum(split.values())

    def say(name: str) -> str:
        planned = f", {words.percent(split[name] / total)} planned" if total and name in split else ""
        role = "control, " if name == findings.control else ""
        return f"{name} ({role}{words.plural(units.get(name, 0), noun)}{planned})"

    return "; ".join(say(name) for name in findings.evidence.variants)


def _looks(findings: Findings) -> str:
    """When the data were looked at before; empty at the first look."""
    if not findings.looks:
        return ""
    days = [words.day(look.day) for look in findings.looks if look.day]
    since = f", the first on {days[0]}" if days else ""
    return f"{len(findings.looks) + 1}{since}"


def status(findings: Findings) -> str:
    """How far it is: complete, running with what is left, or before its first decision."""
    progress = findings.analysis.progress
    if findings.plan.final:
        return "complete: the data are taken as final, because there is no plan"
    if progress.maximum_reached:
        return "complete: the maximum is reached"
    done = f"{words.percent(progress.information, 0)} of the maximum"
    if progress.days_left:
        return f"running: {words.plural(progress.days_left, 'day')} to the planned end, {done}"
    return f"running past its planned end, {done}" if progress.planned_reached else f"running, {done}"


def hypothesis(findings: Findings) -> str:
    """As it was written; without one, what the plan asks."""
    if findings.plan.hypothesis:
        return words.sentence(findings.plan.hypothesis)
    goals = [_wish(metric, findings.plan) for metric in findings.plan.of_role("primary")]
    what = words.listing([words.plain(name) for name in findings.challengers], "or")
    return f"None was written down before the start. What was asked: does {what} {words.listing(goals)}?"


def _wish(metric: Metric, plan: Plan) -> str:
    verb = "raise" if metric.better == "higher" else "lower"
    return f"{verb} {words.plain(metric.name)} by {words.percent(plan.minimum_effect)} or more"


def success_criteria(findings: Findings) -> Facts:
    """What was fixed before the start: goals, levels, runtime, sample, rule."""
    plan = findings.plan
    goals = [_goal(findings, metric) for metric in plan.of_role("primary")]
    facts = [
        ("Primary metric" + ("s" if len(goals) > 1 else ""), words.listing(goals)),
        ("Worth shipping", f"from a lift of {words.percent(plan.worth_shipping)} on" if rows.bars(findings) else ""),
        ("Looked for", f"a lift of {words.percent(plan.minimum_effect)}"),
        ("Level", f"{words.percent(1 - plan.alpha)} confidence, {words.percent(plan.power)} power"),
        ("Monitoring", MONITORING[findings.analysis.monitoring]),
        ("Runtime", runtime(plan)),
        ("Sample", sample(plan)),
        ("Guardrails", "; ".join(protection(findings.metric(m.name)) for m in plan.of_role("guardrail"))),
        ("Several tests", _family(findings)),
        ("Rule", POLICIES["aa" if plan.purpose == "aa" else plan.policy]),
    ]  # fmt: skip
    return [(name, text) for name, text in facts if text]


def _goal(findings: Findings, metric: Metric) -> str:
    about = rows.about(findings.metric(metric.name), findings.analysis.unit)
    return f"{words.plain(metric.name)} ({about}, {metric.better} is better)"


def runtime(plan: Plan) -> str:
    """How long it runs; nothing where the data are complete."""
    if plan.final:
        return ""
    return f"at least {words.duration(plan.minimum_days)}, at most {words.duration(plan.maximum_days)}"


def sample(plan: Plan) -> str:
    """How many units are planned, and the least before a benefit is claimed."""
    if plan.final:
        return f"below {words.count(plan.floor)} a variant there is a warning"
    floor = f"at least {words.count(plan.floor)} a variant before any benefit is claimed"
    planned = f"{words.count(plan.planned_units)} a variant planned; " if plan.planned_units else ""
    return planned + floor


def protection(metric: Metric) -> str:
    """What a guardrail is held against."""
    say = words.percent if metric.kind in words.SHARES else words.number
    name = words.plain(metric.name)
    if metric.maximum is not None:
        return f"{name} at most {say(metric.maximum)}"
    if metric.minimum is not None:
        return f"{name} at least {say(metric.minimum)}"
    return f"{name} not worse than control" + (
        f" by more than {words.percent(metric.margin)}" if metric.margin else ""
    )


def _family(findings: Findings) -> str:
    tests = len(findings.plan.of_role("primary")) * len(findings.challengers)
    return f"{FAMILIES[findings.plan.family]} over {tests} tests of the primary metrics" if tests > 1 else ""


def outcome(findings: Findings) -> str:
    """The winner, or that there is none, in one sentence."""
    verdict = findings.verdict
    if verdict.winner:
        return f"Winner: {words.plain(verdict.winner)}."
    if findings.plan.purpose == "aa":
        return "An A/A comparison: nothing is to be won."
    if findings.in_doubt:
        return "No winner can be named, for a check failed."
    better = {row.variant for row in rows.of_role(findings, "primary") if row.standing == "better"}
    if better:
        return f"No winner is declared, though {words.listing(sorted(better))} is better on a primary metric."
    return "No winner: no variant is better than control on a primary metric."


def closing(findings: Findings) -> tuple[str, ...]:
    """What a test with planned looks says once it has ended: corrected for its having stopped where it did."""
    return tuple(
        f"{words.plain(result.name)}, {words.plain(one.variant)}: corrected for the looks, the effect is "
        f"{words.with_interval(one.median_unbiased, (None, None), relative=False, kind=result.kind)[0]} "
        f"(median-unbiased) with a stage-wise {words.p_phrase(one.stagewise_p_value)}."
        for result in findings.analysis.metrics
        for one in result.comparisons
        if result.role == "primary" and one.stagewise_p_value is not None and one.median_unbiased is not None
    )


def decision(findings: Findings) -> str:
    """The verdict as a recommendation with the row of the rule that gave it."""
    verdict, plan = findings.verdict, findings.plan
    cause = verdict.cause.replace("_", " ")
    table = sorted({one.row for one in verdict.variants})
    met = f", row {words.listing([str(n) for n in table])} of the decision table" if table else ""
    name = "A/A" if plan.purpose == "aa" else plan.policy.replace("_", " ")
    rule = f"by the {name} rule{met}"
    return f"{verdict.verdict} ({cause}), {rule}. {words.sentence(verdict.headline)}"


def by_variant(findings: Findings) -> Facts:
    """Each variant's own verdict, where there are several."""
    if len(findings.verdict.variants) < 2:
        return []
    return [
        (words.plain(one.variant), f"{one.verdict}. {words.sentence(one.headline)}")
        for one in findings.verdict.variants
    ]


def methods(findings: Findings) -> Facts:
    """How each number was made, and what a cap did to it."""
    told: Facts = []
    for result in findings.analysis.metrics:
        metric = findings.metric(result.name)
        ways = dict.fromkeys(words.plain(c.method) for c in result.comparisons if c.method)
        parts = [*ways, *_cap(metric, sum(one.capped_units for one in result.variants.values()))]
        told.append((words.plain(result.name), "; ".join(parts)))
    return told


def _cap(metric: Metric, capped: int) -> list[str]:
    if metric.cap is None:
        return []
    return [f"capped at the {words.percent(metric.cap)} quantile ({words.plural(capped, 'unit')})"]
