"""How often what harms nobody is killed, by the simulation that is published, made small."""

from benchmarks import harm

from upshot.formats.event_metrics import metrics_from_yaml
from upshot.model.metric import Metric
from upshot.model.plan import Plan
from upshot.services.harm import told_at_once

WORLDS = 2


def test_nothing_is_killed_where_nothing_differs_and_what_harms_is():
    """Seeds 1 and 3 of the benchmark, the first worlds of each."""
    assert [harm.killed_at((0, world)) for world in range(WORLDS)] == [None] * WORLDS
    days = [harm.killed_at((2, world)) for world in range(WORLDS)]
    assert all(day is not None and day < 10 for day in days)


def test_only_bad_news_of_guardrails_is_told_at_once():
    definitions = metrics_from_yaml("""
metrics:
  crash: {kind: proportion, event: Crashed, window: 7d, better: lower}
  churn: {kind: proportion, event: "*", absent: true, window: 7d, better: lower}
  active: {kind: proportion, event: Opened, window: 7d}
  slow: {kind: mean, event: Page, value: ms, window: 7d, better: lower}
  refund: {kind: proportion, event: Refunded, window: 7d, better: lower}
""")
    names = ("crash", "churn", "active", "slow")
    guardrails = tuple(Metric(name=name, column=name, role="guardrail") for name in names)
    plan = Plan(metrics=(Metric(name="refund", column="refund", better="lower"), *guardrails))
    assert told_at_once(plan, definitions) == {"crash"}
    both = Plan(metrics=(Metric(name="refund", column="crash", better="lower"), *guardrails))
    assert told_at_once(both, definitions) == frozenset()
