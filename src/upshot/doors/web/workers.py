"""Several processes that answer on one socket, and the one that keeps them running."""

import logging
import os
import signal
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from multiprocessing import Pipe, parent_process
from multiprocessing.connection import Connection, wait
from socket import socket
from typing import TYPE_CHECKING, Any

from upshot.doors.web.kept import FORMAT, Kept
from upshot.errors import InputError, UnavailableError, UpshotError

if TYPE_CHECKING:
    from upshot.doors.web.serving import Serving

_log = logging.getLogger("upshot")


def serve_by(
    workers: int, serving: "Serving", listening: socket, told: Callable[[Mapping[str, Any]], None]
) -> None:
    """Serve by so many processes until SIGTERM or SIGINT comes. One that dies is replaced.

    Args:
        workers: how many. serving, listening: as of `serving.serve`.
        told: is told what is served once all of them do.

    Raises:
        InputError, UnavailableError: something cannot be opened.
    """
    ending = threading.Event()
    for ends in (signal.SIGTERM, signal.SIGINT):
        signal.signal(ends, lambda *_: ending.set())
    news, teller = Pipe(duplex=False)
    with ExitStack() as stack:
        kept = [
            stack.enter_context(closing(Kept(f"worker {number}", _work, serving, listening, teller)))
            for number in range(1, workers + 1)
        ]
        for one in kept:
            stack.callback(one.end)  # all of them, before the first is waited for
        about = [_first_words(news, ending) for _ in range(workers)]
        if not ending.is_set():
            told(about[-1])
        while not ending.wait(1.0):
            if news.poll():
                news.recv()  # of one that took another's place


def _first_words(news: Connection, ending: threading.Event) -> Mapping[str, Any]:
    """What a worker says that it serves.

    Raises:
        InputError, UnavailableError: it cannot.
    """
    while not news.poll(0.1):
        if ending.is_set():
            return {}
    about: Mapping[str, Any] = news.recv()
    if "refused" in about:
        raise (InputError if about["exit_code"] == InputError.exit_code else UnavailableError)(
            about["refused"]
        )
    return about


def _work(serving: "Serving", listening: socket, teller: Connection) -> None:
    """What a worker does until it is told to end, or its parent ends in whatever way."""
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # once it has stopped answering, which a SIGINT makes it do as well
    logging.basicConfig(level=logging.INFO, format=FORMAT)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    from upshot.doors.web.serving import serve

    try:
        serve(serving, listening, teller.send)
    except UpshotError as error:
        _log.error("this worker cannot serve: %s", error)
        teller.send({"refused": str(error), "exit_code": error.exit_code})
        raise SystemExit(error.exit_code) from None


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os.kill(os.getpid(), signal.SIGTERM)
