"""Live looks over real logs: what goes in by hand as events comes out as from a table made by hand."""

import json
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import ibis
import numpy as np
import pyarrow as pa
import pytest

from upshot.analysis.contract import analysis_to_dict
from upshot.analysis.question import Question
from upshot.bootstrap import open_log, open_store
from upshot.errors import ConflictError, DataError, InputError, NotFoundError, PlanError
from upshot.events.frame import Frame, Source
from upshot.formats.event_metrics import metrics_from_yaml
from upshot.formats.values import write_value
from upshot.model.decision import Situation
from upshot.model.metric import Metric
from upshot.model.plan import Plan
from upshot.report.document import markdown
from upshot.report.page import html
from upshot.services.analysis import Request, analyze_table
from upshot.services.live import Asked, given_again, live_look
from upshot.services.sealing import WHY
from upshot.store import looks
from upshot.store.audit import entries

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
EXPERIMENT = "EXP-2026-001"
METRICS = metrics_from_yaml("""
metrics:
  conversion: {kind: proportion, event: Bought, window: 3d}
  revenue: {kind: mean, event: Bought, value: usd, window: 3d}
  crash: {kind: proportion, event: Crashed, window: 3d, better: lower}
  forever: {kind: count, event: Bought}
""")
PLAN = Plan(
    metrics=(
        Metric(name="conversion", column="conversion"),
        Metric(name="revenue", column="revenue", role="secondary"),
        Metric(name="crash", column="crash", role="guardrail", maximum=0.05, better="lower"),
    ),
    split={"control": 1.0, "treatment": 1.0},
    monitoring="always_valid",
    planned_units=1000,
    minimum_days=2,
    maximum_days=28,
    floor=100,
)


def event(name, unit, hours, number=0, **properties):
    return {
        "type": "track", "event": name, "userId": unit, "messageId": f"{name}-{unit}-{hours}-{number}",
        "timestamp": (BEGIN + timedelta(hours=hours)).isoformat(), "properties": properties,
    }  # fmt: skip


def viewed(who, variant, hours, **properties):
    seen = event("Experiment Viewed", who, hours, variant)
    return seen | {"properties": {"experiment_id": EXPERIMENT, "variant": variant} | properties}


class World:
    """Units with their variant, hour of exposure and what they spend; shares of buyers by variant."""

    def __init__(self, shares, units=2000, days=3, seed=1, prefix="u"):
        draw = np.random.default_rng(seed)
        self.units = [f"{prefix}{number}" for number in range(units)]
        self.variants = [list(shares)[number % 2] for number in range(units)]
        self.hours = draw.uniform(0, 24 * days, units).round(3).tolist()
        score = draw.uniform(size=units)
        self.buys = [bool(one < shares[variant]) for one, variant in zip(score, self.variants, strict=True)]
        self.usd = draw.gamma(2.0, 10.0, units).round(2).tolist()

    def rows(self):
        return zip(self.units, self.variants, self.hours, self.buys, self.usd, strict=True)

    def events(self, until=float("inf")):
        for unit, variant, hour, buys, usd in self.rows():
            if hour < until:
                yield viewed(unit, variant, hour)
            if buys and hour + 1 < until:
                yield event("Bought", unit, hour + 1, usd=usd)

    def table(self, left_out=()):
        kept = [row for row in self.rows() if row[0] not in left_out]
        columns = {
            "unit": [row[0] for row in kept],
            "variant": [row[1] for row in kept],
            "time": [BEGIN + timedelta(hours=row[2]) for row in kept],
            "conversion": [float(row[3]) for row in kept],
            "revenue": [row[4] if row[3] else 0.0 for row in kept],
            "crash": [0.0] * len(kept),
        }
        return ibis.memtable(pa.table(columns))


def send(data, events, days=30):
    """Bring events into the log as a server that received them so many days after the beginning."""
    received = round((BEGIN + timedelta(days=days)).timestamp() * 1_000_000)
    events = list(events)
    with closing(open_log(data)) as log:
        for start in range(0, len(events), 500):
            body = json.dumps({"batch": events[start : start + 500]}).encode()
            log.append(Frame(Source("server"), received, body)).result()


@pytest.fixture
def data(tmp_path):
    return tmp_path / "data"


@pytest.fixture
def store(data):
    with closing(open_store(data, made=True)) as opened:
        yield opened


def asked(data, days=20, **fields):
    known = {
        "data": data, "experiment": EXPERIMENT, "plan": PLAN, "definitions": METRICS,
        "as_of": BEGIN + timedelta(days=days),
    }  # fmt: skip
    return Asked(**(known | fields))


