"""The weekly report on its way: to every channel that alerts go to, once, on Monday morning or when somebody asks."""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from upshot.errors import InputError, UnavailableError
from upshot.report.paper import Paper, markdown, message
from upshot.report.weekly import weekly_paper
from upshot.services.channels import Channel, Notice
from upshot.services.weekly import LASTS, last_midnight, week
from upshot.store.control import ControlStore

_log = logging.getLogger("upshot.reports")

MORNING = timedelta(hours=8)
"""So long after the week began, in UTC, the report of the week before is sent."""


class WeeklyLetter:
    """The job that sends the report of the week that is over. Whoever took it is not sent it again."""

    def __init__(self, store: ControlStore, channels: Sequence[Channel]) -> None:
        """
        Args:
            store: what is told of. channels: that are told.
        """
        self._store, self._channels = store, tuple(channels)
        self._told: set[tuple[datetime, str]] = set()

    def send(self, now: datetime) -> None:
        """Send the report of the last whole week, from Monday to Monday; a week with nothing in it is not told.

        Raises:
            UnavailableError: a channel did not take it, and it is to be tried again.
        """
        today = last_midnight(now)
        as_of = today - timedelta(days=today.weekday())
        waiting = [one for one in self._channels if (as_of, one.name) not in self._told]
        if not waiting:
            return
        with self._store.reading() as connection:
            found = week(connection, as_of)
        if not (found.running or found.ended or found.learnings or found.proposed):
            return
        letter = notice(weekly_paper(found), as_of)
        failed = []
        for channel in waiting:
            try:
                channel.send(letter)
            except UnavailableError as error:
                failed.append(f"{channel.name}: {error}")
                continue
            except InputError as error:  # which trying again cannot help
                _log.error("%s is not told of the week: %s", channel.name, error)
            self._told.add((as_of, channel.name))
        if failed:
            raise UnavailableError(f"the weekly report did not reach {'; '.join(failed)}")


def send(paper: Paper, as_of: datetime, channels: Sequence[Channel]) -> tuple[str, ...]:
    """Send a report now; the names of the channels that took it.

    Raises:
        InputError: there is no channel.
        UnavailableError: one did not take it.
    """
    if not channels:
        raise InputError(
            "there is nowhere to send it: set UPSHOT_ALERTS, as slack+https://... or mailtos://..."
        )
    letter = notice(paper, as_of)
    for channel in channels:
        channel.send(letter)
    return tuple(channel.name for channel in channels)


def notice(paper: Paper, as_of: datetime) -> Notice:
    """A report as channels take it; of one week it is always the same."""
    text = markdown(paper)
    since = as_of - LASTS
    return Notice(
        id=f"report_weekly_{as_of:%Y%m%d}",
        kind="report.weekly",
        title=paper.title,
        text=message(paper),
        markdown=text.partition("\n\n")[2],  # the title is told apart
        data={"since": since.isoformat(), "until": as_of.isoformat(), "title": paper.title, "markdown": text},
        at=as_of,
    )
