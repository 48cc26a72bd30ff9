"""One row for each unit: hand-made tables, and a slow reference in plain Python over random events."""

import json
from datetime import UTC, datetime, timedelta

import ibis
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from upshot.analysis.identity import persons_in, persons_of
from upshot.analysis.unit_table import unit_table
from upshot.errors import DataError
from upshot_sdk.node import Node
from upshot_sdk.operators import as_number
from upshot_sdk.targeting import read_condition

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def rows(table):
    return {row["unit"]: row for row in table.to_pyarrow().to_pylist()}


def column(tables, question, name):
    """The values of one column by unit."""
    return {unit: row[name] for unit, row in rows(unit_table(*tables, question)).items()}


def test_only_the_first_exposure_counts(event_tables, event_question):
    tables = event_tables(
        [("u", "control", 5, {"country": "US"}), ("u", "control", 2, {"country": "CA"})],
        [("u", "Buy", 1, {}), ("u", "Buy", 3, {})],
    )
    question = event_question("metrics: {n: {kind: count, event: Buy}}", segments=("country",))
    assert rows(unit_table(*tables, question))["u"] == {
        "unit": "u",
        "variant": "control",
        "variants": 1,
        "first_exposure": BEGIN + timedelta(hours=2),
        "country": "CA",
        "n": 1.0,
    }


def test_a_unit_of_two_variants_says_so(event_tables, event_question):
    tables = event_tables([("u", "a", 0, {}), ("u", "b", 1, {}), ("v", "a", 0, {}), ("w", None, 0, {})], [])
    question = event_question("metrics: {n: {kind: count, event: Buy}}")
    assert column(tables, question, "variants") == {"u": 2, "v": 1, "w": 0}


def test_a_window_is_half_open_and_matures_at_its_end(event_tables, event_question):
    tables = event_tables(
        [("u", "a", 0, {}), ("v", "a", 1, {})],
        [("u", "Buy", 0, {}), ("u", "Buy", 23.9, {}), ("u", "Buy", 24, {}), ("v", "Buy", 2, {})],
    )
    question = event_question("metrics: {n: {kind: count, event: Buy, window: 24h}}", hours=24)
    assert column(tables, question, "n") == {"u": 2.0, "v": None}


def test_what_comes_later_than_asked_is_not_seen(event_tables, event_question):
    tables = event_tables(
        [("u", "a", 0, {}), ("u", "b", 10, {}), ("v", "a", 10, {})],
        [("u", "Buy", 1, {}), ("u", "Buy", 9, {})],
    )
    question = event_question("metrics: {n: {kind: count, event: Buy}}", hours=9)
    assert column(tables, question, "n") == {"u": 1.0}
    assert column(tables, question, "variants") == {"u": 1}


def test_another_experiment_and_another_phase_are_left_out(event_tables, event_question):
    exposures, events = event_tables([("u", "a", 0, {})], [])
    text = "metrics: {n: {kind: count, event: Buy}}"
    for fields, found in (
        ({"experiment": "EXP-2"}, 0),
        ({"phase": 2}, 0),
        ({"experiment": "EXP-1", "phase": 1}, 1),
    ):
        assert len(rows(unit_table(exposures, events, event_question(text, **fields)))) == found


def test_steps_of_a_funnel_count_in_their_order(event_tables, event_question):
    tables = event_tables(
        [(unit, "a", 0, {}) for unit in "uvwx"],
        [
            *[("u", name, hour, {}) for hour, name in enumerate(("View", "Add", "Buy"))],
            *[("v", name, hour, {}) for hour, name in enumerate(("Buy", "View", "Add"))],
            *[("w", name, 1, {}) for name in ("View", "Add", "Buy")],
            *[("x", name, hour, {}) for hour, name in enumerate(("Add", "View", "Buy", "Add"))],
        ],
    )
    question = event_question("metrics: {f: {kind: funnel, steps: [View, Add, Buy], window: 7d}}")
    assert column(tables, question, "f") == {"u": 1.0, "v": 0.0, "w": 1.0, "x": 0.0}
    assert column(tables, question, "f step 1") == dict.fromkeys("uvwx", 1.0)
    assert column(tables, question, "f step 2") == dict.fromkeys("uvwx", 1.0)


def test_one_event_is_not_two_steps(event_tables, event_question):
    tables = event_tables(
        [("u", "a", 0, {}), ("v", "a", 0, {})],
        [("u", "Share", 1, {}), *[("v", "Share", t, {}) for t in (1, 2)]],
    )
    question = event_question("metrics: {f: {kind: funnel, steps: [Share, Share]}}")
    assert column(tables, question, "f") == {"u": 0.0, "v": 1.0}


