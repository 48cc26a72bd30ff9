"""No kill of flags in files stays without its row in the chain, and no row is without its kill, whenever it dies."""

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from upshot.errors import UnavailableError
from upshot.store import audit
from upshot.store.audited_flags import AuditedFlags
from upshot.store.control import ControlStore
from upshot.store.engine import sqlite_url
from upshot.store.flag_files import FlagDirectory
from upshot.store.kill_file import KILLS, Switched, Switching, write_kills

AT = datetime(2026, 11, 24, 13, tzinfo=UTC)


@pytest.fixture
def files(tmp_path):
    directory = tmp_path / "flags"
    directory.mkdir()
    return FlagDirectory(directory)


@pytest.fixture
def store(tmp_path):
    with closing(opened(tmp_path)) as found:
        yield found


def opened(directory):
    return ControlStore.open(sqlite_url(directory / "upshot.db"), lambda: datetime.now(UTC))


def switching(flag="nav", action="kill", reason="it fails", actor="ann", at=AT):
    return Switching(flag=flag, action=action, at=at, actor=actor, reason=reason)


def rows(store):
    with store.reading() as connection:
        return [
            (row.action, row.subject, row.actor, row.reason)
            for row in audit.entries(connection, limit=100_000)
        ]


def test_a_switch_has_its_row_with_who_and_why(files, store):
    flags = AuditedFlags(files, store)
    assert flags.switch(switching())
    assert not flags.switch(switching(reason="again"))
    assert flags.switch(switching(action="revive", reason="mended", actor="bob"))
    assert rows(store) == [
        ("flag.killed", "flag/nav", "ann", "it fails"),
        ("flag.revived", "flag/nav", "bob", "mended"),
    ]
    with store.reading() as connection:
        assert audit.verify(connection).broken is None


def test_what_the_file_alone_knows_is_made_up_for_once(files, store):
    files.switch(switching())
    files.switch(switching("pay", reason="cards are refused", actor="upshot monitoring"))
    first, second = AuditedFlags(files, store), AuditedFlags(files, store)
    assert first.catch_up() == 2
    assert (first.catch_up(), second.catch_up()) == (0, 0)
    assert rows(store)[1] == ("flag.killed", "flag/pay", "upshot monitoring", "cards are refused")


def test_the_same_kill_at_another_time_is_another_row(files, store):
    flags = AuditedFlags(files, store)
    for action in ("kill", "revive", "kill"):
        flags.switch(switching(action=action))
    assert [row[0] for row in rows(store)] == ["flag.killed", "flag.revived", "flag.killed"]


def test_a_store_that_cannot_be_written_hinders_no_kill(files, store, monkeypatch, caplog):
    flags = AuditedFlags(files, store)
    with monkeypatch.context() as patched:
        patched.setattr(ControlStore, "changing", refused)
        assert flags.switch(switching())
    assert set(files.kills().off) == {"nav"}
    assert "will be in the audit chain later" in caplog.text
    assert flags.catch_up() == 1
    assert len(rows(store)) == 1


def refused(*_):
    raise UnavailableError("others have been writing")


def test_what_somebody_wrote_into_the_file_is_recorded_as_far_as_it_can_be_stored(files, store, tmp_path):
    write_kills(tmp_path / "flags" / KILLS, Switched().after(switching(reason="a\x00b\ud800", actor=" ")))
    assert AuditedFlags(files, store).catch_up() == 1
    assert rows(store) == [("flag.killed", "flag/nav", "unknown", "ab?")]


KILLING = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from upshot.store.audited_flags import AuditedFlags
from upshot.store.control import ControlStore
from upshot.store.engine import sqlite_url
from upshot.store.flag_files import FlagDirectory
from upshot.store.kill_file import Switching

place = Path(sys.argv[1])
store = ControlStore.open(sqlite_url(place / "upshot.db"), lambda: datetime.now(UTC))
flags = AuditedFlags(FlagDirectory(place / "flags"), store)
print("begins", flush=True)
number = len(flags.read().kills.history)
while True:
    number += 1
    action = "kill" if number % 2 else "revive"
    flags.switch(Switching(flag="nav", action=action, at=datetime.now(UTC), actor="ann", reason=str(number)))
    print(number, flush=True)
"""


def test_a_process_that_is_killed_in_between_leaves_a_kill_that_gets_its_row(files, store, tmp_path):
    """kill -9 at random moments: what was told is there, and the file and the chain tell the same in the end."""
    chance, late = random.Random(20261124), 0
    for number in range(60):
        if late and number >= 3:
            break
        process = subprocess.Popen(
            [sys.executable, "-c", KILLING, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout.readline() == "begins\n"
        time.sleep(chance.uniform(0.005, 0.15))
        os.kill(process.pid, signal.SIGKILL)
        told = [int(line) for line in process.communicate()[0].split()]
        history = files.kills().history
        assert len(history) >= max(told, default=0), "what was told is there"
        recorded = [row[3] for row in rows(store)]
        assert [entry.reason for entry in history][: len(recorded)] == recorded, "no row is without its kill"
        late += len(history) - len(recorded)
        AuditedFlags(FlagDirectory(Path(tmp_path / "flags")), store).catch_up()
        assert [row[3] for row in rows(store)] == [entry.reason for entry in history]
    assert late, "it was never killed in between, so that nothing was shown"
