"""What was agreed before an experiment started, in words."""

from collections.abc import Mapping, Sequence

from upshot.formats.duration import duration_text
from upshot.model.experiment import Design, Execution, LaggingMetric
from upshot.model.metric import Metric, Role
from upshot.model.plan import Plan
from upshot.report import words
from upshot.report.sections import FAMILIES, MONITORING, POLICIES, protection, runtime, sample

Fact = tuple[str, str]


def why(design: Design) -> tuple[str, ...]:
    """Hypothesis and background; that none was written, where none was."""
    told = (design.hypothesis or "None was written down", design.background)
    return tuple(words.sentence(text) for text in told if text)


def agreed(design: Design, measured: Sequence[Metric] = ()) -> tuple[Fact, ...]:
    """Variants, metrics, levels, runtime, rule, and what happens afterwards; what nobody said is left out.

    Args:
        measured: the metrics as data made them, with what their definitions say; empty before the first look.
    """
    known = {metric.name: metric for metric in measured}
    metrics = _metrics(design.plan, known)
    facts = (*_arms(design), *metrics, *_rule(design.plan), *_around(design))
    return tuple((name, text) for name, text in facts if text)


def _arms(design: Design) -> tuple[Fact, ...]:
    plan = design.plan
    total = sum(plan.split.values())
    names = list(plan.split or design.variants)

    def say(name: str) -> str:
        share = f" ({words.percent(plan.split[name] / total)})" if total else ""
        about = words.plain(design.variants.get(name, ""))
        return f"{words.plain(name)}{share}{f': {about}' if about else ''}"

    return (
        (
            "Randomised by",
            plan.unit if plan.unit_kind in ("user", plan.unit) else f"{plan.unit} ({plan.unit_kind})",
        ),
        ("Variants", "; ".join(map(say, names))),
    )


def _metrics(plan: Plan, measured: Mapping[str, Metric]) -> tuple[Fact, ...]:
    def known(role: Role) -> list[Metric]:
        return [measured.get(metric.name, metric) for metric in plan.of_role(role)]

    return (
        ("Primary", "; ".join(_goal(metric, metric.name in measured) for metric in known("primary"))),
        ("Secondary", ", ".join(words.plain(metric.name) for metric in known("secondary"))),
        ("Guardrails", "; ".join(map(protection, known("guardrail")))),
    )


def _goal(metric: Metric, is_measured: bool) -> str:
    """Which way is better may be its definition's to say, which a plan does not know."""
    told = [f"{metric.better} is better"] if is_measured or metric.better == "lower" else []
    told += [f"may lose no more than {words.percent(metric.margin)}"] if metric.margin else []
    return words.plain(metric.name) + (f" ({', '.join(told)})" if told else "")


def _rule(plan: Plan) -> tuple[Fact, ...]:
    is_bar = plan.purpose == "ab" and plan.policy != "do_no_harm"
    return (
        ("Looked for", f"a lift of {words.percent(plan.minimum_effect)}" if is_bar else ""),
        ("Worth shipping", f"from a lift of {words.percent(plan.worth_shipping)} on" if is_bar else ""),
        ("Level", f"{words.percent(1 - plan.alpha)} confidence, {words.percent(plan.power)} power"),
        (
            "Several tests",
            FAMILIES[plan.family] if len(plan.of_role("primary")) > 1 or len(plan.split) > 2 else "",
        ),
        ("Monitoring", MONITORING[plan.monitoring]),
        ("Runtime", runtime(plan)),
        ("Sample", sample(plan)),
        ("Rule", POLICIES["aa" if plan.purpose == "aa" else plan.policy]),
    )


def _around(design: Design) -> tuple[Fact, ...]:
    return (
        ("Split by", ", ".join(map(words.plain, design.segments))),
        ("Rollback", words.sentence(design.rollback)),
        ("When decided", _execution(design.execution)),
        (
            "Looked at again",
            "; ".join(
                f"{words.plain(one.metric)} after {duration_text(one.after)}" for one in design.lagging
            ),
        ),
        ("Exceptions", _exceptions(design.exceptions)),
    )


def _later(one: LaggingMetric) -> str:
    return f"{words.plain(one.metric)} after {duration_text(one.after)}"


def _execution(execution: Execution) -> str:
    steps = [words.percent(share) for share in execution.rollout]
    parts = [
        f"rolled out in steps of {', '.join(steps)}, each for {duration_text(execution.every)}"
        if steps
        else "",
        f"{words.percent(execution.holdback)} kept back" if execution.holdback else "",
        f"{', '.join(execution.automatic)} without a person" if execution.automatic else "",
    ]
    return "; ".join(part for part in parts if part)


def _exceptions(exceptions: Mapping[str, str]) -> str:
    return "; ".join(
        f"{name.replace('_', ' ')}: {words.plain(reason)}" for name, reason in exceptions.items()
    )