def test_whatever_a_unit_did_is_no_exposure(event_tables, event_question):
    tables = event_tables(
        [("u", "a", 0, {}), ("v", "a", 0, {})], [("u", "Experiment Viewed", 25, {}), ("v", None, 25, {})]
    )
    question = event_question("metrics: {back: {kind: retention, day: 1}}")
    assert column(tables, question, "back") == {"u": 0.0, "v": 1.0}


def test_pages_and_tracked_events_of_one_name_can_be_told_apart(event_tables, event_question):
    tables = event_tables([("u", "a", 0, {})], [("u", "Pricing", 1, {})] * 3, type=["page", "page", "track"])
    text = "metrics: {n: {kind: count, event: Pricing}, p: {kind: count, event: Pricing, type: page}}"
    row = rows(unit_table(*tables, event_question(text)))["u"]
    assert (row["n"], row["p"]) == (3.0, 2.0)


def test_linked_ids_are_one_unit_with_one_first_exposure(event_tables, event_question):
    tables = event_tables(
        [("anon", "a", 0, {}), ("user", "a", 5, {})],
        [("user", "Buy", 3, {}), ("user", "Sign In", 1, {}), (None, "Buy", 2, {})],
        anonymous_id=[None, "anon", "anon"],
    )
    text = "metrics: {n: {kind: count, event: Buy}}"
    assert column(tables, event_question(text), "n") == {"anon": 1.0, "user": 0.0}
    linked = event_question(text, persons=persons_in(tables[1]))
    assert column(tables, linked, "n") == {"anon": 2.0}
    nobody = event_question(text, persons=persons_of([]))
    assert column(tables, nobody, "n") == {"anon": 1.0, "user": 0.0}


def test_accounts_and_other_units_are_found_in_their_places(event_tables, event_question):
    tables = event_tables(
        [("acme", "a", 0, {}), ("shop-7", "a", 0, {})],
        [("u", "Buy", 1, {"shop": "shop-7"}), ("v", "Buy", 2, {})],
        group_id=[None, "acme"],
    )
    text = "metrics: {n: {kind: count, event: Buy}}"
    assert column(tables, event_question(text, unit="account"), "n") == {"acme": 1.0, "shop-7": 0.0}
    assert column(tables, event_question(text, unit="shop"), "n") == {"acme": 0.0, "shop-7": 1.0}


def test_events_are_joined_once_however_many_metrics_there_are(event_tables, event_question):
    tables = event_tables([("u", "a", 0, {})], [])
    text = (
        "metrics: {"
        + ", ".join(f"m{i}: {{kind: count, event: E{i}, window: {i + 1}d}}" for i in range(9))
        + "}"
    )
    sql = str(ibis.to_sql(unit_table(*tables, event_question(text))))
    assert sql.count('"events"') == 1
    assert sql.count("INNER JOIN") == 1


@pytest.mark.parametrize(
    ("text", "fields", "said"),
    [
        (
            "metrics: {variant: {kind: count, event: A}}",
            {},
            "metric variant: a column or segment of units has this",
        ),
        (
            "metrics: {a: {kind: count, event: A}}",
            {"segments": ("unit",)},
            "segments: unit is a column of its own",
        ),
    ],
)
def test_two_columns_of_one_name_are_refused(event_tables, event_question, text, fields, said):
    with pytest.raises(DataError, match=said):
        unit_table(*event_tables([], []), event_question(text, **fields))


def test_times_of_two_kinds_are_refused(event_tables, event_question):
    exposures, events = event_tables([], [])
    other = events.mutate(time=events.time.cast("timestamp"))
    with pytest.raises(DataError, match="of two kinds, timestamp"):
        unit_table(exposures, other, event_question("metrics: {n: {kind: count, event: A}}"))


def test_times_without_a_zone_are_taken_as_utc(event_tables, event_question):
    exposures, events = event_tables([("u", "a", 0, {})], [("u", "A", 1, {}), ("u", "A", 30, {})])
    bare = [table.mutate(time=table.time.cast("timestamp")) for table in (exposures, events)]
    question = event_question("metrics: {n: {kind: count, event: A}}", hours=24)
    assert column(bare, question, "n") == {"u": 1.0}


# A slow reference over random events

