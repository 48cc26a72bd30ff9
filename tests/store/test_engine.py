import multiprocessing
import os
import signal
import sqlite3
import stat
import threading
import time

import pytest
from sqlalchemy import text

from upshot.errors import InputError, UnavailableError
from upshot.store import engine as module
from upshot.store.engine import open_engine, reading, shown, sqlite_url, writing

FORK = multiprocessing.get_context("fork")  # each process opens the store by its URL


@pytest.fixture
def engine(url):
    opened = open_engine(url)
    with writing(opened) as connection:
        connection.execute(text("CREATE TABLE marks (who integer, n integer)"))
    yield opened
    opened.dispose()


def count(engine):
    with reading(engine) as connection:
        return connection.execute(text("SELECT count(*) FROM marks")).scalar_one()


def fail_after(engine, statement):
    with writing(engine) as connection:
        connection.execute(text(statement))
        raise ZeroDivisionError


def add(connection, who, n):
    connection.execute(text("INSERT INTO marks VALUES (:who, :n)"), {"who": who, "n": n})


def test_what_is_written_is_read(engine):
    with writing(engine) as connection:
        add(connection, 1, 1)
    assert count(engine) == 1


def test_a_block_that_raises_leaves_nothing(engine):
    with pytest.raises(ZeroDivisionError):
        fail_after(engine, "INSERT INTO marks VALUES (1, 1)")
    assert count(engine) == 0


def test_tables_made_in_a_block_that_raises_are_gone_too(engine):
    with pytest.raises(ZeroDivisionError):
        fail_after(engine, "CREATE TABLE other (n integer)")
    with writing(engine) as connection:
        connection.execute(text("CREATE TABLE other (n integer)"))


def test_a_reader_sees_one_state_while_others_write(engine):
    with reading(engine) as connection:
        before = connection.execute(text("SELECT count(*) FROM marks")).scalar_one()
        with writing(engine) as other:
            add(other, 1, 1)
        assert connection.execute(text("SELECT count(*) FROM marks")).scalar_one() == before == 0
    assert count(engine) == 1


