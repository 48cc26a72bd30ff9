"""Tables of facts and of exposures in YAML: read, referred to by metrics, refused with a mend, written back."""

import pytest
from jsonschema import Draft202012Validator

from upshot.formats.event_metric_schema import metrics_schema
from upshot.formats.event_metrics import metrics_from_yaml, metrics_to_yaml, read_metric_files
from upshot.formats.yaml_text import read_yaml
from upshot.model.event_metric import Source
from upshot.model.fact_table import ExposureTable, FactTable

SCHEMA = Draft202012Validator(metrics_schema())
TABLES = """
tables:
  orders: {url: $DATABASE_URL, sql: select * from orders, unit: user_id, time: created_at}
  sessions: {url: sessions.parquet, unit: user, time: began}
"""
METRICS = """
metrics:
  revenue: {kind: mean, table: orders, value: amount, where: {attr: status, op: eq, value: paid}, window: 7d}
  share: {kind: ratio, table: orders, value: amount, denominator: {table: sessions}}
  path: {kind: funnel, steps: [Viewed, {table: orders}]}
"""
ORDERS = FactTable(
    name="orders", url="$DATABASE_URL", sql="select * from orders", unit="user_id", time="created_at"
)


def test_metrics_are_of_tables_that_may_stand_in_another_file():
    found = read_metric_files({"metrics.yaml": METRICS, "tables.yaml": TABLES})
    assert found.problems == ()
    assert found.tables["orders"] == ORDERS
    metrics = found.metrics
    assert metrics["revenue"].source.table == ORDERS
    assert metrics["revenue"].source.event is None
    assert metrics["share"].denominator == Source(table=found.tables["sessions"])
    assert metrics["path"].steps == (Source(event="Viewed"), Source(table=ORDERS))


def test_what_was_read_is_written_so_that_it_reads_back():
    metrics = metrics_from_yaml(TABLES + METRICS)
    assert metrics_from_yaml(metrics_to_yaml(metrics)) == metrics
    assert list(SCHEMA.iter_errors(read_yaml(metrics_to_yaml(metrics), "metrics"))) == []


def test_a_team_may_log_its_own_exposures():
    text = "exposures: {url: shop.db, table: seen, unit: u, variant: arm, time: at, experiment: test}"
    assert list(SCHEMA.iter_errors(read_yaml(text, "metrics"))) == []
    assert read_metric_files({"a.yaml": text}).exposures == ExposureTable(
        url="shop.db", table="seen", unit="u", variant="arm", time="at", experiment="test"
    )
    assert read_metric_files({"a.yaml": TABLES}).exposures is None


MISTAKES = {
    "tables: {o: 3}": [
        "tables.o: 3 is not a table, such as {url: $DATABASE_URL, table: orders, unit: user_id, time: created_at}"
    ],
    "tables: {o: {url: x.db, unit: u}}": [
        "tables.o.time: this is missing: give the column with the time, such as created_at"
    ],
    "tables: {o: {url: x.db, unit: u, time: t, colour: s}}": [
        "tables.o.colour: unknown field: the fields here are url, sql, table, unit, time"
    ],
    "tables: {o: {url: x.db, unit: u, time: t, tabel: s}}": [
        "tables.o.tabel: unknown field: did you mean table?"
    ],
    "tables: {o: {url: x.db, unit: 3, time: t}}": [
        "tables.o.unit: 3 is not a text: give the column with the unit's id, such as user_id"
    ],
    "tables: {o: {url: x.db, unit: u, time: t, sql: select 1, table: s}}": [
        "tables.o.sql: a table's rows are those of a query or of a table: leave sql or table out"
    ],
    "tables: {a b: {url: x.db, unit: u, time: t}}": [
        "tables.a b: a name is letters, digits and _ . : - without spaces"
    ],
    "exposures: {url: x.db, unit: u, time: t}": [
        "exposures.variant: this is missing: give the column with the variant"
    ],
    "exposures: 3": ["exposures: 3 is not a mapping: give its fields"],
}


@pytest.mark.parametrize("text", MISTAKES)
def test_each_mistake_is_told_with_its_field_and_its_mend(text):
    assert [one.removeprefix("a.yaml: ") for one in read_metric_files({"a.yaml": text}).problems] == MISTAKES[
        text
    ]


@pytest.mark.parametrize("text", [one for one in MISTAKES if "a b" not in one])
def test_what_would_be_refused_is_marked_by_editors(text):
    assert list(SCHEMA.iter_errors(read_yaml(text, "metrics"))) != []


def test_a_metric_of_a_table_that_cannot_be_read_is_not_told_twice():
    text = "tables: {orders: {url: x.db}}\nmetrics: {m: {kind: mean, table: ordes}, n: {kind: mean, table: orders}}"
    assert read_metric_files({"a.yaml": text}).problems == (
        "a.yaml: tables.orders.unit: this is missing: give the column with the unit's id, such as user_id",
        "a.yaml: tables.orders.time: this is missing: give the column with the time, such as created_at",
        "a.yaml: metrics.m.table: there is no table ordes: did you mean orders?",
        "a.yaml: metrics.m.value: this is missing: give the numeric property of the event, such as value: revenue",
        "a.yaml: metrics.n.value: this is missing: give the numeric property of the event, such as value: revenue",
    )


def test_rows_and_events_are_not_mixed_in_one_source():
    text = TABLES + "metrics: {m: {kind: count, table: orders, event: Order, type: page}}"
    assert [one.partition("metrics.m.")[2] for one in read_metric_files({"a": text}).problems] == [
        "table: rows are of the table orders or events are called Order: leave one out",
        "type: rows of the table orders have no type: leave it out",
    ]
