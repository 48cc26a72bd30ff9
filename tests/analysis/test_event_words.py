import pytest

from upshot.analysis.event_words import metric_words
from upshot.formats.event_metrics import metrics_from_yaml

SAID = {
    "{kind: proportion, event: A}": "share of units with A, after the first exposure; higher is better",
    "{kind: proportion, event: A, absent: true, window: 1h, better: lower}": (
        "share of units without A, within 1 hour of the first exposure; lower is better"
    ),
    "{kind: count, event: A, type: page, window: 90m}": (
        "mean number of A (page), within 90 minutes of the first exposure; higher is better"
    ),
    "{kind: count, event: '*', type: page, window: 30s}": (
        "mean number of any page event, within 30 seconds of the first exposure; higher is better"
    ),
    "{kind: mean, event: A, value: v, window: 7d, covariate: 14d, cap: 99%}": (
        "mean per unit of the sum of v of A, within 7 days of the first exposure; adjusted by the same in the 14 days "
        "before; capped at the 99% quantile of all units; higher is better"
    ),
    "{kind: ratio, event: A, value: v, denominator: {event: B, value: w}, window: 7d}": (
        "sum of v of A over sum of w of B, within 7 days of the first exposure; higher is better"
    ),
    "{kind: quantile, event: A, value: v, quantile: 0.5, window: 7d}": (
        "p50 of v over all A, within 7 days of the first exposure; higher is better"
    ),
    "{kind: retention, day: 3}": "share of units with any event, on day 3 after the first exposure; higher is better",
    "{kind: retention, day: 0, window: 36h}": (
        "share of units with any event, in the 36 hours from day 0 on after the first exposure; higher is better"
    ),
    "{kind: funnel, steps: [A, B, C], window: 7d}": (
        "share of units that went through A, then B, then C, within 7 days of the first exposure; higher is better"
    ),
    "{kind: time_to_event, event: A, window: 7d, better: lower}": (
        "mean time in hours to A, the whole window for units without it, within 7 days of the first exposure; "
        "lower is better"
    ),
}


@pytest.mark.parametrize(("definition", "said"), list(SAID.items()))
def test_a_definition_is_said_in_words(definition, said):
    assert metric_words(metrics_from_yaml(f"metrics: {{m: {definition}}}")["m"]) == said


def test_conditions_are_said_with_their_operators():
    where = (
        "{all: [{attr: usd, op: gt, value: 5}, {any: [{attr: tier, op: in, value: [pro, team]}, "
        "{not: {attr: trial, op: eq, value: true}}, {attr: ref, op: exists}]}]}"
    )
    metric = metrics_from_yaml(f"metrics: {{m: {{kind: count, event: A, where: {where}}}}}")["m"]
    assert (
        "A where (usd gt 5 and (tier in pro, team or not (trial eq true) or ref is there)),"
        in metric_words(metric)
    )
