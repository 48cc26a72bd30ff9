"""The same orders as events and as a table, in every engine: the evidence is the same, and so is who is exposed."""

import json
import re
import sqlite3
from datetime import UTC, datetime, timedelta, timezone

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest

from upshot.analysis.encode import evidence_to_dict
from upshot.errors import DataError
from upshot.events.frame import Frame, Source
from upshot.events.log import EventLog, Limits
from upshot.formats.event_metrics import metrics_from_yaml, read_metric_files
from upshot.formats.plans import plan_from_yaml
from upshot.services.live_evidence import live_evidence, met

BEGIN = datetime(2026, 3, 1, 12, tzinfo=UTC)
AS_OF = BEGIN + timedelta(days=9)
UNITS, DAYS = 240, 5
KINDS = """
metrics:
  bought: {kind: proportion, WHAT, window: 3d, covariate: 2d}
  spent: {kind: mean, WHAT, value: usd, window: 3d, covariate: 2d, cap: 99%}
  paid: {kind: count, WHAT, window: 3d, where: {all: [PAID, {attr: usd, op: gt, value: 2}]}}
  size: {kind: ratio, WHAT, value: usd, denominator: {WHAT}, window: 3d}
  large: {kind: quantile, WHAT, value: usd, quantile: 90%, window: 3d}
  again: {kind: retention, WHAT, day: 2}
  twice: {kind: funnel, steps: [{WHAT}, {WHAT}], window: 3d}
  soon: {kind: time_to_event, WHAT, window: 1d}
""".replace("PAID", "{attr: status, op: eq, value: paid}")
PLAN = plan_from_yaml(
    """
    metrics: {primary: [bought, spent], secondary: [paid, size, large, again, twice, soon]}
    split: {control: 1, treatment: 1}
    monitoring: fixed
    """
)


def exposures():
    """Unit, variant, time, country. Seed 11."""
    rng = np.random.default_rng(11)
    for i in range(UNITS):
        at = BEGIN + timedelta(seconds=int(rng.integers(0, DAYS * 86_400)))
        yield f"{i:04d}", ("control", "treatment")[i % 2], at, "CA" if i % 3 else "US"


def orders():
    """Unit, time, dollars, status; some before their exposure, some of nobody who was exposed. Seed 12."""
    rng = np.random.default_rng(12)
    for _ in range(900):
        at = BEGIN + timedelta(seconds=int(rng.integers(-3 * 86_400, 9 * 86_400)))
        unit, usd = f"{rng.integers(0, UNITS + 40):04d}", float(rng.integers(1, 40)) / 4
        yield unit, at, usd, "paid" if rng.random() < 0.7 else "open"


def sent(directory, messages):
    log = EventLog.open(directory, Limits(free_bytes=0))
    received = round((BEGIN + timedelta(days=20)).timestamp() * 1_000_000)
    for start in range(0, len(messages), 300):
        batch = json.dumps({"batch": messages[start : start + 300]}).encode()
        log.append(Frame(Source("web"), received, batch)).result(30)
    log.close()
    return directory


def exposure(unit, variant, at, country):
    about = {
        "experiment_id": "EXP-1",
        "phase": 1,
        "variant": variant,
        "unit": "targetingKey",
        "unit_id": unit,
    }
    return {
        "type": "track", "event": "Experiment Viewed", "userId": unit, "messageId": f"e{unit}",
        "timestamp": at.isoformat(), "properties": {**about, "attributes": {"country": country}},
    }  # fmt: skip


def order(place, unit, at, usd, status):
    return {
        "type": "track", "event": "Order", "userId": unit, "messageId": f"o{place}",
        "timestamp": at.isoformat(), "properties": {"usd": usd, "status": status},
    }  # fmt: skip


@pytest.fixture(scope="module")
def exposed(tmp_path_factory):
    """A data directory with exposures, and no orders."""
    path = tmp_path_factory.mktemp("exposed")
    return sent(path, [exposure(*one) for one in exposures()])


@pytest.fixture(scope="module")
def bought(tmp_path_factory):
    """A data directory with exposures and orders as events."""
    path = tmp_path_factory.mktemp("bought")
    return sent(
        path,
        [
            *(exposure(*one) for one in exposures()),
            *(order(place, *one) for place, one in enumerate(orders())),
        ],
    )


def frame():
    return pd.DataFrame(list(orders()), columns=["user_id", "created_at", "usd", "status"])


