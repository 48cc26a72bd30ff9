"""One client in each process: none before it is needed, one however many ask at once, another after a fork."""

import os
import signal
import threading
import warnings
from contextlib import contextmanager

import pytest

from upshot_sdk.django.process import client

ANN = {"targetingKey": "ann"}


def test_nothing_is_asked_before_the_first_flag(platform):
    assert platform.requests == []
    assert client.evaluate("colour", ANN).value == "#00f"
    assert platform.requests[0][1] == "/v1/ruleset"


def test_many_threads_get_one_client(platform):
    barrier, answers = threading.Barrier(8), []

    def ask():
        barrier.wait()
        answers.append(client.evaluate("colour", ANN).value)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == ["#00f"] * 8
    assert [path for _, path, _ in platform.requests] == ["/v1/ruleset"]


def test_closing_sends_and_the_next_flag_begins_anew(platform):
    client.track("Purchase", ANN)
    client.close()
    assert len(platform.tracked("Purchase")) == 1
    assert client.evaluate("colour", ANN).value == "#00f"


@contextmanager
def held_by_another_thread(lock):
    """As it is when a thread makes the client just then; Python 3.12 warns of forking beside threads."""
    held, done = threading.Event(), threading.Event()

    def hold():
        with lock:
            held.set()
            done.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield
    done.set()
    thread.join()


def in_the_child():
    signal.alarm(10)  # where it waits for the lock for ever
    try:
        client.track("Child", ANN)
        client.close()
    finally:
        os._exit(0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.parametrize("used_before", [True, False])
def test_each_forked_worker_sends_its_own(platform, used_before):
    if used_before:
        client.track("Before", ANN)
    with held_by_another_thread(client._lock):
        child = os.fork()
        if child == 0:
            in_the_child()
    assert os.waitpid(child, 0)[1] == 0
    client.track("Parent", ANN)
    client.close()
    expected = {"Child": 1, "Parent": 1, "Before": int(used_before)}
    assert {event: len(platform.tracked(event)) for event in expected} == expected
    instances = {message["context"]["instance"] for message in platform.messages}
    assert len(instances) == 2
