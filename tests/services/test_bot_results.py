"""Programs that buy in one variant: the result with them, and the one of people alone."""

import json
import random
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from upshot.bootstrap import open_log, open_store
from upshot.errors import NotFoundError
from upshot.events.frame import Frame, Source
from upshot.formats.event_metrics import metrics_from_yaml
from upshot.model.metric import Metric
from upshot.model.plan import Plan
from upshot.services.bot_results import bot_results
from upshot.services.live import Asked, live_look

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
METRICS = metrics_from_yaml("metrics: {conversion: {kind: proportion, event: Bought, window: 3d}}")
PLAN = Plan(
    metrics=(Metric(name="conversion", column="conversion"),), split={"control": 1.0, "treatment": 1.0},
    monitoring="always_valid", planned_units=1000, minimum_days=2, maximum_days=60, floor=100,
)  # fmt: skip


def behave(programs):
    """2,000 people who buy in 10% whatever they got, and programs of the treatment that all buy."""
    chance = random.Random(1)
    for number in range(2000 + programs):
        is_program = number >= 2000
        unit = f"{'program' if is_program else 'person'}-{number}"
        variant = "treatment" if is_program or number % 2 else "control"
        hour = chance.uniform(0, 72)
        agent = {
            "userAgent": "Mozilla/5.0 (compatible; Googlebot/2.1)"
            if is_program
            else "Mozilla/5.0 Firefox/128.0"
        }
        seen = {"experiment_id": "EXP-1", "variant": variant, "unit_id": unit}
        yield event("Experiment Viewed", unit, hour, agent, seen)
        if is_program or chance.random() < 0.1:
            yield event("Bought", unit, hour + 1, agent, {})


def event(name, unit, hour, context, properties):
    at = (BEGIN + timedelta(hours=hour)).isoformat()
    return {"type": "track", "event": name, "userId": unit, "messageId": f"{name}-{unit}", "timestamp": at,
            "context": context, "properties": properties}  # fmt: skip


def look(tmp_path, programs, plan=PLAN, looks=1):
    """The store after a look at this world, closed by the caller."""
    events = list(behave(programs))
    with closing(open_log(tmp_path)) as log:
        received = round((BEGIN + timedelta(days=30)).timestamp() * 1_000_000)
        for first in range(0, len(events), 500):
            body = json.dumps({"batch": events[first : first + 500]}).encode()
            log.append(Frame(Source("web"), received, body)).result(30)
    store = open_store(tmp_path, made=True)
    for _ in range(looks):
        asked = Asked(
            data=tmp_path,
            experiment="EXP-1",
            plan=plan,
            definitions=METRICS,
            as_of=BEGIN + timedelta(days=20),
        )
        taken = live_look(store, asked, "ann")
    return store, taken


def test_the_result_of_people_alone_is_told_beside_the_whole(tmp_path):
    store, taken = look(tmp_path, programs=300)
    with closing(store):
        found = bot_results(store, tmp_path, "EXP-1", METRICS)
    assert len(found.flagged) == 300
    assert set(found.flagged.values()) == {"its browser says so"}
    assert (found.whole.units, found.without.units) == (2300, 2000)
    assert found.whole.verdict == taken.findings.verdict.verdict
    assert found.whole.lift > 1
    assert abs(found.without.lift) < 0.3
    assert found.anomaly is not None
    assert found.anomaly.said.startswith(
        f"with 300 units that look like programs: {found.whole.verdict}, lift "
    )


def test_without_programs_there_is_one_result(tmp_path):
    store, _ = look(tmp_path, programs=0)
    with closing(store):
        found = bot_results(store, tmp_path, "EXP-1", METRICS)
    assert (found.flagged, found.anomaly) == ({}, None)
    assert found.whole == found.without


def test_what_is_sealed_stays_sealed(tmp_path):
    fixed = replace(PLAN, monitoring="fixed", planned_units=100_000, looks=1)
    store, taken = look(tmp_path, programs=300, plan=fixed)
    assert taken.is_sealed
    with closing(store):
        found = bot_results(store, tmp_path, "EXP-1", METRICS)
    assert (found.whole.lift, found.without.lift) == (None, None)
    assert found.whole.units == 2300


def test_no_look_no_results(tmp_path):
    with (
        closing(open_log(tmp_path)),
        closing(open_store(tmp_path, made=True)) as store,
        pytest.raises(NotFoundError, match="EXP-1"),
    ):
        bot_results(store, tmp_path, "EXP-1", METRICS)
