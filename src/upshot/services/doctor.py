"""Whether a data directory is as it should be: where it lies, what it holds, whether any of it is damaged."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pyarrow import ArrowException, parquet
from sqlalchemy.exc import DBAPIError

from upshot.errors import InputError, UpshotError
from upshot.events.disk import check_place, free_bytes
from upshot.events.frame import Gap, decode
from upshot.events.intake import read_bytes
from upshot.events.layout import DataDirectory
from upshot.events.log import Limits
from upshot.events.manifest import EventFile, open_manifest
from upshot.events.rejected import read_rejections
from upshot.events.segment import sealed_segments
from upshot.services.events import existing
from upshot.store import audit
from upshot.store.engine import open_engine, reading, sqlite_url

Status = Literal["pass", "warn", "fail"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one look found.

    Attributes:
        name: of what was looked at. status: as the checks of an analysis have it.
        detail: what was found, and what to do where it is not well.
    """

    name: str
    status: Status
    detail: str


def examine(directory: Path) -> tuple[Finding, ...]:
    """Look at everything; servers may run meanwhile.

    Raises:
        InputError: it is no data directory.
    """
    place = existing(directory)
    looks = (_place, _space, _privacy, _log, _databases, _files, _rejected, _audit)
    return tuple(finding for look in looks for finding in look(place))


def _place(place: DataDirectory) -> Iterator[Finding]:
    try:
        warning = check_place(place.path)
    except InputError as error:
        yield Finding(name="place", status="fail", detail=str(error))
    else:
        yield _found("place", warning, f"{place.path} lies on a disk of this machine", "warn")


def _space(place: DataDirectory) -> Iterator[Finding]:
    free, floor = free_bytes(place.path), Limits().free_bytes
    told = f"{free:,} bytes are free"
    problem = f"{told}, and events are refused below {floor:,}: make room" if free < 2 * floor else None
    yield _found("space", problem, told, "fail" if free < floor else "warn")


def _privacy(place: DataDirectory) -> Iterator[Finding]:
    mode = place.path.stat().st_mode & 0o077
    problem = f"others may look into {place.path}: chmod 700 {place.path}" if mode else None
    yield _found("privacy", problem, "only its owner may look into it", "warn")


def _log(place: DataDirectory) -> Iterator[Finding]:
    paths = sealed_segments(place.log)
    damaged = {
        path.name: sum(item.end - item.start for item in decode(data) if isinstance(item, Gap))
        for path in paths
        if (data := read_bytes(path)) is not None
    }
    spoilt = [f"{name} ({size:,} bytes)" for name, size in damaged.items() if size]
    problem = (
        f"damaged, and kept as rejected when it is compacted: {', '.join(spoilt)}; look at the disk"
        if spoilt
        else None
    )
    yield _found("log", problem, f"{len(paths)} sealed segments wait to be compacted, all whole", "fail")


def _databases(place: DataDirectory) -> Iterator[Finding]:
    for path in sorted(place.path.glob("*.db")):
        try:
            with closing(
                sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=30)
            ) as database:
                said = database.execute("PRAGMA quick_check(1)").fetchone()[0]
        except sqlite3.Error as error:
            said = str(error)
        problem = f"{path} is damaged ({said}): restore a backup" if said != "ok" else None
        yield _found(path.name, problem, "whole", "fail")


def _files(place: DataDirectory) -> Iterator[Finding]:
    try:
        with open_manifest(place.manifest) as manifest:
            files, tally = manifest.event_files(), manifest.tally()
            keys = [file.name for file in manifest.key_files() if not (place.events / file.name).is_file()]
    except (sqlite3.Error, UpshotError) as error:
        yield Finding(name="files", status="fail", detail=f"which files count cannot be read: {error}")
        return
    spoilt = [problem for file in files if (problem := _spoilt(place, file))] + [
        f"{name} is missing" for name in keys
    ]
    problem = f"{'; '.join(spoilt)}: restore a backup" if spoilt else None
    yield _found(
        "files",
        problem,
        f"{len(files)} files with {sum(file.rows for file in files):,} events, all whole",
        "fail",
    )
    lost = tally.get("damaged", 0)
    problem = (
        f"{lost:,} bytes of segments were damaged when they were compacted: look at the disk"
        if lost
        else None
    )
    yield _found("damage", problem, "no byte was ever found damaged", "warn")


def _spoilt(place: DataDirectory, file: EventFile) -> str | None:
    """What is wrong with a file of events; every page of it is read."""
    path = place.events / file.name
    try:
        rows = sum(batch.num_rows for batch in parquet.ParquetFile(path).iter_batches())
    except (OSError, ArrowException) as error:
        return f"{path} cannot be read ({error})" if _counts_still(place, file) else None
    return None if rows == file.rows else f"{path} has {rows:,} events and should have {file.rows:,}"


def _counts_still(place: DataDirectory, file: EventFile) -> bool:
    """Whether it was not replaced meanwhile."""
    with open_manifest(place.manifest) as manifest:
        return file.name in manifest.names()


def _rejected(place: DataDirectory) -> Iterator[Finding]:
    try:
        with open_manifest(place.manifest) as manifest:
            files = manifest.rejected_files()
            found = {file.name: sum(1 for _ in read_rejections(place.rejected / file.name)) for file in files}
    except (OSError, sqlite3.Error, UpshotError, ValueError) as error:
        yield Finding(name="rejected", status="fail", detail=f"what was rejected cannot be read: {error}")
        return
    short = [file.name for file in files if found[file.name] != file.events]
    problem = f"damaged: {', '.join(short)}; restore a backup" if short else None
    yield _found("rejected", problem, f"{sum(found.values()):,} rejected messages, all whole", "fail")


def _audit(place: DataDirectory) -> Iterator[Finding]:
    path = place.path / "upshot.db"
    if not path.exists():
        return
    engine = open_engine(sqlite_url(path))
    try:
        with reading(engine) as connection:
            verified = audit.verify(connection)
    except (UpshotError, DBAPIError) as error:
        yield Finding(name="audit", status="fail", detail=f"the audit chain cannot be read: {error}")
    else:
        yield _found(
            "audit", verified.broken, f"{verified.rows:,} rows, each follows from the one before", "fail"
        )
    finally:
        engine.dispose()


def _found(name: str, problem: str | None, well: str, bad: Status) -> Finding:
    return Finding(name=name, status=bad if problem else "pass", detail=problem or well)
