"""What arrives of a declared table: times in UTC, rows as the text of JSON, and nothing that cannot count."""

import json
from datetime import UTC, datetime, timedelta

import duckdb
import ibis
import pytest

from upshot.errors import DataError
from upshot.model.fact_table import ExposureTable, FactTable
from upshot.warehouse.facts import Span, take_exposures, take_facts

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
EVERYTHING = """
    TIMESTAMPTZ '2026-03-01 21:00:00+09' AS at, 'u' AS user_id, 1.5::DECIMAL(9,2) AS price, 'NaN'::DOUBLE AS odd,
    3 AS n, true AS paid, DATE '2026-02-03' AS day, TIMESTAMP '2026-02-03 04:05:06' AS begun,
    '{"tier": "pro"}'::JSON AS plan, {'x': 1} AS inside, ['a', 'b'] AS tags, NULL AS nothing, uuid() AS id,
    'it''s' AS "a ""b"" "
"""
NO_TIMES = ["yesterday", "2026-03-01", "2026-02-30T00:00:00Z", "1772366400", "2026-03-01T25:00:00Z"]


@pytest.fixture
def database():
    with duckdb.connect() as connection:
        yield connection


def file_of(tmp_path, sql, name="orders.parquet"):
    path = tmp_path / name
    with duckdb.connect() as connection:
        connection.execute(f"COPY ({sql}) TO '{path}'")
    return str(path)


def taken(database, url, asked=(), span=Span(), **fields):  # noqa: B008 - a value that does not change
    known = {"name": "orders", "url": url, "unit": "user_id", "time": "at"} | fields
    found = take_facts(database, FactTable(**known), dict.fromkeys(asked, "where"), span, {})
    return found, database.execute(f'SELECT * FROM "{found.name}"').fetchall()


def test_columns_become_what_conditions_compare_with(database, tmp_path):
    asked = ("price", "odd", "n", "paid", "day", "begun", "plan.tier", "inside", "tags", "nothing", 'a "b" ')
    url = file_of(tmp_path, f"SELECT {EVERYTHING}")
    found, [(unit, time, properties)] = taken(database, url, asked)
    assert (unit, time, found.is_naive) == ("u", NOON.replace(tzinfo=None), False)
    assert json.loads(properties) == {
        "price": 1.5,
        "odd": None,
        "n": 3,
        "paid": True,
        "day": "2026-02-03",
        "begun": "2026-02-03T04:05:06.000000Z",
        "plan": {"tier": "pro"},
        "inside": {"x": 1},
        "tags": ["a", "b"],
        "nothing": None,
        'a "b" ': "it's",
    }


def test_only_what_is_asked_for_is_carried(database, tmp_path):
    url = file_of(tmp_path, f"SELECT {EVERYTHING}")
    assert taken(database, url)[1][0][2] == "{}"
    with pytest.raises(
        DataError, match="table orders: where is colour, and there is no such column: there are at,"
    ):
        taken(database, url, ["colour"])


def test_rows_of_nobody_are_left_out_and_counted(database, tmp_path):
    rows = "(VALUES ('u', now()), (NULL, now()), ('v', NULL)) AS t(user_id, \"at\")"
    found, rows = taken(database, file_of(tmp_path, f"SELECT * FROM {rows}"))
    assert [row[0] for row in rows] == ["u"]
    assert (found.rows, found.nameless) == (1, 1)


@pytest.mark.parametrize("kind", ["TIMESTAMPTZ", "TIMESTAMP", "TIMESTAMP_NS", "TIMESTAMP_S", "VARCHAR"])
def test_times_before_and_after_a_span_stay_where_they_are(database, tmp_path, kind):
    sql = (
        "SELECT 'u' AS user_id, CAST(TIMESTAMP '2026-03-01 12:00:00' + hour * INTERVAL 1 HOUR AS "
        f"{kind}) AS at FROM range(-240, 240) AS t(hour)"
    )
    span = Span(since=NOON, until=NOON + timedelta(hours=3))
    url = file_of(tmp_path, sql)
    found, rows = taken(database, url, span=span)
    near = [
        row
        for row in rows
        if NOON.replace(tzinfo=None) <= row[1] < NOON.replace(tzinfo=None) + timedelta(hours=3)
    ]
    assert len(near) == 3
    assert found.rows <= (3 if kind != "VARCHAR" else 100)
    assert found.is_naive == (kind != "TIMESTAMPTZ")


@pytest.mark.parametrize("text", NO_TIMES)
def test_a_text_that_is_no_time_is_named(database, tmp_path, text):
    url = file_of(tmp_path, f"SELECT 'u' AS user_id, '{text}' AS at")
    with pytest.raises(DataError) as caught:
        taken(database, url)
    assert str(caught.value) == (
        f"table orders: time is at, and {text!r} is no time: give timestamps such as 2026-03-01T12:00:00Z"
    )


def test_ids_in_text_stay_as_they_are_written(database, tmp_path):
    (tmp_path / "orders.csv").write_text("user_id,at\n007,2026-03-01T12:00:00+01:00\n")
    found, rows = taken(database, str(tmp_path / "orders.csv"))
    assert rows == [("007", NOON.replace(hour=11, tzinfo=None), "{}")]
    assert not found.is_naive


def test_exposures_have_the_columns_of_the_view(database, tmp_path):
    database.execute("CREATE VIEW exposures AS SELECT NULL::VARCHAR AS experiment_id, 1::INTEGER AS phase, "
                     "''::VARCHAR AS variant, ''::VARCHAR AS unit_id, ''::VARCHAR AS unit, now()::TIMESTAMP AS time, "
                     "''::VARCHAR AS attributes, ''::VARCHAR AS instance")  # fmt: skip
    rows = "('u', 7, 2, 'CA', '2026-03-01T12:00:00Z'), ('v', 7, 1, 'US', '2026-03-01T13:00:00Z'), ('w', 8, 1, '', '')"
    url = file_of(tmp_path, f'SELECT * FROM (VALUES {rows}) AS t(u, test, part, country, "at")')
    table = ExposureTable(
        url=url, sql="select *, 'a' as arm from exposures where u != 'w'", unit="u", variant="arm", time="at",
        experiment="test", phase="part",
    )  # fmt: skip
    found = take_exposures(database, table, "7", ("country",), Span(until=NOON + timedelta(days=1)), {})
    columns = "experiment_id, phase, variant, unit_id, time, attributes, instance"
    noon = NOON.replace(tzinfo=None)
    assert database.execute(f"SELECT {columns} FROM {found.name} ORDER BY unit_id").fetchall() == [
        ("7", 2, "a", "u", noon, '{"country":"CA"}', None),
        ("7", 1, "a", "v", noon + timedelta(hours=1), '{"country":"US"}', None),
    ]


def test_a_table_may_be_called_with_points_and_dashes(database, tmp_path):
    url = file_of(tmp_path, "SELECT 'u' AS user_id, now() AS seen_at")
    name = "shop.orders-2026:a"
    found, rows = taken(database, url, name=name, time="seen_at", sql=f'select * from "{name}"')
    backend = ibis.duckdb.from_connection(database)
    assert (found.rows, backend.table(found.name).count().execute(), rows[0][0]) == (1, 1, "u")
