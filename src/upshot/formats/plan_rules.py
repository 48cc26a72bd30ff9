"""What contradicts itself in a plan, as a table: the fields it looks at, what is wrong, and the mend."""

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet

from upshot.formats.metric_rules import metric_problems
from upshot.model.plan import Plan


def plan_problems(plan: Plan, unreadable: AbstractSet[str] = frozenset()) -> list[str]:
    """Every contradiction of a plan, one sentence with its mend for each.

    Args:
        plan: the plan, with defaults in place of the fields that could not be read.
        unreadable: those fields; rules that look at one of them are left out (of metrics, the readable
            ones are still looked at one by one).
    """
    return [
        sentence for fields, rule in RULES if not unreadable & set(fields.split()) for sentence in rule(plan)
    ]


def split_problems(split: Mapping[str, float], control: str) -> list[str]:
    """What is wrong with the weights of a split; also used for ``--split``.

    >>> split_problems({"control": 0.5, "treatment": 0.4}, "control")
    ['split adds up to 0.9: write shares that add up to 1, or whole weights such as control: 1, treatment: 1']
    """
    return list(_split(split, control))


def _split(split: Mapping[str, float], control: str) -> Iterator[str]:
    if not split:
        return
    total = sum(split.values())
    if any(weight < 0 for weight in split.values()):
        name = min(split, key=lambda variant: split[variant])
        yield f"split gives {name} the weight {split[name]:g}: a weight is 0 or more"
    elif len(split) < 2:
        yield f"split names only {', '.join(split)}: name control and at least one other variant"
    elif total <= 0:
        yield "split adds up to 0: give at least two variants a weight above 0"
    elif max(split.values()) < 1 and abs(total - 1) > 0.005:
        yield (
            f"split adds up to {total:g}: write shares that add up to 1, "
            "or whole weights such as control: 1, treatment: 1"
        )
    if control not in split:
        yield f"control is {control}, which is not in the split ({', '.join(split)}): name one of these"


def _metrics(plan: Plan) -> Iterator[str]:
    for metric in plan.metrics:
        for problem in metric_problems(metric):
            yield f"metric {metric.name}: {problem}"
    names = [metric.name for metric in plan.metrics]
    for name in dict.fromkeys(name for name in names if names.count(name) > 1):
        yield f"metric {name} is there {names.count(name)} times: give each its own name"


def _roles(plan: Plan) -> Iterator[str]:
    if plan.policy == "do_no_harm":
        if not plan.of_role("primary") + plan.of_role("guardrail"):
            yield "metrics has nothing to protect: do_no_harm needs a guardrail, or a primary with a margin"
        for metric in plan.of_role("primary"):
            if metric.margin is None:
                yield f"metric {metric.name}: under do_no_harm a primary needs a margin: add one"
        return
    if not plan.of_role("primary"):
        yield "metrics has no primary: give one metric the role primary (it decides)"
    for metric in plan.of_role("primary"):
        if metric.margin is not None:
            yield f"metric {metric.name}: a margin is for guardrails: make it one, or set policy: do_no_harm"


def _thresholds(plan: Plan) -> Iterator[str]:
    if plan.worth_shipping > plan.minimum_effect:
        yield (
            f"ship_threshold is {plan.worth_shipping:g}, above minimum_effect {plan.minimum_effect:g}: "
            "the sample is sized for minimum_effect, so ask for no more than that"
        )


def _days(plan: Plan) -> Iterator[str]:
    if plan.minimum_days > plan.maximum_days:
        yield (
            f"minimum_days is {plan.minimum_days}, above maximum_days {plan.maximum_days}: "
            "lower the minimum or raise the maximum"
        )


def _units(plan: Plan) -> Iterator[str]:
    if plan.planned_units and plan.maximum_units and plan.planned_units > plan.maximum_units:
        yield (
            f"planned_units is {plan.planned_units:,}, above maximum_units {plan.maximum_units:,}: "
            "raise the maximum or leave it out"
        )


def _information(plan: Plan) -> Iterator[str]:
    if plan.monitoring == "group_sequential" and not (plan.planned_units or plan.maximum_units):
        yield (
            "monitoring is group_sequential, which needs to know how much data the end brings: "
            "give planned_units (units per variant; `upshot plan` computes it)"
        )


def _monitoring(plan: Plan) -> Iterator[str]:
    if plan.family in ("dunnett", "benjamini_hochberg") and plan.monitoring != "fixed":
        yield (
            f"family is {plan.family}, which holds for one look only, but monitoring is {plan.monitoring}: "
            "use holm or bonferroni"
        )
    if plan.futility and plan.monitoring != "group_sequential":
        yield f"futility is on, but monitoring is {plan.monitoring}: use group_sequential or leave it out"


def _calendar(plan: Plan) -> Iterator[str]:
    if plan.start and plan.end and plan.end < plan.start:
        yield f"end is {plan.end}, before start {plan.start}: exchange them or mend one"


def _tie_break(plan: Plan) -> Iterator[str]:
    choices = ["largest_lift", "first", *(metric.name for metric in plan.metrics)]
    if plan.tie_break is not None and plan.tie_break not in choices:
        yield f"tie_break is {plan.tie_break}: use one of {', '.join(choices)}"


def _declared_split(plan: Plan) -> Iterator[str]:
    return _split(plan.split, plan.control)


RULES = (
    ("", _metrics),
    ("metrics policy", _roles),
    ("split control", _declared_split),
    ("minimum_effect ship_threshold", _thresholds),
    ("minimum_days maximum_days", _days),
    ("planned_units maximum_units", _units),
    ("monitoring planned_units maximum_units", _information),
    ("family monitoring futility", _monitoring),
    ("start end", _calendar),
    ("tie_break metrics", _tie_break),
)