def test_writers_of_several_threads_are_alone(engine):
    """Each reads the largest number and writes the next: two at once would write one twice."""

    def work():
        for _ in range(10):
            with writing(engine) as connection:
                top = connection.execute(text("SELECT coalesce(max(n), 0) FROM marks")).scalar_one()
                add(connection, 0, top + 1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with reading(engine) as connection:
        found = connection.execute(text("SELECT n FROM marks ORDER BY n")).scalars().all()
    assert found == list(range(1, 41))


def _count_on(url, who, times):
    engine = open_engine(url)
    for _ in range(times):
        with writing(engine) as connection:
            top = connection.execute(text("SELECT coalesce(max(n), 0) FROM marks")).scalar_one()
            add(connection, who, top + 1)
    engine.dispose()


def test_writers_of_several_processes_lose_nothing(engine, url):
    workers = [FORK.Process(target=_count_on, args=(url, who, 25)) for who in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    with reading(engine) as connection:
        found = connection.execute(text("SELECT n FROM marks ORDER BY n")).scalars().all()
    assert found == list(range(1, 76))


def _write_for_ever(url, ready):
    engine = open_engine(url)
    n = 0
    while True:
        with writing(engine) as connection:
            n += 1
            add(connection, 1, n)
            add(connection, 2, n)
        ready.set()


def test_a_writer_killed_half_way_leaves_whole_transactions_and_no_lock(engine, url):
    ready = FORK.Event()
    worker = FORK.Process(target=_write_for_ever, args=(url, ready))
    worker.start()
    assert ready.wait(60)
    time.sleep(0.2)
    os.kill(worker.pid, signal.SIGKILL)
    worker.join()
    with writing(engine) as connection:
        found = connection.execute(text("SELECT who, n FROM marks ORDER BY n, who")).all()
    assert [tuple(row) for row in found] == [(who, n + 1) for n in range(len(found) // 2) for who in (1, 2)]
    assert found


def test_a_forked_child_opens_connections_of_its_own(engine):
    assert count(engine) == 0
    child = os.fork()
    if child == 0:
        try:
            with writing(engine) as connection:
                add(connection, 1, 1)
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    assert count(engine) == 1


def test_who_waits_too_long_is_told(engine, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 1.0)
    with writing(engine):
        failed = []

        def other():
            try:
                with writing(engine):
                    pass
            except UnavailableError as error:
                failed.append(str(error))

        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert len(failed) == 1


# SQLite


def pragma(engine, name):
    with reading(engine) as connection:
        return connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()


def test_every_connection_of_sqlite_is_set_up(sqlite):
    engine = open_engine(sqlite)
    found = {
        name: pragma(engine, name)
        for name in ("journal_mode", "synchronous", "foreign_keys", "wal_autocheckpoint")
    }
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "wal_autocheckpoint": 0}
    engine.dispose()


def test_the_file_and_what_is_beside_it_are_its_owners_only(sqlite, tmp_path):
    engine = open_engine(sqlite)
    with writing(engine) as connection:
        connection.execute(text("CREATE TABLE marks (who integer, n integer)"))
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == dict.fromkeys(["upshot.db", "upshot.db-wal", "upshot.db-shm", "upshot.db.lock"], 0o600)
    engine.dispose()


def test_the_log_does_not_grow_without_end(sqlite, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "WAL_LIMIT", 200_000)
    engine = open_engine(sqlite)
    with writing(engine) as connection:
        connection.execute(text("CREATE TABLE marks (body text)"))
    for _ in range(60):
        with writing(engine) as connection:
            connection.execute(text("INSERT INTO marks VALUES (:body)"), {"body": "x" * 20_000})
    assert (tmp_path / "upshot.db-wal").stat().st_size < 400_000
    assert (tmp_path / "upshot.db").stat().st_size > 600_000
    assert count(engine) == 60
    engine.dispose()


def test_a_reader_that_stays_does_not_stop_writers(sqlite, monkeypatch):
    monkeypatch.setattr(module, "WAL_LIMIT", 0)
    engine = open_engine(sqlite)
    with writing(engine) as connection:
        connection.execute(text("CREATE TABLE marks (who integer, n integer)"))
    with reading(engine) as connection:
        assert connection.execute(text("SELECT count(*) FROM marks")).scalar_one() == 0
        for n in range(5):
            with writing(engine) as other:
                add(other, 1, n)
        assert connection.execute(text("SELECT count(*) FROM marks")).scalar_one() == 0
    assert count(engine) == 5
    engine.dispose()


def test_what_others_keep_locked_is_told_in_a_sentence(sqlite, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 0.2)
    engine = open_engine(sqlite)
    foreign = sqlite3.connect(tmp_path / "upshot.db", isolation_level=None)
    foreign.execute("BEGIN IMMEDIATE")  # a program that knows nothing of our lock
    with pytest.raises(UnavailableError, match="cannot answer: database is locked"), writing(engine):
        pass
    foreign.close()
    engine.dispose()


def test_a_full_disk_is_told_and_leaves_what_was_there(sqlite):
    engine = open_engine(sqlite)
    with writing(engine) as connection:
        connection.execute(text("CREATE TABLE marks (body text)"))
        connection.execute(text("INSERT INTO marks VALUES ('first')"))

    def fill():
        with writing(engine) as connection:
            connection.execute(text("INSERT INTO marks VALUES ('second')"))
            connection.exec_driver_sql("PRAGMA max_page_count = 3")
            connection.execute(text("INSERT INTO marks VALUES (:body)"), {"body": "x" * 100_000})

    with pytest.raises(UnavailableError, match="database or disk is full"):
        fill()
    assert count(engine) == 1
    engine.dispose()
    with writing(engine) as connection:
        connection.execute(text("INSERT INTO marks VALUES ('third')"))
    assert count(engine) == 2
    engine.dispose()


# What cannot be opened


def test_a_file_that_is_no_database_is_refused(tmp_path):
    path = tmp_path / "upshot.db"
    path.write_text("not a database, and long enough to be read as the head of one " * 20)
    with pytest.raises(InputError, match="is no SQLite database"):
        open_engine(sqlite_url(path))


def test_a_place_that_cannot_hold_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot be opened .*make its directory writable"):
        open_engine(sqlite_url(tmp_path / "file" / "upshot.db"))


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "sqlite:///a.db?mode=ro"])
def test_sqlite_without_a_plain_file_is_refused(url):
    with pytest.raises(InputError, match="names no file"):
        open_engine(url)


@pytest.mark.parametrize("url", ["mysql://host/name", "upshot.db", ""])
def test_what_is_no_store_is_refused(url):
    with pytest.raises(InputError, match="sqlite:///DIRECTORY"):
        open_engine(url)


def test_postgresql_that_does_not_answer_is_told_without_the_password():
    pytest.importorskip("psycopg")
    engine = open_engine("postgresql://ann:secret@127.0.0.1:1/none")
    with (
        pytest.raises(UnavailableError, match=r"postgresql\+psycopg://ann:\*\*\*@") as raised,
        reading(engine),
    ):
        pass
    assert "secret" not in str(raised.value)


def test_postgresql_without_a_driver_says_what_to_install(monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'upshot\[postgresql\]'"):
        open_engine("postgresql://ann:secret@host/none")


def test_shown_hides_the_password():
    assert shown("postgresql://ann:secret@host/name") == "postgresql://ann:***@host/name"
