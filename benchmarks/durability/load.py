"""Batches that can be told apart, a process that sends them to a log, and what they must have become."""

import json
import os
import threading
import time
from collections.abc import Iterable, Iterator
from itertools import count, islice
from pathlib import Path

from upshot.events.frame import Frame, Source
from upshot.events.log import EventLog, Limits
from upshot.events.reader import connect

SIZE = 20
EPOCH = 1_772_366_400_000_000
SMALL = Limits(free_bytes=0, segment_bytes=200_000, segment_seconds=0.5)

Row = tuple[str, str, int, str]
"""Message id, unit, time and properties of an event."""


def batch(number: int) -> Frame:
    """The request with this number: always the same."""
    messages = [
        {
            "type": "track",
            "event": "Bought",
            "messageId": f"{number}-{index}",
            "userId": f"u{(number * 7 + index) % 1000}",
            "timestamp": f"2026-03-01T{number % 12:02}:{index:02}:00.{number % 1000:03}Z",
            "properties": {"value": (number * 31 + index) % 997 / 8},
        }
        for index in range(SIZE)
    ]
    body = json.dumps({"batch": messages}).encode()
    return Frame(Source("web"), EPOCH + 86_400_000_000 + number, body)


def send(
    directory: Path,
    numbers: Iterable[int],
    tell: int,
    limits: Limits = SMALL,
    threads: int = 8,
    pause: float = 0.0,
) -> None:
    """Send batches, each thread one after another, and write the number of each that is answered to `tell`.

    Args:
        pause: seconds that a thread waits after an answer, where the whole must not become too much to count.
    """
    log = EventLog.open(directory, limits)
    waiting = iter(numbers)
    mutex = threading.Lock()

    def work() -> None:
        while True:
            with mutex:
                number = next(waiting, None)
            if number is None:
                return
            log.append(batch(number)).result()
            os.write(tell, b"%d\n" % number)
            time.sleep(pause)

    working = [threading.Thread(target=work) for _ in range(threads)]
    for thread in working:
        thread.start()
    for thread in working:
        thread.join()
    log.close()


def endless(again: Iterable[int], first: int) -> Iterator[int]:
    """New numbers without end; three of ten are sent twice, and between them come those that are sent again."""
    older = iter(again)
    for number in count(first):
        yield number
        if number % 10 < 3:
            yield number
        yield from islice(older, 1)


def rows(directory: Path) -> list[Row]:
    """All events that can be read, as they are."""
    with connect(directory, threads=1) as database:
        return database.execute(
            "SELECT message_id, unit, epoch_us(time), properties FROM events ORDER BY ALL"
        ).fetchall()


def expected(numbers: Iterable[int]) -> list[Row]:
    """The events of batches that were each accepted once, told without Upshot."""
    messages = [message for number in set(numbers) for message in json.loads(batch(number).body)["batch"]]
    return sorted(
        (
            message["messageId"],
            message["userId"],
            _microseconds(message["timestamp"]),
            json.dumps(message["properties"], separators=(",", ":")),
        )
        for message in messages
    )


def _microseconds(text: str) -> int:
    hour, minute, rest = text[11:-1].split(":")
    return (
        EPOCH
        - 43_200_000_000
        + (int(hour) * 3600 + int(minute) * 60) * 1_000_000
        + round(float(rest) * 1_000_000)
    )