def in_postgres(server, name, rows, columns):
    import psycopg

    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        connection.execute(f"DROP TABLE IF EXISTS {name}")
        connection.execute(f"CREATE TABLE {name} ({columns})")
        marks = ", ".join(["%s"] * len(rows[0]))
        with connection.cursor() as cursor:
            cursor.executemany(f"INSERT INTO {name} VALUES ({marks})", rows)
    return server.get_uri()


def of_postgres(request, _):
    server = request.getfixturevalue("postgres_server")
    columns = "user_id text, created_at timestamptz, usd numeric(10, 2), status text, note jsonb, id uuid"
    rows = [(*one, "{}", None) for one in orders()]
    return f"url: '{in_postgres(server, 'orders', rows, columns)}', table: orders"


def of_postgres_naive(request, _):
    """Times without an offset, in a server whose own time zone is another one; unit as a number is another unit."""
    import psycopg

    server = request.getfixturevalue("postgres_server")
    columns = "user_id text, created_at timestamp, usd double precision, status text"
    rows = [(unit, at.replace(tzinfo=None), usd, status) for unit, at, usd, status in orders()]
    url = in_postgres(server, "naive", rows, columns)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER DATABASE postgres SET timezone = 'Asia/Tokyo'")
    return f"url: '{url}', sql: 'select * from public.naive where usd > 0;'"


def of_sqlite(_, path):
    """Times as SQLite has them: texts, with and without an offset."""
    database = sqlite3.connect(path / "shop.db")
    database.execute("CREATE TABLE orders (user_id TEXT, created_at TIMESTAMP, usd REAL, status TEXT)")
    kinds = (
        lambda at: at.strftime("%Y-%m-%d %H:%M:%S"),
        lambda at: at.astimezone(timezone(timedelta(hours=9))).isoformat(),
        lambda at: at.strftime("%Y-%m-%dT%H:%M:%SZ"),
    )
    rows = [(u, kinds[place % 3](at), usd, status) for place, (u, at, usd, status) in enumerate(orders())]
    database.executemany("INSERT INTO orders VALUES (?, ?, ?, ?)", rows)
    database.commit()
    database.close()
    return f"url: {path}/shop.db, table: orders"


def of_duckdb(_, path):
    with duckdb.connect(path / "shop.duckdb") as database:
        database.register("given", frame())
        database.execute("CREATE SCHEMA sales")
        database.execute("CREATE TABLE sales.orders AS SELECT * FROM given")
    return f"url: 'duckdb://{path}/shop.duckdb', table: sales.orders"


def of_parquet(_, path):
    pa.parquet.write_table(pa.Table.from_pandas(frame()), path / "orders.parquet")
    return f"url: {path}/orders.parquet"


def of_parquet_sql(_, path):
    written = frame().rename(columns={"user_id": "who"})
    pa.parquet.write_table(pa.Table.from_pandas(written), path / "orders.parquet")
    return f"url: {path}/orders.parquet, sql: 'select who as user_id, created_at, usd, status from orders'"


def of_csv(_, path):
    frame().to_csv(path / "orders.csv", index=False)
    return f"url: {path}/orders.csv"


ENGINES = [of_postgres, of_postgres_naive, of_sqlite, of_duckdb, of_parquet, of_parquet_sql, of_csv]


def evidence_of(directory, definitions, declared=None, segments=("country",), as_of=AS_OF):
    with met(directory, "EXP-1", as_of, declared, segments) as found:
        return live_evidence(found, PLAN, definitions, found.newest, segments=segments)


def comparable(evidence):
    plain = evidence_to_dict(evidence)
    return {name: plain[name] for name in plain if name not in ("sql", "understood")}


