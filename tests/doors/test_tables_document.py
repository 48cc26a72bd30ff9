"""What docs/metrics.md shows of tables is done, beside real databases: its command prints what is shown."""

import os
import re
import sqlite3
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest

DOCUMENT = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")
SECTION = DOCUMENT.partition("## Tables that exist already")[2].partition("## When they count")[0]
FILES = re.findall(r"```yaml\n# (\S+)\n(.*?)```", SECTION, re.DOTALL)
(COMMAND,) = re.findall(r"```sh\n(.*?)```", SECTION, re.DOTALL)
(SHOWN,) = re.findall(r"```text\n(.*?)```", SECTION, re.DOTALL)
BEGIN = datetime(2026, 3, 2, 9)  # noqa: DTZ001 - as the shop's tables have times
UNITS = 2000


def shop():
    """Who saw what, and who ordered: numbers decide, and the treatment makes more of them buy."""
    for i in range(UNITS):
        at = BEGIN + timedelta(minutes=7 * i)
        variant = "treatment" if i * 7919 % 1000 < 500 else "control"
        yield "assignments", (i, variant, str(at), "EXP-2026-001")
        for number in range(3):
            bought = i * 104_729 % 100 < (30 if variant == "treatment" and number else 22)
            if bought:
                when = at + timedelta(hours=30 * number - 20)
                status = "refunded" if i % 9 == 0 else "paid"
                yield "orders", (i, str(when), 10 + i * 31 % 17 / 4, status, 0)
        yield "orders", (i, str(at), 1e9, "paid", 1)


def filled(connection, mark):
    connection.execute(
        "CREATE TABLE assignments (user_id INTEGER, variant TEXT, assigned_at TIMESTAMP, experiment TEXT)"
    )
    connection.execute(
        "CREATE TABLE orders (user_id INTEGER, created_at TIMESTAMP, amount DOUBLE PRECISION, status TEXT, "
        "is_test BOOLEAN)"
    )
    for table, row in shop():
        values = (*row[:4], bool(row[4])) if table == "orders" else row
        connection.execute(f"INSERT INTO {table} VALUES ({', '.join([mark] * len(values))})", values)
    connection.commit()
    connection.close()


def in_sqlite(_, place):
    filled(sqlite3.connect(place / "shop.db"), "?")
    return str(place / "shop.db")


def in_postgres(request, _):
    import psycopg

    uri = request.getfixturevalue("postgres_server").get_uri()
    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS documented CASCADE")
        connection.execute("CREATE SCHEMA documented")
    url = f"{uri}&options=-csearch_path%3Ddocumented"
    filled(psycopg.connect(url), "%s")
    return url


@pytest.mark.parametrize("database", [in_sqlite, in_postgres])
def test_the_command_prints_what_is_shown(database, request, tmp_path):
    url = database(request, tmp_path)
    for name, text in FILES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "COLUMNS": "80", "NO_COLOR": "1", "SHOP_URL": url}
    done = subprocess.run(
        ["bash", "-ec", COMMAND], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert [line.rstrip() for line in done.stdout.splitlines()] == [
        line.rstrip() for line in SHOWN.splitlines()
    ]