DEFINITIONS = """
metrics:
  share: {kind: proportion, event: A, window: 2d, covariate: 1d}
  lack: {kind: proportion, event: B, where: {attr: k, op: ne, value: x}, window: 3d, absent: true}
  number: {kind: count, event: "*", where: {not: {attr: k, op: eq, value: x}}}
  total: {kind: mean, event: A, value: v, window: 60h, covariate: 2d}
  over: {kind: ratio, event: A, value: v, denominator: {event: B, where: {attr: v, op: gt, value: 1}}, covariate: 3d}
  median: {kind: quantile, event: B, value: v, quantile: 50%, window: 4d}
  kept: {kind: retention, day: 1, window: 2d, covariate: 1d}
  gone: {kind: retention, day: 2, event: A, absent: true}
  path: {kind: funnel, steps: [A, {event: B, where: {attr: k, op: eq, value: x}}, A, C], window: 5d}
  wait: {kind: time_to_event, event: C, window: 50h, unit: minutes}
"""

HOURS = st.integers(-80, 150)
EXPOSURES = st.lists(
    st.tuples(
        st.sampled_from("klmnopqrst"), st.sampled_from(["a", "a", "b"]), st.integers(0, 60), st.just({})
    ),
    max_size=6,
)
PROPERTIES = st.fixed_dictionaries(
    {},
    optional={"v": st.sampled_from([0, 1, 2.5, "3", "x", None, -4]), "k": st.sampled_from(["x", "y", None])},
)
EVENTS = st.lists(
    st.tuples(
        st.sampled_from("klmnopqrstu"),
        st.sampled_from(["A", "B", "C", "Experiment Viewed"]),
        HOURS,
        PROPERTIES,
    ),
    min_size=60,
    max_size=120,
)


def measured(metric, first, done, now):
    """The columns of one metric for one unit, by the words of its definition alone."""
    ends = None if metric.ends is None else first + metric.ends

    def meets(source, event):
        _, name, _, properties = event
        named = name == source.event or (source.event == "*" and name != "Experiment Viewed")
        return named and (source.where is None or read_condition(Node(source.where, []), {}).test(properties))

    def total(source, since, until):
        of = [
            event
            for event in done
            if meets(source, event) and since <= event[2] and (until is None or event[2] < until)
        ]
        return sum(as_number(event[3].get("v")) or 0 for event in of) if source.value else len(of)

    def values(since, until):
        found = {metric.name: total(metric.source, since, until)}
        if metric.denominator:
            found[f"{metric.name} per"] = total(metric.denominator, since, until)
        return found

    begins = first + metric.begins
    if metric.kind == "funnel":
        own = steps(metric, [event for event in done if begins <= event[2] < ends], meets)
    elif metric.kind == "time_to_event":
        times = [event[2] for event in done if meets(metric.source, event) and begins <= event[2] < ends]
        own = {metric.name: (min(times, default=ends) - first) / metric.time_unit}
    elif metric.kind == "quantile":
        of = [event for event in done if meets(metric.source, event) and begins <= event[2] < ends]
        numbers = [as_number(event[3].get("v")) for event in of]
        own = {metric.name: sorted(number for number in numbers if number is not None)}
    else:
        own = values(begins, ends)
    share = metric.kind in ("proportion", "retention")
    if share:
        own[metric.name] = float((own[metric.name] > 0) is not metric.absent)
    if ends is not None and ends > now:
        own = dict.fromkeys(own)
    if metric.covariate:
        before = values(first - metric.covariate, first)
        own |= {f"{name} before": float(value > 0) if share else value for name, value in before.items()}
    return own


def steps(metric, done, meets):
    """Whether each step was taken: greedily, the earliest time that fits each in turn."""
    found, since = {}, None
    for number, step in enumerate(metric.steps):
        again = step.event in {one.event for one in metric.steps[:number]}
        times = [
            event[2]
            for event in done
            if meets(step, event)
            and (number == 0 or (since is not None and (event[2] > since if again else event[2] >= since)))
        ]
        since = min(times, default=None)
        found[f"{metric.name} step {number + 1}"] = float(since is not None)
    return {**found, metric.name: found[f"{metric.name} step {len(metric.steps)}"]}


@settings(max_examples=4)
@given(exposures=EXPOSURES, events=EVENTS, hours=st.integers(1, 150))
def test_any_events_give_what_plain_python_gives(event_tables, event_question, exposures, events, hours):
    question = event_question(DEFINITIONS, hours=hours)
    found = rows(unit_table(*event_tables(exposures, events), question))
    now = question.as_of
    done = [(unit, name, BEGIN + timedelta(hours=hour), given_) for unit, name, hour, given_ in events]
    seen = [
        (unit, variant, BEGIN + timedelta(hours=hour)) for unit, variant, hour, _ in exposures if hour < hours
    ]
    assert set(found) == {unit for unit, _, _ in seen}
    for unit, row in found.items():
        first = min(time for one, _, time in seen if one == unit)
        own = [event for event in done if event[0] == unit and event[2] < now]
        wanted = {
            "unit": unit,
            "variant": min(v for one, v, _ in seen if one == unit),
            "first_exposure": first,
        }
        wanted["variants"] = len({variant for one, variant, _ in seen if one == unit})
        for metric in question.measured:
            wanted |= measured(metric, first, own, now)
        row["median"] = row["median"] if row["median"] is None else sorted(row["median"])
        assert row == wanted


