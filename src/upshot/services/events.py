"""What is done with a data directory's events: looked at, compacted, replayed, deleted, exported."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any

import duckdb
import msgspec

from upshot.errors import InputError
from upshot.events import compaction, deletion, replay
from upshot.events.deletion import Deleted
from upshot.events.export import export as export_events
from upshot.events.layout import DataDirectory
from upshot.events.log import EventLog
from upshot.events.message import Rejection
from upshot.events.reader import connect
from upshot.events.replay import Replayed
from upshot.events.stock import Stock, take_stock
from upshot.events.upkeep import Round, tidy


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """One kind of event: its name, how many there are, of how many units, and when the last was received."""

    type: str
    event: str | None
    events: int
    units: int
    last: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """What a data directory holds.

    Attributes:
        stock: counts of events, files and what waits. units: whose events they are.
        rejected: messages that are no events, compacted or not.
        kinds: of events, those first of which there are most.
    """

    stock: Stock
    units: int
    rejected: int
    kinds: tuple[Happened, ...]


def stats(directory: Path) -> Stats:
    """What a data directory holds now.

    Raises:
        InputError: it is none.
    """
    existing(directory)
    stock = take_stock(directory)
    with connect(directory) as database:
        ((units,),) = database.execute("SELECT count(DISTINCT unit) FROM events").fetchall()
        return Stats(
            stock=stock,
            units=units,
            rejected=sum(1 for _ in replay.rejections(directory)),
            kinds=_kinds(database),
        )


def _kinds(database: duckdb.DuckDBPyConnection) -> tuple[Happened, ...]:
    rows = database.execute(
        "SELECT type, event, count(*), count(DISTINCT unit), max(received_at) FROM events "
        "GROUP BY type, event ORDER BY 3 DESC, 1, 2"
    ).fetchall()
    return tuple(
        Happened(type=kind, event=event, events=events, units=units, last=last.replace(tzinfo=UTC))
        for kind, event, events, units, last in rows
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """A message that is no event.

    Attributes:
        id: of what was sent, to name it when it is sent again.
        source, received, index, message_id: whose, when, where in its batch, and its own id as far as it has one.
        reason: why it is none.
        body: a batch of it alone; text where it is not even JSON.
    """

    id: str
    source: str
    received: datetime
    index: int
    message_id: str | None
    reason: str
    body: Any


def rejected(directory: Path) -> Iterator[Rejected]:
    """All that was rejected and is kept.

    Raises:
        InputError: it is no data directory.
    """
    existing(directory)
    for one in replay.rejections(directory):
        yield Rejected(
            id=_id(one),
            source=one.source,
            received=datetime.fromtimestamp(one.received_at / 1_000_000, UTC),
            index=one.index,
            message_id=one.message_id,
            reason=one.reason,
            body=_readable(one.body),
        )


def replay_rejected(directory: Path, log: EventLog, mended: Mapping[str, Any]) -> Replayed:
    """Send what was rejected again; what is an event now is kept as one, as of when it was received first.

    Args:
        directory: the data directory. log: of the directory, open.
        mended: id of a `Rejected` -> what to send for it. The others are sent as they were.

    Raises:
        ConflictError: a compaction runs. UnavailableError: the log takes nothing now.
    """
    compaction.compact(directory)

    def mend(one: Rejection) -> bytes:
        body = mended.get(_id(one))
        return one.body if body is None else msgspec.json.encode(body)

    return replay.replay(directory, log, mend)


def read_mended(text: str) -> dict[str, Any]:
    """What to send instead of what was rejected, from what `upshot events rejected --json` printed, edited.

    Raises:
        InputError: it is none of that.

    >>> read_mended('{"rejected": [{"id": "1f", "reason": "…", "body": {"batch": []}}]}')
    {'1f': {'batch': []}}
    """
    try:
        return {one["id"]: one["body"] for one in msgspec.json.decode(text)["rejected"]}
    except (msgspec.MsgspecError, KeyError, TypeError, RecursionError) as error:
        raise InputError(
            f"this is not what `upshot events rejected --json` prints ({error}): give that, with bodies mended"
        ) from None


def compact(directory: Path) -> Round:
    """Bring all that is sealed into files, join files that are small, and end deletions that a crash cut off.

    Raises:
        InputError: it is no data directory. ConflictError: another process is at it.
    """
    existing(directory)
    return tidy(directory)


def delete_user(directory: Path, unit: str) -> Deleted:
    """Delete all events of a user or anonymous visitor, for good.

    Raises:
        InputError: it is no data directory, or the id is empty. ConflictError: a compaction runs.
    """
    existing(directory)
    return deletion.delete_unit(directory, unit)


def export(directory: Path, target: Path, unit: str | None) -> int:
    """Write all events, or those of one unit, to a file; how many they are.

    Raises:
        InputError: it is no data directory, or the target cannot be written so.
    """
    existing(directory)
    return export_events(directory, target, unit=unit)


def existing(directory: Path) -> DataDirectory:
    """A data directory that is there.

    Raises:
        InputError: it is none.
    """
    place = DataDirectory(directory)
    if not place.log.is_dir():
        raise InputError(f"{directory} is no data directory of upshot serve: name it with --data")
    return place


def _id(one: Rejection) -> str:
    return blake2b(
        f"{one.source}\n{one.received_at}\n{one.index}\n".encode() + one.body, digest_size=8
    ).hexdigest()


def _readable(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return body.decode("utf-8", "backslashreplace")
