"""A whole flag as an Ibis expression: its rules in order, as the SDK would decide for units without other attributes.

Conditions are left to the SDK, but for lists of unit ids, which overrides are: every operator would have to mean the
same to every engine. `beyond_sql` says what keeps a flag out of SQL.
"""

from collections.abc import Mapping
from datetime import datetime
from functools import reduce
from operator import and_, or_
from typing import Any

import ibis
import ibis.expr.types as ir

from upshot.assignment.draw_sql import Units, drawn, nobody
from upshot.model.flag import TARGETING_KEY
from upshot_sdk.operators import as_text

Json = Mapping[str, Any]


def beyond_sql(flag: Json, now: datetime) -> str | None:
    """Why this flag cannot be decided in SQL: a clause; None where it can."""
    if not flag["enabled"]:
        return None
    if flag.get("prerequisites"):
        return f"it needs flag {flag['prerequisites'][0]['flag']}"
    asking = [rule["id"] for rule in _in_force(flag, now) if not _by_id(rule)]
    return f"rule {asking[0]} has a condition" if asking else None


def decided(
    flag: Json, payload: Json, units: Units, engine: str, now: datetime, experiment: str | None = None
) -> ir.StringValue:
    """The variant of each unit: NULL where the caller's default is served.

    Args:
        flag: a flag of the ruleset, of which `beyond_sql` knows nothing.
        payload: the ruleset. units: the name of a unit (``targetingKey``) -> the column of its ids.
        engine: whose SQL it will be, as Ibis calls it. now: which rules are in force.
        experiment: only those that this experiment enrols have a variant; None: whoever decides.
    """
    if not flag["enabled"]:
        return nobody()
    rules = _in_force(flag, now)
    given = [_given(rule, payload, units, engine) for rule in rules]
    if experiment is None:
        return _first([*given, *_otherwise(flag, payload, rules, units)])
    of = [rule.get("experiment", {}).get("id") for rule in rules]
    if experiment not in of:
        return nobody()
    place = of.index(experiment)
    before = [variant.notnull() for variant in given[:place]]
    return ibis.cases((reduce(or_, before), nobody()), else_=given[place]) if before else given[place]


def _first(given: list[ir.StringValue]) -> ir.StringValue:
    """The first of some variants that is there."""
    if len(given) < 2:
        return given[0] if given else nobody()
    return ibis.coalesce(*given)


def _otherwise(flag: Json, payload: Json, rules: list[Json], units: Units) -> list[ir.StringValue]:
    """The default, but none for a unit that lacks what a rule draws on: the SDK answers with an error there."""
    if "default_variant" not in flag:
        return []
    default = ibis.literal(flag["default_variant"])
    names = {name for rule in rules for name in _drawn_on(rule, payload)}
    known = [units(name).notnull() for name in sorted(names)]
    return [ibis.cases((reduce(and_, known), default), else_=nobody()) if known else default]


def _drawn_on(rule: Json, payload: Json) -> list[str]:
    allocation = rule.get("experiment") or rule.get("rollout")
    if not allocation:
        return []
    held = [payload["holdouts"][allocation["holdout"]]["unit"]] if "holdout" in allocation else []
    return [allocation["unit"], *held]


def _given(rule: Json, payload: Json, units: Units, engine: str) -> ir.StringValue:
    """The variant that a rule gives; NULL for units that it leaves to the next."""
    if "variant" not in rule:
        return drawn(rule.get("experiment") or rule["rollout"], payload, units, engine)
    if "when" not in rule:
        return ibis.literal(rule["variant"])
    named = units(TARGETING_KEY).isin([as_text(unit) for unit in rule["when"]["value"]])
    return ibis.cases((named, rule["variant"]), else_=nobody())


def _by_id(rule: Json) -> bool:
    """Whether a rule asks nothing, or for the unit's id only."""
    when = rule.get("when")
    if when is None:
        return True
    return "variant" in rule and when.get("attr") == TARGETING_KEY and when.get("op") == "in"


def _in_force(flag: Json, now: datetime) -> list[Json]:
    return [
        rule
        for rule in flag["rules"]
        if _is_past(rule, "from", now) and not _is_past(rule, "until", now, default=False)
    ]


def _is_past(rule: Json, edge: str, now: datetime, *, default: bool = True) -> bool:
    return datetime.fromisoformat(rule[edge]) <= now if edge in rule else default