def nearly(value):
    """The same, but for the order in which an engine adds up."""
    if isinstance(value, dict):
        return {name: nearly(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [nearly(inner) for inner in value]
    return pytest.approx(value, rel=1e-12, abs=1e-9) if isinstance(value, float) else value


@pytest.mark.parametrize("engine", ENGINES)
def test_a_table_gives_the_evidence_that_the_same_events_give(engine, exposed, bought, request, tmp_path):
    wanted = evidence_of(bought, metrics_from_yaml(KINDS.replace("WHAT", "event: Order")))
    table = f"tables: {{orders: {{{engine(request, tmp_path)}, unit: user_id, time: created_at}}}}\n"
    found = evidence_of(exposed, metrics_from_yaml(table + KINDS.replace("WHAT", "table: orders")))
    assert comparable(found) == nearly(comparable(wanted))
    assert found.total.samples["spent"]["control"].moments.means[0] > 1
    naive = any("created_at have no offset and are taken for UTC" in one for one in found.understood)
    assert naive == (engine in (of_postgres_naive, of_sqlite))


@pytest.mark.parametrize("engine", ENGINES[:4])
def test_only_the_times_that_can_count_leave_where_they_are(engine, exposed, request, tmp_path):
    table = f"tables: {{orders: {{{engine(request, tmp_path)}, unit: user_id, time: created_at}}}}\n"
    text = table + KINDS.replace("WHAT", "table: orders").replace("covariate: 2d", "covariate: 1h")
    said = next(
        one
        for one in evidence_of(exposed, metrics_from_yaml(text)).understood
        if "orders: 9" in one or "rows in" in one
    )
    first, last = min(one[2] for one in exposures()), max(one[2] for one in exposures())
    aside = timedelta(days=2) if engine is of_sqlite else timedelta(0)
    least = sum(
        first - timedelta(hours=1) <= at < min(AS_OF, last + timedelta(days=3)) for _, at, *_ in orders()
    )
    most = sum(
        first - timedelta(hours=1) - aside <= at < last + timedelta(days=3) + aside for _, at, *_ in orders()
    )
    assert least <= int(re.search(r"([\d,]+) rows", said)[1].replace(",", "")) <= most < 900


def exposures_in(kind, request, path):
    """The same exposures as a team's own table, beside those of another experiment."""
    rows = [(*one, "EXP-1") for one in exposures()] + [("0001", "treatment", BEGIN, "CA", "EXP-2")]
    if kind == "postgres":
        columns = "u text, arm text, at timestamptz, country text, test text"
        url = in_postgres(request.getfixturevalue("postgres_server"), "seen", rows, columns)
        return f"exposures: {{url: '{url}', table: seen, unit: u, variant: arm, time: at, experiment: test}}"
    written = pd.DataFrame(rows, columns=["u", "arm", "at", "country", "test"])
    pa.parquet.write_table(pa.Table.from_pandas(written), path / "seen.parquet")
    sql = "select * from exposures where test = 'EXP-1'"
    return f'exposures: {{url: {path}/seen.parquet, sql: "{sql}", unit: u, variant: arm, time: at}}'


@pytest.mark.parametrize("kind", ["postgres", "parquet"])
def test_exposures_of_a_table_give_the_evidence_that_logged_ones_give(kind, bought, request, tmp_path):
    definitions = metrics_from_yaml(KINDS.replace("WHAT", "event: Order"))
    wanted = evidence_of(bought, definitions)
    empty = sent(tmp_path / "data", [order(place, *one) for place, one in enumerate(orders())])
    declared = read_metric_files({"a.yaml": exposures_in(kind, request, tmp_path)}).exposures
    found = evidence_of(empty, definitions, declared)
    assert comparable(found) == nearly(comparable(wanted))
    assert any("table exposures: 240 rows" in one for one in found.understood)
    assert any("all of them taken for EXP-1" in one for one in found.understood) == (kind == "parquet")


def test_tables_alone_give_it_too(bought, request, tmp_path):
    declared = read_metric_files({"a.yaml": exposures_in("parquet", request, tmp_path)}).exposures
    nothing = sent(tmp_path / "data", [order(0, "nobody", BEGIN, 1.0, "paid")])
    table = f"tables: {{orders: {{{of_csv(None, tmp_path)}, unit: user_id, time: created_at}}}}\n"
    found = evidence_of(nothing, metrics_from_yaml(table + KINDS.replace("WHAT", "table: orders")), declared)
    wanted = evidence_of(bought, metrics_from_yaml(KINDS.replace("WHAT", "event: Order")))
    assert comparable(found) == nearly(comparable(wanted))


def test_exposures_of_two_kinds_are_not_mixed(exposed, request, tmp_path):
    declared = read_metric_files({"a.yaml": exposures_in("parquet", request, tmp_path)}).exposures
    with pytest.raises(DataError, match="EXP-1 has exposures that Upshot logged, and the workspace declares"):
        evidence_of(exposed, metrics_from_yaml(KINDS.replace("WHAT", "event: Order")), declared)
