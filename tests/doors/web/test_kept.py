"""A process that is kept running: replaced when it dies, ended for good when it is to end."""

import os
import signal
import time
from contextlib import closing
from multiprocessing import get_context

from upshot.doors.web.kept import Kept


def work(teller):
    teller.send(os.getpid())
    time.sleep(60)


def stubborn(teller):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    work(teller)


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def heard(news):
    assert news.poll(30)
    return news.recv()


def test_another_takes_the_place_of_one_that_dies(caplog):
    news, teller = get_context("spawn").Pipe(duplex=False)
    with closing(Kept("the worker", work, teller)):
        first = heard(news)
        os.kill(first, signal.SIGKILL)
        second = heard(news)
        assert second != first
        assert alive(second)
    assert not alive(second)
    assert "the worker ended (-9): another takes its place" in caplog.text
    assert not news.poll(0.2)


def test_what_does_not_want_to_end_is_ended(monkeypatch):
    monkeypatch.setattr("upshot.doors.web.kept.PATIENCE", 0.3)
    news, teller = get_context("spawn").Pipe(duplex=False)
    with closing(Kept("the worker", stubborn, teller)):
        pid = heard(news)
    assert not alive(pid)
