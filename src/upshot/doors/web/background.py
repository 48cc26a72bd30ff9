"""What a server does beside answering, in a process of its own: who waits for an answer waits for none of it.

It compacts, watches and tells. It may be stopped at any step, since a crash at any step changes nothing that counts.
"""

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from multiprocessing import parent_process
from multiprocessing.connection import wait
from typing import TYPE_CHECKING

from upshot.doors.web.kept import FORMAT, Kept

if TYPE_CHECKING:
    from upshot.doors.web.serving import Serving

Work = tuple[Callable[[], object], float]
"""What is done again and again, and the seconds between its end and its next begin."""

_NICE = 5  # it gives way to the server, but not for ever: what harms must be turned off in time
_PATIENCE = 1.0  # seconds that work has to end in
_log = logging.getLogger("upshot")


@contextmanager
def background(serving: "Serving") -> Iterator[None]:
    """Do it for as long as the block runs."""
    with closing(Kept("what runs beside the server", _run, serving)):
        yield


def _run(serving: "Serving") -> None:
    """What the process does until its parent ends, in whatever way."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal, which the server hears as well
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    if serving.settings.clock is None:  # a simulation waits for what is done here
        os.nice(_NICE)
    logging.basicConfig(level=logging.INFO, format=FORMAT)
    parent = parent_process()
    assert parent is not None
    with ExitStack() as stack:
        works = _works(serving, stack)
        stack.enter_context(again_and_again(works))
        wait([parent.sentinel])


def _works(serving: "Serving", stack: ExitStack) -> list[Work]:
    """All that is done, opened for as long as a stack is."""
    from upshot.bootstrap import (
        open_alerts,
        open_clock,
        open_flag_store,
        open_jobs,
        open_monitor,
        open_store,
    )
    from upshot.events.upkeep import Upkeep
    from upshot.services import monitoring
    from upshot.store.audited_flags import AuditedFlags

    clock = open_clock(serving.settings)
    store = stack.enter_context(closing(open_store(serving.data, serving.store, made=True, clock=clock)))
    if serving.compact_every:
        Upkeep(serving.data, serving.compact_every).start()
    flags = open_flag_store(serving.flags, store)
    alerts = open_alerts(store, serving.settings, clock)
    monitor = stack.enter_context(closing(open_monitor(flags, serving.data, alerts, serving.settings, clock)))
    jobs = stack.enter_context(
        open_jobs(store, flags, serving.data, serving.settings, serving.metrics, clock)
    )
    recording = [(flags.catch_up, 1.0)] if isinstance(flags, AuditedFlags) else []
    return [
        *recording,
        (monitor.look, monitoring.EVERY),
        *jobs.works(),
    ]


@contextmanager
def again_and_again(works: list[Work]) -> Iterator[None]:
    """Do each in a thread of its own, for as long as the block runs. A fault is logged, and ends nothing."""
    ending = threading.Event()

    def do(work: Callable[[], object], every: float) -> None:
        while not ending.is_set():
            try:
                work()
            except Exception:
                _log.exception("what runs beside the server failed, and will be tried again")
            ending.wait(every)

    threads = [threading.Thread(target=do, args=work, daemon=True) for work in works]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ending.set()
        for thread in threads:
            thread.join(_PATIENCE)