def compared(findings):
    """Every number of every comparison, in the contract's own form."""
    metrics = analysis_to_dict(findings.analysis)["metrics"]
    return {
        (metric["name"], one["variant"], field): value
        for metric in metrics
        for one in metric["comparisons"]
        for field, value in one.items()
        if field
        in ("effect", "std_error", "lift", "p_value", "p_value_adjusted", "interval", "lift_interval")
    }


def nearly(value):
    """The same, but for the order in which an engine adds up."""
    if isinstance(value, dict):
        return {key: nearly(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [nearly(inner) for inner in value]
    return pytest.approx(value, rel=1e-9) if isinstance(value, float) else value


def test_a_look_says_what_the_table_of_its_units_says(data, store):
    world = World({"control": 0.2, "treatment": 0.3})
    conflicting = [viewed("u7", "control" if world.variants[7] == "treatment" else "treatment", 60)]
    everything = [*world.events(), *conflicting]
    send(data, everything)
    send(data, everything[::3], days=31)  # the same messages again, a day later
    taken = live_look(store, asked(data), "ann")
    by_hand = analyze_table(
        world.table(left_out=["u7"]),
        Request(
            plan=PLAN,
            question=Question(
                variant="variant",
                control="control",
                metrics=PLAN.metrics,
                unit="unit",
                time="time",
                split=PLAN.split,
            ),
            planned=True,
        ),
    )
    assert taken.findings.evidence.conflicts == 1
    assert taken.findings.evidence.total.units == by_hand.evidence.total.units
    found, expected = compared(taken.findings), compared(by_hand)
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        assert found[key] == pytest.approx(value, abs=1e-9), key
    assert taken.findings.verdict.verdict == by_hand.verdict.verdict == "EXTEND"
    assert (taken.number, taken.phase, taken.is_new, taken.is_sealed) == (1, 1, True, False)


def test_units_wait_until_their_window_is_over(data, store):
    send(data, World({"control": 0.2, "treatment": 0.2}).events())
    early = live_look(store, asked(data, days=4), "ann").findings
    waiting = early.analysis.metrics[0].variants["control"]
    assert waiting.immature > 300
    assert waiting.n + waiting.immature == 1000
    assert any("whose window is not over yet" in line for line in early.evidence.understood)


def test_looks_are_carried_and_the_same_data_are_no_new_look(data, store):
    world = World({"control": 0.2, "treatment": 0.3}, days=6)
    send(data, world.events())
    first = live_look(store, asked(data, days=5), "ann")
    again = live_look(store, asked(data, days=5, plan=None), "ann")
    assert (again.number, again.is_new) == (1, False)
    assert compared(again.findings) == nearly(compared(first.findings))
    second = live_look(store, asked(data, days=7, plan=None), "ann")
    assert (second.number, second.is_new, len(second.findings.looks)) == (2, True, 1)
    for key, p in compared(second.findings).items():
        if key[2] == "p_value" and key[0] != "crash":
            assert p <= compared(first.findings)[key], "a running p never rises"
    with pytest.raises(ConflictError, match="looks go on in time"):
        live_look(store, asked(data, days=6), "ann")


def test_what_people_know_makes_another_look_and_goes_on(data, store):
    send(data, World({"control": 0.2, "treatment": 0.3}).events())
    live_look(store, asked(data), "ann")
    accepted = Situation(acknowledged={"outliers": "one known client"})
    second = live_look(store, asked(data, situation=accepted), "ann")
    assert (second.number, second.is_new) == (2, True)
    third = live_look(store, asked(data, days=21), "ann")
    with store.reading() as connection:
        kept = looks.find(connection, EXPERIMENT, 1, third.number).situation
    assert kept.acknowledged == accepted.acknowledged
    assert kept.effects_seen == (BEGIN + timedelta(days=19)).date()


def test_every_look_is_given_again_from_what_was_kept(data, store):
    send(data, World({"control": 0.2, "treatment": 0.26}, days=6).events())
    taken = [live_look(store, asked(data, days=days), "ann") for days in (4, 5, 6, 8)]
    for path in (*(data / "log").iterdir(), *(data / "events").iterdir()):
        path.unlink()
    for one in taken:
        again = given_again(store, EXPERIMENT, one.number)
        assert again.differs == ()
        assert again.findings.verdict == one.findings.verdict
        assert analysis_to_dict(again.findings.analysis) == analysis_to_dict(one.findings.analysis)
    with store.reading() as connection:
        assert list(looks.edited(connection)) == []
    with pytest.raises(NotFoundError, match="no look 5"):
        given_again(store, EXPERIMENT, 5)


def test_a_replay_says_what_is_other_than_it_was(data, store):
    send(data, World({"control": 0.2, "treatment": 0.26}).events())
    verdict = live_look(store, asked(data), "ann").findings.verdict.verdict
    with store.changing("mallory") as change:
        change.connection.exec_driver_sql(
            f"UPDATE looks SET verdict = replace(verdict, '{verdict}', 'OTHER')"
        )
        change.connection.exec_driver_sql(
            "UPDATE looks SET analysis = replace(analysis, '\"alpha\":0.05', '\"alpha\":0.1')"
        )
    differs = given_again(store, EXPERIMENT, 1).differs
    assert f"verdict was 'OTHER' and is now {verdict!r}" in differs
    assert "the numbers are not those that were kept" in differs


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"alpha": 0.1}, "alpha"),
        ({"minimum_effect": 0.2}, "minimum_effect"),
        ({"metrics": PLAN.metrics[1:]}, "gone"),
        ({"split": {"control": 1.0, "treatment": 3.0}}, "split"),
    ],
)
def test_a_plan_that_binds_otherwise_is_refused_once_data_were_seen(data, store, changed, said):
    send(data, World({"control": 0.2, "treatment": 0.3}, units=400).events())
    live_look(store, asked(data), "ann")
    metrics = changed.get("metrics", PLAN.metrics)
    other = replace(PLAN, **{**changed, "metrics": metrics})
    with pytest.raises(ConflictError, match=f"under another plan: .*{said}"):
        live_look(store, asked(data, days=21, plan=other), "ann")
    with store.reading() as connection:
        assert len(looks.listed(connection, EXPERIMENT)) == 1


