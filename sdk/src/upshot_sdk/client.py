"""The client: evaluates flags in the process, keeps them fresh, and sends exposures and events in the background."""

import atexit
import logging
import os
import ssl
import sys
from collections.abc import Callable, Mapping
from threading import Lock
from time import monotonic, time
from types import MappingProxyType
from typing import Any, Self
from weakref import WeakSet

from upshot_sdk.delivery import Delivery
from upshot_sdk.directory import open_directory
from upshot_sdk.evaluation import Evaluation, failure
from upshot_sdk.exposures import Exposures
from upshot_sdk.freshness import Freshness
from upshot_sdk.messages import MessageError, Messages, exposure_of
from upshot_sdk.ruleset import Ruleset
from upshot_sdk.transport import Server

log = logging.getLogger("upshot_sdk")

PROVIDER_NOT_READY = "PROVIDER_NOT_READY"
AT_EXIT = 3.0

Context = Mapping[str, Any]
Listener = Callable[[str], None]

_clients: "WeakSet[Client]" = WeakSet()


class Client:
    """Flags and events of one application.

        client = Client("http://localhost:8790", key)
        if client.evaluate("checkout", {"targetingKey": user_id}, default="old").value == "new":
            ...
        client.track("Purchase", {"targetingKey": user_id}, {"value": 12.5})

    One client serves a whole process, from any number of threads, and in asyncio as it is: no call waits for the
    network or the disk, but creating it (``start_timeout``), `wait`, `flush` and `close`. A process that forks, as
    gunicorn's with ``preload_app``, goes on in the child by itself.

    Args:
        url: of the server. key: a server key.
        start_timeout: seconds to wait for flags. Then the last good ones serve that an earlier process kept on disk,
            else callers' defaults, until the server answers.
        poll_interval: seconds between two requests for flags where the server's stream of changes cannot be had.
        stream: whether to listen to that stream. request_timeout: seconds that one request may take.
        directory: keeps the last good flags and the events not yet delivered; None: ``UPSHOT_SDK_DIR``, else a
            state directory of the user.
        ssl_context: for certificates that the system does not know.
        clock: gives the seconds since 1970: the times of events, and what rules with a time go by; another than the
            system's is for simulations and tests.

    Raises:
        ValueError: the URL, the key or a number of seconds cannot be one.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        start_timeout: float = 1.0,
        poll_interval: float = 30.0,
        stream: bool = True,
        request_timeout: float = 5.0,
        directory: "str | os.PathLike[str] | None" = None,
        ssl_context: ssl.SSLContext | None = None,
        clock: Callable[[], float] = time,
    ) -> None:
        _check_seconds("start_timeout", start_timeout, least=0.0)
        _check_seconds("poll_interval", poll_interval, least=0.1)
        _check_seconds("request_timeout", request_timeout, least=0.1)
        self._server = Server(url, key, ssl_context)
        self._timeout, self._clock = request_timeout, clock
        self._directory = open_directory(directory, url, key)
        self._listeners: tuple[Listener, ...] = ()
        self._exposures = Exposures()
        self._waking = Lock()
        self._asleep = self._closed = False
        self._begin()
        self._freshness = Freshness(
            self._server,
            self._directory,
            poll_interval=poll_interval,
            stream=stream,
            request_timeout=request_timeout,
            tell=self._tell,
        )
        _clients.add(self)
        self._freshness.tried.wait(start_timeout)

    def evaluate(self, flag_key: str, context: Context | None = None, default: Any = None) -> Evaluation:
        """What a flag answers, as `Ruleset.evaluate`; an experiment's answer is sent as an exposure, once, and so is
        one of a flag whose rollout is watched.

        Never raises and never waits. Before there are flags it answers the default, with PROVIDER_NOT_READY.
        """
        answer = self.peek(flag_key, context, default)
        if "experiment_id" in answer.metadata or "monitored" in answer.metadata:
            self.expose(answer, context or {})
        return answer

    def peek(self, flag_key: str, context: Context | None = None, default: Any = None) -> Evaluation:
        """`evaluate` without an exposure: for what no unit gets to see."""
        if self._asleep:
            self._wake()
        ruleset = self._freshness.ruleset
        if ruleset is None:
            return failure(PROVIDER_NOT_READY, self._why_not(), _flag(flag_key))._replace(value=default)
        now = None if self._clock is time else self._clock()
        return ruleset.evaluate(flag_key, context, default, now)

    def expose(self, answer: Evaluation, context: Context) -> None:
        """Send that a unit has met what it was given by `peek`. An answer that nobody analyses sends nothing."""
        exposure = exposure_of(answer, context)
        if exposure is None or not self._exposures.first(*exposure):
            return
        if not self._send(lambda: self._messages.exposure(answer, context)):
            self._exposures.forget(*exposure)  # there was no room: the next answer brings it again

    def track(self, event: str, context: Context, properties: Mapping[str, Any] | None = None) -> None:
        """Send that a unit did something. Never raises; what cannot be sent is logged as a warning.

        Args:
            event: the name of what was done.
            context: who did it: ``userId``, ``anonymousId`` or both of a visitor who logged in, else
                ``targetingKey``; with ``account`` also for which account.
            properties: what can be written as JSON; a ``value`` is what a metric sums by default.
        """
        self._send(lambda: self._messages.track(event, context, properties))

    def identify(self, context: Context, traits: Mapping[str, Any] | None = None) -> None:
        """Send that the context's ``anonymousId`` and ``userId`` are one person. Never raises."""
        self._send(lambda: self._messages.identify(context, traits))

    @property
    def ruleset(self) -> Ruleset | None:
        """The flags that are served; None before there are any."""
        return self._freshness.ruleset

    @property
    def state(self) -> str:
        """``ready``, ``stale`` (flags that may be behind the server's), ``not_ready`` (none) or ``closed``."""
        return "closed" if self._closed else self._freshness.state

    @property
    def error(self) -> str | None:
        """Why the flags could not be refreshed; None where they could."""
        return self._freshness.error

    @property
    def refused(self) -> bool:
        """Whether they could not because the server refuses the key; it is asked again all the same."""
        return self._freshness.refused

    @property
    def flags_changed(self) -> tuple[str, ...]:
        """The keys of the flags that the newest change concerns."""
        return self._freshness.changed

    @property
    def instance(self) -> str:
        """The name of this client in its messages, whose ``seq`` have no gaps where none was lost."""
        return self._messages.instance

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call a function on a background thread with each ``ready``, ``changed``, ``stale`` or ``error``.

        Returns: a function that ends it.
        """
        with self._waking:
            self._listeners = (*self._listeners, listener)

        def unsubscribe() -> None:
            with self._waking:
                self._listeners = tuple(kept for kept in self._listeners if kept is not listener)

        return unsubscribe

    def wait(self, timeout: float) -> bool:
        """Wait until the server was asked for flags; whether there are any."""
        if self._asleep:
            self._wake()
        self._freshness.tried.wait(timeout)
        return self._freshness.ruleset is not None

    def flush(self, timeout: float = 5.0) -> bool:
        """Send everything now; whether the server has it, within the time."""
        return self._asleep or self._delivery.flush(timeout)

    def close(self, timeout: float = 5.0) -> bool:
        """Send everything and stop; whether the server has it. What it does not have, the next process sends.

        Flags can still be evaluated; exposures and events are no longer sent.
        """
        with self._waking:
            if self._closed:
                return True
            self._closed = True
        if self._asleep:  # in a child that was forked and has sent nothing
            return True
        self._freshness.close()
        return self._delivery.close(timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _begin(self) -> None:
        """What belongs to one process: numbered messages and the threads that bring them out."""
        self._messages = Messages(self._clock)
        process = f"{os.getpid()}-{self._messages.instance}"
        self._delivery = Delivery(self._server, self._directory, process, self._timeout, self._clock)
        _leave_with_multiprocessing()

    def _send(self, make: Callable[[], bytes]) -> bool:
        """Send a message; False where there is no room for it now."""
        if self._asleep:
            self._wake()
        if self._closed or self._asleep:
            log.warning(
                "Upshot: the client is %s: an event is lost", "closed" if self._closed else "not running"
            )
            return True
        try:
            return self._delivery.put(make())
        except MessageError as error:
            log.warning("Upshot: an event is not sent: %s", error)
        except Exception:
            log.exception("Upshot: an event is not sent")
        return True

    def _why_not(self) -> str:
        return f"there are no flags yet: {self._freshness.error or 'the server has not answered'}"

    def _tell(self, news: str) -> None:
        for listener in self._listeners:
            try:
                listener(news)
            except Exception:
                log.exception("Upshot: a listener failed")

    def _forked(self) -> None:
        """In the child: nothing is started before it is needed, as most children need no flags."""
        if not self._closed:
            self._delivery.abandon()
            self._waking = Lock()
            self._asleep = True

    def _wake(self) -> None:
        with self._waking:
            if not self._asleep or self._closed:
                return
            try:
                self._begin()
                self._freshness.restart()
                self._asleep = False
            except RuntimeError as error:  # no thread can be had; flags answer all the same, from memory
                log.warning("Upshot: this forked process cannot send events yet: %s", error)


def _flag(flag_key: str) -> Mapping[str, Any]:
    return MappingProxyType({"flag": flag_key})


def _check_seconds(name: str, seconds: object, least: float) -> None:
    if (
        isinstance(seconds, bool)
        or not isinstance(seconds, int | float)
        or not least <= seconds < float("inf")
    ):
        raise ValueError(f"{name} is {seconds!r}: give seconds, at least {least:g}")


def _forked() -> None:
    for client in list(_clients):
        client._forked()  # noqa: SLF001


def _leave() -> None:
    deadline = monotonic() + AT_EXIT  # of all clients together
    for client in list(_clients):
        client.close(max(deadline - monotonic(), 0.0))


def _leave_with_multiprocessing() -> None:
    """A child of `multiprocessing` ends without what `atexit` knows, and has a register of its own."""
    process, util = (sys.modules.get(f"multiprocessing.{name}") for name in ("process", "util"))
    if process is not None and util is not None and process.parent_process() is not None:
        util.Finalize(None, _leave, exitpriority=0)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
atexit.register(_leave)
