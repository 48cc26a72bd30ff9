import os
import signal
import threading

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import event, inspect, text

from upshot.errors import InputError
from upshot.store.audit import verify
from upshot.store.control import ControlStore
from upshot.store.engine import open_engine, reading, writing
from upshot.store.migration import HEAD, SCRIPTS, current, migrate
from upshot.store.tables import METADATA, is_declared

REVISIONS = ["0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009"]


@pytest.fixture
def engine(url):
    opened = open_engine(url)
    yield opened
    opened.dispose()


def differences(engine):
    with reading(engine) as connection:
        context = MigrationContext.configure(connection, opts={"include_name": is_declared})
        return compare_metadata(context, METADATA)


def test_the_head_is_the_newest_script():
    script = ScriptDirectory(str(SCRIPTS))
    assert script.get_heads() == [HEAD]
    assert [found.revision for found in script.walk_revisions()] == REVISIONS[::-1]


def test_an_empty_database_gets_exactly_the_tables_that_are_declared(engine):
    migrate(engine)
    assert differences(engine) == []
    with reading(engine) as connection:
        assert current(connection) == HEAD
        found = set(filter(is_declared, inspect(connection).get_table_names()))
        assert found == {*METADATA.tables, "alembic_version"}


def test_migrating_again_changes_nothing(engine):
    migrate(engine)
    migrate(engine)
    assert differences(engine) == []


AUDIT_ROW = (
    1,
    "2026-12-01T09:00:01.000000Z",
    "ann",
    "key.created",
    "key/0123456789ab",
    None,
    '{"kind":"server","source":"shop"}',
    "first key",
    "sha256:" + "0" * 64,
    "sha256:a8e8313194df25250444256640e77e47efad11cff2c3bbc2d34eebb3a14bc4a1",
)
"""A row as revision 0001 wrote it."""


@pytest.mark.parametrize("old", REVISIONS[:-1])
def test_an_older_store_keeps_what_is_in_it(engine, url, clock, old):
    migrate(engine, old)
    with writing(engine) as connection:
        for table, row in (("audit", AUDIT_ROW), ("audit_head", (1, 1, AUDIT_ROW[-1]))):
            names = {f"v{place}": value for place, value in enumerate(row)}
            values = ", ".join(f":{name}" for name in names)
            connection.execute(text(f"INSERT INTO {table} VALUES ({values})"), names)
    store = ControlStore.open(url, clock)
    with store.reading() as connection:
        assert verify(connection).broken is None
        assert verify(connection).rows == 1
    assert differences(engine) == []
    store.close()


def test_several_who_start_at_once_migrate_once(url, clock):
    failed = []

    def start():
        try:
            ControlStore.open(url, clock).close()
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    engine = open_engine(url)
    assert differences(engine) == []
    engine.dispose()


def test_a_store_of_a_newer_upshot_is_left_alone(engine, url, clock):
    migrate(engine)
    with writing(engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(InputError, match=r"revision 9999.*newer"):
        ControlStore.open(url, clock)


def killed_at(url, statement):
    """Migrate in a child that is killed (kill -9) before its n-th statement; whether it was."""
    child = os.fork()
    if child == 0:
        seen = 0
        engine = open_engine(url)

        @event.listens_for(engine, "before_cursor_execute")
        def count(*_):
            nonlocal seen
            seen += 1
            if seen == statement:
                os.kill(os.getpid(), signal.SIGKILL)

        try:
            migrate(engine)
        finally:
            os._exit(0)
    return os.waitpid(child, 0)[1] == signal.SIGKILL


def test_a_kill_at_any_statement_leaves_the_old_tables_or_the_new_ones(url):
    engine = open_engine(url)
    migrate(engine, "0001")
    engine.dispose()
    kills = 0
    while killed_at(url, kills + 1):
        kills += 1
        with reading(engine) as connection:
            tables = set(inspect(connection).get_table_names())
            assert current(connection) == "0001"
            assert tables == {"alembic_version", "audit", "audit_head", "keys"}
        engine.dispose()
    assert kills > 15  # every statement of three revisions was one of them
    assert differences(engine) == []
    engine.dispose()