TABLES = "tables: {orders: {url: shop.db, unit: user, time: at}}\n"


def facts(beside, *rows):
    """Rows of the table orders: unit, hours, columns."""
    columns = {
        "unit": pa.array([row[0] for row in rows], pa.string()),
        "time": pa.array([BEGIN + timedelta(hours=row[1]) for row in rows], pa.timestamp("us", "UTC")),
        "properties": pa.array([json.dumps(row[2]) for row in rows], pa.string()),
    }
    return {"orders": beside.get_backend().create_table("orders", pa.table(columns))}


KINDS = """
metrics:
  any: {kind: proportion, WHAT, window: 2d, covariate: 1d}
  n: {kind: count, WHAT, where: {attr: usd, op: gt, value: 3}, window: 2d}
  sum: {kind: mean, WHAT, value: usd, covariate: 2d}
  share: {kind: ratio, WHAT, value: usd, denominator: {WHAT}, covariate: 1d}
  median: {kind: quantile, WHAT, value: usd, quantile: 50%, window: 3d}
  back: {kind: retention, WHAT, day: 1}
  twice: {kind: funnel, steps: [{WHAT}, {WHAT}], window: 2d}
  first: {kind: time_to_event, WHAT, window: 1d}
"""


def test_every_kind_of_metric_is_the_same_over_rows_as_over_events(event_tables, event_question):
    rng = np.random.default_rng(5)
    exposed = [(f"u{i}", "ab"[i % 2], float(rng.integers(0, 96)), {}) for i in range(60)]
    done = [
        (f"u{rng.integers(0, 70)}", float(rng.integers(0, 200)), {"usd": float(rng.integers(1, 9))})
        for _ in range(400)
    ]
    exposures, events = event_tables(exposed, [(unit, "Buy", hours, about) for unit, hours, about in done])
    asked = {"as_of": BEGIN + timedelta(hours=150)}
    of_events = event_question(KINDS.replace("WHAT", "event: Buy"), **asked)
    of_rows = event_question(TABLES + KINDS.replace("WHAT", "table: orders"), **asked)
    found, wanted = (
        rows(
            unit_table(exposures, events, of_rows, facts(events, *done)).mutate(
                median=lambda t: t["median"].sort()
            )
        ),
        rows(unit_table(exposures, events, of_events).mutate(median=lambda t: t["median"].sort())),
    )
    assert found == wanted
    assert len({row["sum"] for row in found.values()}) > 5


def test_events_and_rows_meet_in_one_metric_and_anything_is_no_row(event_tables, event_question):
    exposures, events = event_tables(
        [(unit, "a", 0, {}) for unit in "uv"],
        [("u", "View", 1, {}), ("v", "View", 3, {}), ("v", "orders", 4, {})],
    )
    text = (
        TABLES
        + "metrics: {f: {kind: funnel, steps: [View, {table: orders}]}, any: {kind: count, event: '*'}, "
        "named: {kind: count, event: orders}}"
    )
    table = unit_table(exposures, events, event_question(text), facts(events, ("u", 2, {}), ("v", 2, {})))
    assert {unit: (row["f"], row["any"], row["named"]) for unit, row in rows(table).items()} == {
        "u": (1.0, 1.0, 0.0),
        "v": (0.0, 2.0, 1.0),
    }


def test_rows_of_linked_ids_are_one_unit(event_tables, event_question):
    exposures, events = event_tables(
        [("anon", "a", 0, {})], [("user", "Sign In", 1, {})], anonymous_id=["anon"]
    )
    question = event_question(
        TABLES + "metrics: {n: {kind: count, table: orders}}", persons=persons_in(events)
    )
    found = rows(unit_table(exposures, events, question, facts(events, ("user", 1, {}), ("anon", 2, {}))))
    assert found["anon"]["n"] == 2.0


def test_rows_that_are_not_there_are_asked_for(event_tables, event_question):
    question = event_question(TABLES + "metrics: {n: {kind: count, table: orders}}")
    with pytest.raises(DataError, match="the rows of the table orders are not there: give them with"):
        unit_table(*event_tables([("u", "a", 0, {})], []), question)
