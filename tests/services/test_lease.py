"""The lease of those who run jobs: one process has it, keeps it, and loses it when it dies."""

import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from datetime import timedelta

import pytest

from upshot.bootstrap import open_store
from upshot.services.lease import Lease

SHORT = timedelta(seconds=1.5)
HOLD = """
import sys, time
from datetime import timedelta
from pathlib import Path
from upshot.bootstrap import open_store
from upshot.services.lease import Lease
with Lease(open_store(Path("."), sys.argv[1]), timedelta(seconds=1.5)) as lease:
    print(lease.is_held, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def other(store_url, tmp_path):
    """A process that holds the lease of a store."""
    with closing(open_store(tmp_path, store_url)):
        process = subprocess.Popen([sys.executable, "-c", HOLD, store_url], stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout.readline() == "True\n"
            yield process
        finally:
            process.kill()
            process.communicate()


def test_it_goes_to_another_process_when_its_holder_is_killed(store_url, tmp_path, other):
    with closing(open_store(tmp_path, store_url)) as store, Lease(store, SHORT) as lease:
        time.sleep(2.5)  # longer than it lasts: it was renewed
        assert not lease.is_held
        os.kill(other.pid, signal.SIGKILL)
        killed = time.monotonic()
        while not lease.is_held:
            assert time.monotonic() - killed < 10
            time.sleep(0.05)


def test_a_process_that_was_stopped_for_a_while_does_not_hold_it(sqlite_store, tmp_path):
    with closing(open_store(tmp_path, sqlite_store)) as store:
        lease = Lease(store, timedelta(seconds=0.2))  # nothing renews it, as in a process that stands still
        assert lease.renew()
        time.sleep(0.25)
        assert not lease.is_held
        assert Lease(store, timedelta(seconds=5)).renew()
        assert not lease.renew()


def test_who_ends_gives_it_back_at_once(sqlite_store, tmp_path):
    with closing(open_store(tmp_path, sqlite_store)) as store:
        with Lease(store) as first:
            assert first.is_held
            assert not Lease(store).renew()
        assert not first.is_held
        assert Lease(store).renew()
