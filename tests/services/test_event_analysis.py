"""From a plan in YAML and messages in the log to a verdict, by the reader of events."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import ibis
import numpy as np
import pytest

from upshot.events.compaction import compact
from upshot.events.frame import Frame, Source
from upshot.events.log import EventLog, Limits
from upshot.events.reader import connect
from upshot.formats.event_metrics import metrics_from_yaml
from upshot.formats.plans import plan_from_yaml
from upshot.services.analysis import findings_to_dict
from upshot.services.event_analysis import EventRequest, analyze_events

NOON = 1_772_366_400_000_000  # 2026-03-01T12:00:00Z
HOUR = 3_600_000_000
UNITS = 300

METRICS = metrics_from_yaml(
    """
    metrics:
      bought: {kind: proportion, event: Order, window: 1d}
      spent: {kind: mean, event: Order, value: usd, window: 1d, cap: 99%}
      slow: {kind: quantile, event: Load, value: ms, quantile: 90%, window: 1d, better: lower}
    """
)
PLAN = plan_from_yaml(
    """
    id: EXP-2026-001
    metrics: {primary: [bought], secondary: [spent], guardrail: ["slow,max=500"]}
    split: {control: 1, treatment: 1}
    floor: 100
    planned_units: 150
    """
)


def exposed(i, variant):
    told = {"experiment_id": "EXP-2026-001", "phase": 1, "variant": variant, "unit": "targetingKey"}
    about = {**told, "unit_id": f"a{i}", "attributes": {"country": "CA" if i % 3 else "US"}}
    return {"type": "track", "event": "Experiment Viewed", "anonymousId": f"a{i}", "properties": about}


def batches():
    """Received-at and messages: exposed unknown, then signed in, then buying as a user. Seed 3."""
    rng = np.random.default_rng(3)
    for i in range(UNITS):
        variant = "control" if i % 2 else "treatment"
        begun = NOON + i * HOUR // 10
        yield begun, [exposed(i, variant)]
        messages = [{"type": "identify", "userId": f"u{i}", "anonymousId": f"a{i}"}]
        if rng.random() < (0.2 if variant == "control" else 0.5):
            messages.append(
                {"type": "track", "event": "Order", "userId": f"u{i}", "properties": {"usd": 10 + i % 7}}
            )
        load = {"ms": int(rng.integers(50, 400))}
        messages.append({"type": "track", "event": "Load", "userId": f"u{i}", "properties": load})
        yield begun + HOUR, messages


def body(place, messages):
    named = [{"messageId": f"{place}-{number}", **one} for number, one in enumerate(messages)]
    return json.dumps({"batch": named}).encode()


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A data directory, half of it compacted, half of it the log's tail."""
    path = tmp_path_factory.mktemp("data")
    sent = list(enumerate(batches()))
    half = len(sent) // 2
    for part in (sent[:half], sent[half:]):
        compact(path)
        log = EventLog.open(path, Limits(free_bytes=0))
        frames = [
            Frame(Source("web"), received, body(place, messages)) for place, (received, messages) in part
        ]
        for answer in [log.append(frame) for frame in frames]:
            answer.result(30)
        log.close()
    return path


@pytest.fixture
def tables(kept):
    with connect(kept, locked=False) as connection:
        database = ibis.duckdb.from_connection(connection)
        yield database.table("exposures"), database.table("events")


def request_at(hours, **fields):
    return EventRequest(
        plan=PLAN,
        definitions=METRICS,
        as_of=datetime(2026, 3, 1, 12, tzinfo=UTC) + timedelta(hours=hours),
        **fields,
    )


def test_what_was_sent_becomes_a_verdict(tables):
    findings = analyze_events(*tables, request_at(24 * 30, segments=("country",)))
    found = findings_to_dict(findings)
    bought = next(one for one in found["metrics"] if one["name"] == "bought")
    counts = {name: found["metrics"][0]["variants"][name]["n"] for name in ("control", "treatment")}
    assert counts == {"control": UNITS // 2, "treatment": UNITS // 2}
    rng = np.random.default_rng(3)
    draws = []
    for _ in range(UNITS):
        draws.append(rng.random())
        rng.integers(50, 400)
    wanted = {name: np.mean([draws[i] < share for i in range(UNITS) if i % 2 == odd])
              for name, share, odd in (("control", 0.2, 1), ("treatment", 0.5, 0))}  # fmt: skip
    assert {name: bought["variants"][name]["mean"] for name in counts} == pytest.approx(wanted)
    assert bought["comparisons"][0]["significant"]
    assert set(found["segments"]["country"]) == {"CA", "US"}
    guardrail = next(one for one in found["metrics"] if one["name"] == "slow")["comparisons"][0]["guardrail"]
    assert guardrail["state"] == "held"
    assert found["verdict"]["verdict"] == "SHIP"
    assert (
        sum("Order, within 1 day of the first exposure" in one for one in findings.evidence.understood) == 2
    )


def test_a_look_in_between_waits_for_units_that_are_not_mature(tables):
    findings = analyze_events(*tables, request_at(30))
    assert sum(findings.evidence.matured.values()) == 61  # one each 6 minutes, and 24 hours to wait
    assert sum(findings.analysis.progress.units.values()) == 61
    assert sum(findings.analysis.look.units.values()) == 300


def test_without_links_a_user_is_not_who_was_exposed(tables):
    findings = analyze_events(*tables, request_at(24 * 30, links=False))
    assert {one.moments.mean() for one in findings.evidence.total.samples["bought"].values()} == {0.0}


def test_looks_at_a_metric_without_a_window_say_what_they_cannot_promise(tables):
    open_ended = metrics_from_yaml("metrics: {bought: {kind: proportion, event: Order}}")
    plan = replace(PLAN, metrics=PLAN.metrics[:1])
    request = replace(request_at(30), plan=plan, definitions=open_ended)
    assert not any("no window" in note for note in analyze_events(*tables, request).analysis.notes)
    watched = replace(request, plan=replace(plan, monitoring="group_sequential"))
    assert any("bought has no window" in note for note in analyze_events(*tables, watched).analysis.notes)