def test_words_of_a_plan_may_change(data, store):
    send(data, World({"control": 0.2, "treatment": 0.3}, units=400).events())
    live_look(store, asked(data), "ann")
    second = live_look(store, asked(data, days=21, plan=replace(PLAN, name="A shorter form")), "ann")
    assert (second.number, second.findings.title) == (2, "A shorter form")


def test_a_metric_that_is_defined_otherwise_is_refused(data, store):
    send(data, World({"control": 0.2, "treatment": 0.3}, units=400).events())
    live_look(store, asked(data), "ann")
    longer = {**METRICS, "conversion": replace(METRICS["conversion"], window=timedelta(days=7))}
    with pytest.raises(ConflictError, match=r"within 3 days.*within 7 days.*another name"):
        live_look(store, asked(data, days=21, definitions=longer), "ann")


def test_a_new_phase_is_looked_at_alone(data, store):
    send(data, World({"control": 0.2, "treatment": 0.3}, units=400).events())
    live_look(store, asked(data, days=10), "ann")
    later = [
        viewed(f"w{number}", ("control", "treatment")[number % 2], 250, phase=2) for number in range(300)
    ]
    send(data, later)
    other = replace(PLAN, split={"control": 1.0, "treatment": 1.5})
    taken = live_look(store, asked(data, plan=other), "ann")
    assert (taken.phase, taken.number) == (2, 1)
    assert sum(taken.findings.evidence.total.units.values()) == 300
    with pytest.raises(ConflictError, match="phase 1 of EXP-2026-001 is over"):
        live_look(store, asked(data, phase=1, plan=None), "ann")


def test_who_looked_and_why_is_in_the_chain(data, store):
    send(data, World({"control": 0.2, "treatment": 0.3}, units=400).events())
    live_look(store, asked(data), "ann")
    with store.reading() as connection:
        found = [(one.actor, one.action) for one in entries(connection)]
    assert sorted(found) == [
        ("ann", "experiment.planned"),
        ("ann", "experiment.running"),
        ("ann", "look.taken"),
    ]


FIXED = replace(PLAN, monitoring="fixed", planned_units=2000, maximum_units=2000)


def hidden(directory, share):
    """A sealed look at a world whose treatment converts by a share."""
    world = World({"control": 0.3, "treatment": 0.5})
    rows = [row for row in world.rows() if row[1] == "treatment"]
    buyers = {row[0] for row in rows[: round(share * len(rows))]}
    world.buys = [
        unit in buyers if variant == "treatment" else buys for unit, variant, _, buys, _ in world.rows()
    ]
    send(directory, world.events())
    with closing(open_store(directory, made=True)) as store:
        return live_look(store, asked(directory, plan=FIXED, days=6, histograms=True), "ann")


