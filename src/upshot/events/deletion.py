"""All events of a person, gone: from files, from what was rejected, and from what is still to come of the past.

A deletion is recorded first, with a hash of the id. From then on compaction takes no such event, and what a crash
leaves undone is found by that hash and done by `finish_deletions`.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
import pyarrow as pa

from upshot.errors import InputError
from upshot.events.compaction import alone, clean, compact, now, write_events
from upshot.events.intake import hashed_unit, mentioned
from upshot.events.layout import DataDirectory, existing
from upshot.events.manifest import Change, Deletion, EventFile, Manifest, RejectedFile, open_manifest
from upshot.events.rejected import read_rejections, without
from upshot.events.segment import open_segments
from upshot.events.table import SCHEMA
from upshot.model.event_metric import EXPOSURE

_IDS = (
    "user_id",
    "anonymous_id",
    f"CASE WHEN event = '{EXPOSURE}' THEN json_extract_string(properties, 'unit_id') END",
)
_HIS = " OR ".join(f"COALESCE({id_} IN (SELECT id FROM gone), false)" for id_ in _IDS)  # noqa: S608


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted:
    """What a deletion did.

    Attributes:
        events, rejections: that were kept and are gone.
        linked: other ids in those events: perhaps the same person's, to be deleted as well.
        open_segments: of living processes; they may hold more until they are compacted, which drops it.
    """

    events: int = 0
    rejections: int = 0
    linked: tuple[str, ...] = ()
    open_segments: int = 0


def delete_unit(directory: Path, unit: str, *, until: int | None = None) -> Deleted:
    """Delete all that is kept of a user or anonymous visitor, and never keep what comes late of the past.

    What happens later is kept: the id may be given to somebody again.

    Args:
        until: microseconds; events from then on are of somebody new. None: now.

    Raises:
        InputError: the id is empty. ConflictError: a compaction runs. OSError: the disk does not take it; doing it
            again, or `finish_deletions`, does the rest.
    """
    if not unit:
        raise InputError("the id is empty: give the userId or anonymousId of the person")
    place = existing(directory)
    compact(directory)
    with alone(place), open_manifest(place.manifest) as manifest:
        moment = now()
        deletion = Deletion(id=hashed_unit(unit), until=moment if until is None else until, done=False)
        manifest.commit(Change(deletions=(deletion,)), moment)
        return _finish(place, manifest, {deletion.id}, {unit})


def finish_deletions(directory: Path) -> Deleted:
    """Do what is left of deletions that a crash cut off.

    Raises:
        ConflictError: a compaction runs. OSError: as `delete_unit`.
    """
    place = existing(directory)
    with alone(place), open_manifest(place.manifest) as manifest:
        hashes = {deletion.id for deletion in manifest.deletions() if not deletion.done}
        return _finish(place, manifest, hashes, _ids(place, manifest, hashes)) if hashes else Deleted()


def _finish(
    place: DataDirectory, manifest: Manifest, hashes: AbstractSet[bytes], ids: AbstractSet[str]
) -> Deleted:
    """Rewrite what holds one of the ids, or has one of their hashes, and mark the deletions done."""
    events, linked = 0, set[str]()
    with duckdb.connect(":memory:") as database:
        database.register("gone", pa.table({"id": pa.array(sorted(ids), pa.string())}))
        for file in _holding(database, place, manifest.event_files()):
            gone, others = _rewrite(database, place, manifest, file)
            events += gone
            linked |= others
    rejections = sum(_reject(place, manifest, file, hashes) for file in manifest.rejected_files())
    clean(place, manifest, grace=0)
    for derived in place.derived.glob("*.duckdb*"):  # it can be made again
        derived.unlink(missing_ok=True)
    done = tuple(replace(one, done=True) for one in manifest.deletions() if one.id in hashes)
    manifest.commit(Change(deletions=done, forgotten=tuple(ids)), now())
    return Deleted(
        events=events,
        rejections=rejections,
        linked=tuple(sorted(linked)),
        open_segments=len(open_segments(place.log)),
    )


def _ids(place: DataDirectory, manifest: Manifest, hashes: AbstractSet[bytes]) -> frozenset[str]:
    """The ids that have these hashes, of all that are anywhere."""
    found = set(manifest.units())
    paths = [str(place.events / file.name) for file in manifest.event_files()]
    if paths:
        with duckdb.connect(":memory:") as database:
            database.read_parquet(paths).create_view("events")
            for id_ in _IDS:
                asked = database.execute(f"SELECT DISTINCT {id_} AS id FROM events WHERE id IS NOT NULL")  # noqa: S608
                found.update(id_ for (id_,) in asked.fetchall())
    return frozenset(id_ for id_ in found if hashed_unit(id_) in hashes)


def _holding(
    database: duckdb.DuckDBPyConnection, place: DataDirectory, files: Sequence[EventFile]
) -> list[EventFile]:
    """The files with an event to delete."""
    if not files:
        return []
    database.read_parquet([str(place.events / file.name) for file in files], filename=True).create_view(
        "kept"
    )
    found = database.execute(f"SELECT DISTINCT filename FROM kept WHERE {_HIS}").fetchall()  # noqa: S608
    names = {Path(name).name for (name,) in found}
    return [file for file in files if file.name in names]


def _rewrite(
    database: duckdb.DuckDBPyConnection, place: DataDirectory, manifest: Manifest, file: EventFile
) -> tuple[int, set[str]]:
    """Replace a file by one without the events to delete; how many they were, and the other ids in them."""
    database.read_parquet(str(place.events / file.name)).create_view("one", replace=True)
    left = database.execute(f"SELECT * FROM one WHERE NOT ({_HIS})").to_arrow_table().cast(SCHEMA)  # noqa: S608
    others = database.execute(
        f"SELECT DISTINCT id FROM (SELECT unnest([user_id, anonymous_id]) AS id FROM one WHERE {_HIS}) "  # noqa: S608
        "WHERE id IS NOT NULL AND id NOT IN (SELECT id FROM gone)"
    ).fetchall()
    written = (write_events(left, place.events, day=file.day, bucket=file.bucket),) if left.num_rows else ()
    gone = file.rows - left.num_rows
    manifest.commit(Change(files=written, dropped=(file.name,), tally={"erased": gone}), now())
    return gone, {id_ for (id_,) in others}


def _reject(place: DataDirectory, manifest: Manifest, file: RejectedFile, hashes: AbstractSet[bytes]) -> int:
    """Replace a file of rejections by one without those that mention the unit; how many they were."""
    found = list(read_rejections(place.rejected / file.name))
    left = [one for one in found if not any(hashed_unit(id_) in hashes for id_ in mentioned(one.body))]
    if len(left) < len(found):
        manifest.commit(without(place, file, left), now())
    return len(found) - len(left)
