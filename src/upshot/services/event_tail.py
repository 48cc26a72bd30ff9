"""The newest events, and those that come while one watches."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from upshot.events.reader import connect
from upshot.services.events import existing

_LATE = 10_000_000  # microseconds by which an event may become visible after one that was received later
_COLUMNS = "source, message_id, type, event, unit, epoch_us(time), epoch_us(received_at), properties"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """An event.

    Attributes:
        source, message_id: its identity.
        type, event, unit: what happened, and who did it.
        time: when, by the server's clock. received: when the server got it.
        properties: of the event, or the traits of a user or group.
    """

    source: str
    message_id: str
    type: str
    event: str | None
    unit: str
    time: datetime
    received: datetime
    properties: Mapping[str, Any]


class Tail:
    """Events of a data directory in the order in which they were received, each once."""

    def __init__(self, directory: Path, event: str | None = None) -> None:
        """
        Args:
            directory: the data directory. event: only events of this name; None: all.

        Raises:
            InputError: it is no data directory.
        """
        existing(directory)
        self._directory, self._event = directory, event
        self._seen: dict[tuple[str, str], int] = {}

    def newest(self, count: int) -> list[Arrived]:
        """The last events; what came before them is not shown by `more` either."""
        newest = self._read(0, max(count, 1))
        self.more()
        return newest[-count:] if count else []

    def more(self) -> list[Arrived]:
        """What can be seen since the last call of this or of `newest`."""
        after = max(self._seen.values(), default=_LATE) - _LATE
        self._seen = {key: received for key, received in self._seen.items() if received >= after}
        return self._read(after, None)

    def _read(self, after: int, count: int | None) -> list[Arrived]:
        query = (
            f"SELECT {_COLUMNS} FROM events WHERE received_at >= make_timestamp($after) "  # noqa: S608 - constants
            "AND ($event IS NULL OR event = $event) "
            "ORDER BY received_at DESC, source DESC, message_id DESC LIMIT $count"
        )
        with connect(self._directory, threads=1) as database:
            rows = database.execute(query, {"after": after, "event": self._event, "count": count}).fetchall()
        new = [row for row in reversed(rows) if (row[0], row[1]) not in self._seen]
        self._seen |= {(row[0], row[1]): row[6] for row in new}
        return [_arrived(*row) for row in new]


def _arrived(
    source: str,
    message_id: str,
    kind: str,
    event: str | None,
    unit: str,
    time: int,
    received: int,
    properties: str,
) -> Arrived:
    return Arrived(
        source=source,
        message_id=message_id,
        type=kind,
        event=event,
        unit=unit,
        time=_moment(time),
        received=_moment(received),
        properties=msgspec.json.decode(properties),
    )


def _moment(microseconds: int) -> datetime:
    return datetime.fromtimestamp(microseconds / 1_000_000, UTC)
