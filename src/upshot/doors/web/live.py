"""What is being served, kept fresh while flags are edited."""

import asyncio
import gzip
import logging
from collections.abc import Callable
from dataclasses import dataclass

from upshot.doors.web.latest import Latest
from upshot.services.flags import Flags, Published
from upshot.services.schedule import Schedule, read_schedule

EVERY = 1.0  # seconds between two looks at the store
_ZIPPED_FROM = 8 * 1024  # bytes of a ruleset

_log = logging.getLogger("upshot")


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """One state of the flags with what answering needs at hand.

    Attributes:
        published: the flags. zipped: its body compressed; None where it is small.
        schedule: when its answers change by themselves. since: when it came into force, in seconds since 1970.
    """

    published: Published
    zipped: bytes | None
    schedule: Schedule
    since: float

    def state(self, now: float) -> str:
        """Names what answers depend on beside the context: the flags, and which of their rules are in force."""
        return f"{self.published.revision}.{self.schedule.stretch(now)}"

    def changed(self, now: float) -> float:
        """When that state began, in seconds since 1970."""
        stretch = self.schedule.stretch(now)
        return max(self.since, self.schedule.times[stretch - 1]) if stretch else self.since


class Live:
    """The flags in force and the news of their changes.

    Attributes:
        served: what is being served. clock: gives the seconds since 1970.
        state, revision: the names of what is in force, for those who wait for their changes.
    """

    def __init__(self, flags: Flags, clock: Callable[[], float]) -> None:
        self.clock = clock
        self._flags = flags
        self._told: tuple[str, ...] = ()
        self._alone = asyncio.Lock()
        self._looks = 0
        self.served = _serve(flags.current, clock())
        self.state = Latest(self.served.state(clock()))
        self.revision = Latest(self.served.published.revision)

    async def watch(self) -> None:
        """Look for edits for ever, and tell of each change, those that the rules' schedule makes included."""
        while True:
            await self.refresh()
            await asyncio.sleep(EVERY)

    def end(self) -> None:
        """Send everybody home who waits for news."""
        self.state.end()
        self.revision.end()

    async def refresh(self) -> None:
        """Look for edits now. A bad one is logged once, and what was served before goes on.

        However many ask while a look goes on, one more is enough for all of them.
        """
        before = self._looks
        async with self._alone:
            if self._looks > before:
                return
            self._looks += 1
            try:
                await asyncio.to_thread(self._look)
            except Exception:  # whatever happens to the files, what is in memory is served
                _log.exception("the flags could not be looked at; the last good ones are served")
            self.state.put(self.served.state(self.clock()))
            self.revision.put(self.served.published.revision)

    def _look(self) -> None:
        changed = self._flags.refresh()
        if self._flags.problems != self._told:
            self._told = self._flags.problems
            for problem in self._told:
                _log.error("not served: %s", problem)
        if changed:
            self.served = _serve(self._flags.current, self.clock())
            _log.info("serving revision %s", self.served.published.revision)


def _serve(published: Published, now: float) -> Served:
    body = published.body
    return Served(
        published=published,
        zipped=gzip.compress(body, mtime=0) if len(body) >= _ZIPPED_FROM else None,
        schedule=read_schedule(body),
        since=now,
    )
