"""Keeps a ruleset fresh: the last good one from disk, polling with ETags, and the server's stream of changes."""

import hashlib
import json
import logging
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from time import monotonic

from upshot_sdk.backoff import around, backoff
from upshot_sdk.directory import write_atomically
from upshot_sdk.node import RulesetError
from upshot_sdk.ruleset import Ruleset
from upshot_sdk.transport import Answer, Server, Stream, TransportError

log = logging.getLogger("upshot_sdk")

FIRST_PAUSE = 1.0
STREAM_FOR = 600.0  # seconds; then the flags are asked for all the same, in case a notice was lost

Tell = Callable[[str], None]


class Freshness:
    """Fetches the ruleset on a thread of its own, again and again.

    Attributes:
        ruleset: the last good one; None before there is any.
        error: why the newest attempt failed; None where it did not.
        refused: whether it failed because the server refuses the key.
        changed: keys of the flags that differ between the last two rulesets.

    Args:
        server: that has it. directory: keeps the last good one; None: it is not kept.
        poll_interval: seconds between two requests where there is no stream. stream: whether to listen to changes.
        request_timeout: seconds that one request may take.
        tell: called on the thread with ``ready``, ``changed``, ``stale`` or ``error``.
    """

    def __init__(
        self,
        server: Server,
        directory: Path | None,
        *,
        poll_interval: float,
        stream: bool,
        request_timeout: float,
        tell: Tell,
    ) -> None:
        self.error: str | None = None
        self.refused = False
        self.changed: tuple[str, ...] = ()
        self.tried = Event()
        self._server, self._tell = server, tell
        self._poll, self._streams, self._timeout = poll_interval, stream, request_timeout
        self._file = None if directory is None else directory / "ruleset"
        self.ruleset, self._etag = _from_disk(self._file)
        self._fresh = False
        self._heard: object = None
        self._stream: Stream | None = None
        self._closing = Event()
        self._thread = self._start()

    @property
    def state(self) -> str:
        """``not_ready``, ``ready``, or ``stale`` where the ruleset may be behind the server's."""
        if self.ruleset is None:
            return "not_ready"
        return "ready" if self._fresh else "stale"

    def close(self) -> None:
        """Stop, without waiting for an answer."""
        self._closing.set()
        stream = self._stream
        if stream is not None:
            stream.abort()

    def restart(self) -> None:
        """In a child that was forked: go on with the same ruleset on a new thread and new connections."""
        if self._stream is not None:
            self._stream.abandon()
        self.tried, self._closing, self._stream = Event(), Event(), None
        self._thread = self._start()

    def _start(self) -> Thread:
        thread = Thread(target=self._run, name="upshot-flags", daemon=True)
        thread.start()
        return thread

    def _run(self) -> None:
        failures = unheard = 0
        while not self._closing.is_set():
            asked = self._attempt()
            self.tried.set()
            if not self._fresh:
                failures += 1
                self._closing.wait(asked or backoff(failures, FIRST_PAUSE, self._poll))
                continue
            failures = 0
            if self._streams and self._follow():
                unheard = 0
            else:
                unheard += 1
                self._closing.wait(
                    backoff(unheard, FIRST_PAUSE, self._poll) if self._streams else around(self._poll)
                )

    def _attempt(self) -> float | None:
        """Ask for the ruleset, whatever happens; seconds that the server asks to wait, if it does."""
        try:
            answer = self._server.get_ruleset(self._etag, self._timeout)
            self._take(answer)
        except TransportError as error:
            self._fail("stale", str(error))
        except RulesetError as error:
            self._fail("stale", f"the server's answer is no ruleset: {error.problems[0]}")
        except Exception as error:  # one bad answer must not be the last that is heard of the server
            log.exception("Upshot: the flags cannot be refreshed")
            self._fail("stale", repr(error))
        else:
            return answer.retry_after
        return None

    def _take(self, answer: Answer) -> None:
        if answer.status == 304 and self.ruleset is not None:
            self._succeed(self.ruleset)
        elif answer.status == 200:
            ruleset = _read(answer.body)
            self._etag = answer.etag
            if self._file is not None:
                _to_disk(self._file, answer)
            self._succeed(ruleset)
        elif answer.status in (401, 403):
            self._fail(
                "error", f"the server refuses the key (it answers {answer.status}): give it a server key"
            )
        else:
            self._fail("stale", f"the server answers {answer.status}")

    def _succeed(self, ruleset: Ruleset) -> None:
        before, fresh = self.ruleset, self._fresh
        if before is not None and before is not ruleset:
            self.changed = ruleset.changed_since(before)
        self.ruleset, self._fresh, self.error, self.refused = ruleset, True, None, False
        if not fresh:
            self._tell("ready")
        if before is not None and before is not ruleset:
            self._tell("changed")

    def _fail(self, news: str, reason: str) -> None:
        new = self._fresh or reason != self.error
        self._fresh, self.error, self.refused = False, reason, news == "error"
        if new:
            log.warning("Upshot: the flags cannot be refreshed: %s", reason)
            self._tell(news)

    def _follow(self) -> bool:
        """Listen until the flags should be asked for; False where the server cannot be listened to."""
        try:
            self._stream = stream = self._server.open_stream(self._timeout)
        except TransportError:
            return False
        try:
            return self._listen(stream)
        except TransportError:
            return False
        finally:
            self._stream = None
            stream.close()

    def _listen(self, stream: Stream) -> bool:
        if self._closing.is_set():  # closed while the stream was being opened
            return False
        for name, data in stream.events(monotonic() + around(STREAM_FOR)):
            if name == "revision" and self.ruleset is not None:
                revision = _revision(data)
                if revision not in (self.ruleset.revision, self._heard):
                    self._heard = revision
                    return True
        return True


def _read(body: bytes) -> Ruleset:
    ruleset = Ruleset.from_json(body, strict=False)
    for problem in ruleset.problems[:5]:
        log.warning("Upshot: a flag cannot be used: %s", problem)
    return ruleset


def _revision(data: str) -> object:
    try:
        return json.loads(data).get("revision")
    except (ValueError, AttributeError):
        return None


def _to_disk(file: Path, answer: Answer) -> None:
    head = {"etag": answer.etag, "sha256": hashlib.sha256(answer.body).hexdigest()}
    try:
        write_atomically(file, json.dumps(head).encode() + b"\n" + answer.body)
    except OSError as error:
        log.warning("Upshot: the flags cannot be kept in %s (%s): a restart needs the server", file, error)


def _from_disk(file: Path | None) -> tuple[Ruleset | None, str | None]:
    """The last good ruleset and its ETag; None where there is none, or what is there is not what was written."""
    if file is None:
        return None, None
    try:
        head, _, body = file.read_bytes().partition(b"\n")
        told = json.loads(head)
        if told["sha256"] == hashlib.sha256(body).hexdigest():
            return _read(body), told["etag"]
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None, None
