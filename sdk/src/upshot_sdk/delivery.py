"""The way of messages out of the application: memory, spool, server.

`put` is all that the application waits for. One thread writes what was put to the spool ten times a second, another
sends what is in the spool; so neither a slow server nor a slow disk is felt, and what a process leaves, the next sends.
"""

import json
import logging
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Event, Lock, Thread
from time import monotonic, sleep, time

from upshot_sdk.backoff import backoff
from upshot_sdk.messages import batch
from upshot_sdk.spool import DiskSpool, MemorySpool, Segment, SpoolFullError
from upshot_sdk.transport import Answer, Server, TransportError

log = logging.getLogger("upshot_sdk")

WRITE_EVERY = 0.1
SEND_EVERY = 1.0
ADOPT_EVERY = 60.0
MAX_QUEUED = 100_000
MAX_TOLD = 5  # reasons of one answer
MAX_SPOOLED = 256 * 1024 * 1024
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
REFUSED_FOR_GOOD = frozenset({400, 413, 422})
_NOTHING = Answer(status=204)


class Delivery:
    """Takes messages from any thread and sees to it that the server gets them.

    Args:
        server: that takes them. directory: for the spool; None: memory only.
        process: a name that no other process or client has. request_timeout: seconds that one request may take.
        clock: gives the seconds since 1970 that batches are sent at.
    """

    def __init__(
        self,
        server: Server,
        directory: Path | None,
        process: str,
        request_timeout: float,
        clock: Callable[[], float] = time,
    ) -> None:
        self._server = server
        self._timeout, self._clock = request_timeout, clock
        self._queue: deque[bytes] = deque()
        self._disk = _disk_spool(directory, process)
        self._memory = MemorySpool(MAX_SPOOLED // 8)
        self._writing = Lock()
        self._stop_writing, self._stop_sending, self._wake = Event(), Event(), Event()
        self._deadline = float("inf")
        self._failures = 0
        self._told: set[str] = set()
        self._writer = Thread(target=self._write_on, name="upshot-spool", daemon=True)
        self._sender = Thread(target=self._send_on, name="upshot-send", daemon=True)
        self._writer.start()
        self._sender.start()

    def put(self, message: bytes) -> bool:
        """Take a message; False, and it is lost, where too many wait already."""
        if len(self._queue) >= MAX_QUEUED:
            self._warn_once("more events wait than memory may hold: events are lost")
            return False
        self._queue.append(message)
        return True

    def flush(self, seconds: float) -> bool:
        """Send all that was put so far; whether the server has it, within the time."""
        deadline = monotonic() + seconds
        self._write()
        self._wake.set()
        while not self._empty and monotonic() < deadline:
            sleep(0.005)
        return self._empty

    def close(self, seconds: float) -> bool:
        """Send for so long, and leave the rest to the next process; whether nothing is left."""
        self._deadline = monotonic() + seconds
        self._stop_writing.set()
        self._writer.join(seconds)
        self._write()
        self._stop_sending.set()
        self._wake.set()
        self._sender.join(max(self._deadline - monotonic(), 0.0))
        empty = self._empty
        if (
            self._disk is not None
        ):  # a request that still hangs may arrive twice: the server knows messages by their id
            self._disk.close()
        return empty

    def abandon(self) -> None:
        """In a child that was forked: what waits is the parent's, and so are its threads."""
        if self._disk is not None:
            self._disk.abandon()

    @property
    def _empty(self) -> bool:
        return not self._queue and self._memory.empty and (self._disk is None or self._disk.empty)

    def _write_on(self) -> None:
        while not self._stop_writing.wait(WRITE_EVERY):
            self._write()

    def _write(self) -> None:
        """Move what was put to the spool."""
        with self._writing:
            messages = [self._queue.popleft() for _ in range(len(self._queue))]
            if messages:
                try:
                    self._keep(messages)
                except SpoolFullError:
                    self._warn_once("as many events wait for the server as may wait: events are lost")

    def _keep(self, messages: list[bytes]) -> None:
        if self._disk is not None:
            try:
                self._disk.append(messages)
            except OSError as error:
                self._warn_once(f"the spool cannot be written ({error}): events wait in memory")
            else:
                return
        self._memory.append(messages)

    def _send_on(self) -> None:
        pause, adopted = 0.0, monotonic()
        while not self._stop_sending.is_set():
            self._wake.wait(pause)
            self._wake.clear()
            if self._disk is not None and monotonic() > adopted + ADOPT_EVERY:
                self._disk.adopt()
                adopted = monotonic()
            pause = self._send_all()
        if monotonic() < self._deadline:
            self._send_all()

    def _send_all(self) -> float:
        """Send segment after segment, until none is left or one fails; seconds until the next attempt."""
        if self._disk is not None:
            self._disk.seal()
        for spool in (self._disk, self._memory):
            while spool is not None and (segment := spool.take()):
                pause = self._send(spool, segment)
                if pause:
                    return pause
        return SEND_EVERY

    def _send(self, spool: DiskSpool | MemorySpool, segment: Segment) -> float:
        """Send a segment; 0 if it is settled, else seconds until the next attempt."""
        seconds = min(self._timeout, self._deadline - monotonic())
        try:
            answer = (
                self._server.post_batch(batch(segment.messages, self._clock), seconds)
                if segment.messages
                else _NOTHING
            )
        except TransportError as error:
            return self._pause(str(error), None)
        if 200 <= answer.status < 300:
            spool.done(segment)
            self._tell_rejected(answer)
        elif answer.status in REFUSED_FOR_GOOD:
            self._warn_once(
                f"the server refuses events for good (it answers {answer.status}): they are set aside"
            )
            spool.set_aside(segment)
        else:
            return self._pause(f"it answers {answer.status}", answer.retry_after)
        if self._failures:
            self._failures = 0
            self._told.clear()  # the next outage is told again
        return 0.0

    def _pause(self, reason: str, asked: float | None) -> float:
        self._failures += 1
        self._warn_once(f"the server does not take events ({reason}): they wait")
        return asked or backoff(self._failures, FIRST_PAUSE, LONGEST_PAUSE)

    def _tell_rejected(self, answer: Answer) -> None:
        """The server took the batch, and says which of its events it cannot use."""
        with suppress(ValueError, LookupError, TypeError):
            for rejected in json.loads(answer.body)["rejected"][:MAX_TOLD]:
                self._warn_once(f"the server rejects an event: {rejected['reason']}")

    def _warn_once(self, what: str) -> None:
        if what not in self._told:
            self._told.add(what)
            log.warning("Upshot: %s", what)


def _disk_spool(directory: Path | None, process: str) -> DiskSpool | None:
    if directory is None:
        return None
    try:
        return DiskSpool(directory / "spool", process, MAX_SPOOLED)
    except OSError as error:
        log.warning("Upshot keeps events in memory only: %s/spool cannot be used (%s)", directory, error)
        return None