def test_before_its_decision_point_a_fixed_plan_shows_nothing_that_depends_on_an_effect(tmp_path):
    """Two worlds that differ in nothing but the effect, and have the same variance, look the same to the byte."""
    low, high = hidden(tmp_path / "low", 0.4), hidden(tmp_path / "high", 0.6)
    assert low.is_sealed
    assert high.is_sealed
    told = [
        (
            analysis_to_dict(one.findings.analysis),
            write_value(replace(one.findings.evidence, sql="")),
            one.findings.verdict,
        )
        for one in (low, high)
    ]
    assert told[0] == told[1]
    assert (low.findings.verdict.verdict, low.findings.verdict.cause) == ("CONTINUE", "early")
    conversion, _, crash = low.findings.analysis.metrics
    assert conversion.comparisons[0].effect is None
    assert conversion.comparisons[0].reasons["effect"] == WHY
    assert conversion.variants["control"].n == 1000
    assert crash.comparisons[0].guardrail.state in ("held", "unproven")
    assert "sealed until" in markdown(low.findings)
    assert "sealed until" in html(low.findings)


def test_harm_is_shown_though_effects_are_sealed(tmp_path):
    world = World({"control": 0.5, "treatment": 0.1})
    send(tmp_path, world.events())
    with closing(open_store(tmp_path, made=True)) as store:
        taken = live_look(store, asked(tmp_path, plan=FIXED, days=6), "ann")
        assert given_again(store, EXPERIMENT, 1).differs == ()
    assert taken.is_sealed
    assert (taken.findings.verdict.verdict, taken.findings.verdict.cause) == ("KILL", "harm")
    conversion, revenue, _ = taken.findings.analysis.metrics
    assert conversion.comparisons[0].effect < 0
    assert revenue.comparisons[0].effect is None


def test_a_fixed_plan_is_judged_once(data, store):
    plan = replace(FIXED, planned_units=900, maximum_units=None)
    world = World({"control": 0.2, "treatment": 0.3})
    send(data, world.events())
    first = live_look(store, asked(data, plan=plan, days=8), "ann")
    assert not first.is_sealed
    assert first.findings.verdict.verdict == "SHIP"
    more = [viewed(f"w{number}", ("control", "treatment")[number % 2], 80) for number in range(600)]
    send(data, more)
    again = live_look(store, asked(data, plan=plan, days=30), "ann")
    assert (again.number, again.is_new) == (1, False)
    assert again.findings.verdict == first.findings.verdict


def test_what_a_visitor_does_after_logging_in_is_theirs(data, store):
    events = []
    for number in range(400):
        visitor = {"anonymousId": f"a{number}", "userId": None}
        variant = ("control", "treatment")[number % 2]
        events.append(
            viewed(None, variant, 1, unit="targetingKey", unit_id=f"a{number}")
            | visitor
            | {"messageId": f"e{number}"}
        )
        if number % 4 < 2:
            both = {"anonymousId": f"a{number}", "userId": f"u{number}"}
            events.append(event("Bought", None, 2, usd=1) | both | {"messageId": f"b{number}"})
    send(data, events)
    findings = live_look(store, asked(data), "ann").findings
    assert {name: one.mean for name, one in findings.analysis.metrics[0].variants.items()} == {
        "control": 0.5, "treatment": 0.5,
    }  # fmt: skip
    assert any("200 pairs of a user and an anonymous id" in line for line in findings.evidence.understood)


@pytest.mark.parametrize(
    ("fields", "kind", "said"),
    [
        ({"plan": None}, InputError, "was not looked at yet: name its plan with --plan"),
        ({"plan": replace(PLAN, id="EXP-2026-002")}, InputError, "the plan is of EXP-2026-002"),
        ({"plan": replace(PLAN, final=True)}, PlanError, "final says that the data are complete"),
        ({"experiment": "EXP-2026-009"}, DataError, "nobody was exposed to EXP-2026-009"),
        ({"plan": replace(PLAN, metrics=(Metric(name="x", column="conversio"),))}, NotFoundError, "mean conversion"),
        ({"plan": replace(PLAN, metrics=(Metric(name="x", column="forever"),))}, PlanError, "has no window"),
        (
            {"plan": replace(PLAN, metrics=(Metric(name="x", column="conversion", kind="mean"),))},
            PlanError,
            "metric x: its kind is 'mean' here, and its definition over events says proportion",
        ),
        (
            {"plan": replace(PLAN, metrics=(Metric(name="x", column="conversion", better="lower"),))},
            PlanError,
            "lower is better here, and higher in its definition",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_said_and_nothing_is_kept(data, store, fields, kind, said):
    send(data, World({"control": 0.2, "treatment": 0.3}, units=100).events())
    with pytest.raises(kind, match=said):
        live_look(store, asked(data, **fields), "ann")
    with store.reading() as connection:
        assert list(entries(connection)) == []


def test_units_of_several_kinds_are_not_mixed(data, store):
    send(data, [viewed("u", "control", 1, unit="account"), viewed("v", "treatment", 1, unit="targetingKey")])
    with pytest.raises(DataError, match="several kinds of units, account, targetingKey"):
        live_look(store, asked(data), "ann")
