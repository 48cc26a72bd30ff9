"""What is wrong with a declared table is one sentence with its name, the field and the mend, and without a password."""

import sqlite3

import ibis
import pytest

from upshot.errors import DataError
from upshot.model.fact_table import ExposureTable, FactTable
from upshot.warehouse.declared import check_columns, column_of, filled, opened

ENVIRON = {"SHOP": "shop.db", "EMPTY": ""}


def orders(**fields):
    return FactTable(**{"name": "orders", "url": "shop.db", "unit": "user_id", "time": "created_at"} | fields)


@pytest.fixture
def shop(tmp_path):
    """A SQLite file with two tables; the columns of one are of every kind."""
    path = tmp_path / "shop.db"
    with sqlite3.connect(path) as database:
        database.execute(
            "CREATE TABLE orders (user_id TEXT, created_at TIMESTAMP, day DATE, share REAL, n INTEGER)"
        )
        database.execute("CREATE TABLE visits (user_id TEXT)")
        database.execute("INSERT INTO orders VALUES ('a', '2026-01-01', '2026-01-01', 0.5, 3)")
    database.close()
    return path


def read(table, environ, wanted):
    with opened(table, environ) as rows:
        check_columns(rows, table, {"unit": table.unit, "time": table.time} | wanted)
        rows.to_pyarrow()


def said(table, environ=ENVIRON, **wanted):
    """What is said when it is opened, its columns are checked, and its rows are read."""
    with pytest.raises(DataError) as caught:
        read(table, environ, wanted)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_environment_fills_in_what_is_secret():
    environ = {"HOST": "db", "PASS_1": "x"}
    assert filled(orders(url="postgresql://u:${PASS_1}@$HOST/shop"), environ) == "postgresql://u:x@db/shop"


@pytest.mark.parametrize("name", ["MISSING", "EMPTY"])
def test_a_variable_that_is_not_set_is_named(name):
    wanted = f"table orders: url names ${name}, which is not set: set it in the environment"
    assert said(orders(url=f"${name}")) == wanted


def test_a_table_is_taken_by_its_name_or_because_it_is_the_only_one(shop, tmp_path):
    with opened(orders(url=str(shop), table="visits"), ENVIRON) as rows:
        assert rows.columns == ("user_id",)
    with opened(orders(url=f"sqlite://{shop}", sql="select n from orders;"), ENVIRON) as rows:
        assert rows.to_pyarrow()["n"].to_pylist() == [3]
    assert said(orders(url=str(shop))) == "table orders: table: this is missing: there are orders, visits"
    wanted = "table orders: table: there is no order: did you mean orders?"
    assert said(orders(url=str(shop), table="order")) == wanted


TYPES = {
    "unit usr_id": "unit is usr_id, and there is no such column: did you mean user_id?",
    "time at": "time is at, and there is no such column: there are user_id, created_at, day, share, n",
    "unit share": "unit is share, which is float64: ids are texts or whole numbers, make it one in sql, such as "
    "cast(share as text)",
    "time day": "time is day, which is a date: what happened on the day of the first exposure would count as before "
    "it, give a timestamp",
    "time n": "time is n, which is int64: give a timestamp, made in sql where it is stored otherwise, such as "
    "to_timestamp(n)",
}


@pytest.mark.parametrize("given", TYPES)
def test_columns_that_cannot_be_what_they_should_are_named(shop, given):
    field, column = given.split()
    table = orders(url=str(shop), table="orders", **{field: column})
    assert said(table) == f"table orders: {TYPES[given]}"


def test_a_column_that_a_metric_asks_for_is_named_with_its_field(shop):
    wanted = "table orders: value is amount, and there is no such column: there are user_id, created_at, day, share, n"
    assert said(orders(url=str(shop), table="orders"), value="amount") == wanted


@pytest.mark.parametrize("sql", ["select * from nothing", "selec 1", "delete from orders", ""])
def test_a_query_that_cannot_be_run_is_named_and_changes_nothing(shop, sql):
    text = said(orders(url=str(shop), sql=sql or "--"))
    assert text.startswith("table orders: sql cannot be run (")
    assert text.endswith("): mend it")
    with sqlite3.connect(shop) as database:
        assert database.execute("SELECT count(*) FROM orders").fetchone() == (1,)
    database.close()


def test_what_does_not_exist_is_not_made(tmp_path):
    missing = tmp_path / "shop.db"
    for url in (
        missing,
        f"sqlite://{missing}",
        f"duckdb://{tmp_path}/shop.duckdb",
        tmp_path / "shop.parquet",
    ):
        assert "there is no file" in said(orders(url=str(url)))
    assert list(tmp_path.iterdir()) == []


def test_a_database_that_refuses_is_told_without_its_password():
    pytest.importorskip("psycopg", reason="PostgreSQL is spoken to by psycopg")
    for url, environ in (
        ("postgresql://ann:hunter22@127.0.0.1:9/shop", {}),
        ("$URL", {"URL": "postgresql://ann:hunter22@127.0.0.1:9/shop"}),
        ("postgresql://127.0.0.1:9/shop?user=ann&password=$PASSWORD", {"PASSWORD": "hunter22"}),
        ("postgresql://ann:hunter22@127.0.0.1:9999999/shop", {}),
    ):
        text = said(orders(url=url), environ)
        assert text.startswith("table orders: url cannot be connected to (")
        assert "hunter22" not in text
        assert text.endswith("): check that it is up and that the url is right")


def test_a_wrong_password_and_a_missing_table_of_a_real_server(postgres_server):
    url = postgres_server.get_uri()
    assert "there is no nothing: there are" in said(orders(url=url, table="nothing"))
    assert 'relation "nothing" does not exist' in said(orders(url=url, sql="select * from nothing"))


def test_other_places_are_refused_by_what_they_are():
    assert said(orders(url="orders.xlsx")) == (
        "table orders: url is no file that is known and no URL: give .csv, .parquet, .duckdb, .sqlite, or such as "
        "postgresql://..."
    )
    assert said(orders(url="what://x")).startswith("table orders: url cannot be connected to (")


def test_a_broken_file_is_named(tmp_path):
    path = tmp_path / "orders.parquet"
    path.write_bytes(b"PAR1 no")
    assert said(orders(url=str(path))).startswith(f"table orders: url: {path} cannot be read")


def test_exposures_are_called_so(shop):
    table = ExposureTable(url=str(shop), table="orders", unit="user_id", variant="arm", time="created_at")
    wanted = "exposures: variant is arm, and there is no such column: did you mean share?"
    assert said(table, variant="arm").startswith(wanted.partition(":")[0])


def test_an_attribute_is_a_column_or_a_path_into_one():
    columns = ibis.schema({"plan": "string", "plan.tier": "string"}).names
    assert column_of("plan.tier", columns) == "plan.tier"
    assert column_of("plan.name.first", columns) == "plan"
    assert column_of("tier", columns) is None
