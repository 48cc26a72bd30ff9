"""From a plan in YAML and messages in the log, half of it compacted, to evidence and a verdict."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from upshot.analysis.analyze import analyze
from upshot.decide.policy import decide
from upshot.events.compaction import compact
from upshot.events.frame import Frame, Source
from upshot.events.log import EventLog, Limits
from upshot.formats.event_metrics import metrics_from_yaml
from upshot.formats.plans import plan_from_yaml
from upshot.model.decision import Situation
from upshot.services.live_evidence import live_evidence, met

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


def seen(kept, hours, plan=PLAN, **fields):
    as_of = datetime(2026, 3, 1, 12, tzinfo=UTC) + timedelta(hours=hours)
    with met(kept, "EXP-2026-001", as_of) as found:
        evidence = live_evidence(found, plan, METRICS, found.newest, **fields)
    plan = replace(plan, metrics=evidence.metrics)
    return evidence, plan, analyze(plan, evidence, day=as_of.date())


def test_what_was_sent_becomes_a_verdict(kept):
    evidence, plan, analysis = seen(kept, 24 * 30, segments=("country",), histograms=True)
    rng = np.random.default_rng(3)
    draws = []
    for _ in range(UNITS):
        draws.append(rng.random())
        rng.integers(50, 400)
    wanted = {name: np.mean([draws[i] < share for i in range(UNITS) if i % 2 == odd])
              for name, share, odd in (("control", 0.2, 1), ("treatment", 0.5, 0))}  # fmt: skip
    bought, spent, slow = analysis.metrics
    assert {name: one.n for name, one in bought.variants.items()} == dict.fromkeys(wanted, UNITS // 2)
    assert {name: one.mean for name, one in bought.variants.items()} == pytest.approx(wanted)
    assert bought.comparisons[0].significant
    assert spent.comparisons[0].significant
    assert slow.comparisons[0].guardrail.state == "held"
    assert set(analysis.segments["country"]) == {"CA", "US"}
    assert set(evidence.histograms) == {"spent"}  # a quantile's values are its events', not its units'
    assert decide(plan, analysis, Situation()).verdict == "SHIP"
    assert sum("Order, within 1 day of the first exposure" in one for one in evidence.understood) == 2


def test_a_look_in_between_waits_for_units_that_are_not_mature(kept):
    evidence, _, analysis = seen(kept, 30)
    assert sum(evidence.matured.values()) == 61  # one each 6 minutes, and 24 hours to wait
    assert sum(analysis.progress.units.values()) == 61
    assert sum(analysis.look.units.values()) == 300
