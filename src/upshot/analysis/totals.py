"""Per-unit running totals: what was gathered of each unit until a moment, and how it goes on with what is new.

All that a metric is made of (`gathering`) can be brought forward: sums are added to, the first time is the lesser of
two, lists of times and values grow. A unit whose first exposure has another time than before, or that is new, is
gathered afresh, since its windows lie elsewhere.
"""

import ibis
import ibis.expr.types as ir

from upshot.analysis.event_question import EventQuestion
from upshot.analysis.gathering import FIRST, UNIT
from upshot.analysis.unit_table import gathered

STATE_TIME = "_state_first"
"""The first exposure that a unit's totals were gathered for."""


def advanced(
    units: ir.Table, state: ir.Table | None, all_done: ir.Table, new_done: ir.Table, question: EventQuestion
) -> ir.Table | None:
    """The totals of units as they are now; None: nothing is asked.

    Args:
        units: with unit and first_exposure, as they are now.
        state: totals of before, as this gave them; None: none yet.
        all_done: everything that counts, with unit, _time and the marks of all sources.
        new_done: the part of it that the state does not have.

    Returns:
        For each unit its unit, `STATE_TIME` and what `gathered` gives, NULL where it did nothing.
    """
    begun = units.select(UNIT, FIRST)
    if state is None:
        return _dated(gathered(begun, all_done, question), begun)
    known = [begun[UNIT] == state[UNIT], begun[FIRST] == state[STATE_TIME]]
    same, other = begun.semi_join(state, known), begun.anti_join(state, known)
    plus, fresh = gathered(same, new_done, question), _dated(gathered(other, all_done, question), other)
    if plus is None or fresh is None:
        return None
    kept = state.semi_join(same, UNIT)
    return _sum(kept, plus).union(fresh, distinct=False)


def _dated(found: ir.Table | None, units: ir.Table) -> ir.Table | None:
    """A row for each unit: what was gathered of it, nothing for who did nothing, and for which first exposure."""
    if found is None:
        return None
    joined = units.left_join(found, UNIT)
    return joined.select(
        joined[UNIT],
        joined[FIRST].name(STATE_TIME),
        *(joined[name] for name in found.columns if name != UNIT),
    )


def _sum(state: ir.Table, plus: ir.Table) -> ir.Table:
    """What was gathered before and what came since."""
    names = [name for name in plus.columns if name != UNIT]
    both = state.left_join(plus.rename({f"_new_{name}": name for name in names}), UNIT)
    columns = {name: _more(both[name], both[f"_new_{name}"]) for name in names}
    return both.select(UNIT, STATE_TIME, **columns)


def _more(before: ir.Value, since: ir.Value) -> ir.Value:
    """Times: the earlier; lists: both; numbers: their sum. NULL is nothing."""
    if isinstance(before, ir.TimestampValue):
        return ibis.coalesce(ibis.least(before, since), before, since)
    if isinstance(before, ir.ArrayValue):
        return ibis.coalesce(before.concat(since), before, since)
    return ibis.coalesce(before + since, before, since)
