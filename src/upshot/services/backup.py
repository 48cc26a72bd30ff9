"""A copy of a data directory in one file, taken while servers go on, and the way back.

No compaction runs meanwhile. Segments are copied before the manifest, up to their last whole frame: an event that is
in both is known by its key after the way back. Every part has its checksum in the file.
"""

import hashlib
import io
import json
import os
import shutil
import sqlite3
import tarfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from typing import IO, Any

from upshot.errors import ConflictError, InputError
from upshot.events.compaction import alone
from upshot.events.disk import sync, sync_directory, written_whole
from upshot.events.intake import read_bytes
from upshot.events.layout import DataDirectory
from upshot.events.manifest import open_manifest
from upshot.events.recovery import whole_bytes
from upshot.events.segment import SEALED, segments
from upshot.services.events import existing

FORMAT = 1
PATIENCE = 120.0  # seconds to wait for a compaction that runs
_LIST = "upshot-backup.json"
_ASIDE = ("-wal", "-shm", "-journal", ".lock", ".part")  # belongs to a process, or to a database's own file


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """What a backup holds, or a restore brought back: how many files, and their bytes."""

    files: int
    bytes: int


def back_up(directory: Path, target: Path) -> Copied:
    """Write a data directory to a file, which is there as a whole or not at all.

    Args:
        directory: the data directory; servers may run on it.
        target: ends in `.tar`. It is not compressed: events are already.

    Raises:
        InputError: there is no such directory, or the target cannot be written so.
        ConflictError: a compaction did not end in time.
    """
    place = existing(directory)
    if target.suffix != ".tar" or not target.parent.is_dir():
        raise InputError(
            f"{target} cannot be the backup: give a name that ends in .tar, in a directory that is there"
        )
    with (
        _undisturbed(place),
        TemporaryDirectory(dir=target.parent) as scratch,
        written_whole(target) as part,
        tarfile.open(part, "w") as tar,
    ):
        sums = {name: _add(tar, name, content) for name, content in _contents(place, Path(scratch))}
        size = sum(member.size for member in tar.getmembers())
        _add(tar, _LIST, json.dumps({"format": FORMAT, "sha256": sums}, indent=1).encode())
    return Copied(files=len(sums), bytes=size)


def restore(source: Path, directory: Path) -> Copied:
    """Make a data directory of a backup; it is there as a whole or not at all, and every checksum was compared.

    Raises:
        InputError: the source is no whole backup, or there is something at the directory already.
    """
    if directory.exists():
        raise InputError(
            f"{directory} is there already: give --data a name that is free, and move it afterwards"
        )
    part = directory.with_name(f"{directory.name}.part")
    try:
        part.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        raise InputError(f"{part} is there, of a restore that did not end: remove it first") from None
    try:
        done = _unpack(source, part)
        part.rename(directory)
    except BaseException:
        shutil.rmtree(part)
        raise
    sync_directory(directory.parent)
    return done


@contextmanager
def _undisturbed(place: DataDirectory) -> Iterator[None]:
    """While no compaction and no deletion runs; one that does is waited for."""
    until = monotonic() + PATIENCE
    while True:
        try:
            with alone(place):
                yield
                return
        except ConflictError:
            if monotonic() > until:
                raise
            sleep(0.2)


def _contents(place: DataDirectory, scratch: Path) -> Iterator[tuple[str, Path | bytes]]:
    """What is kept, by its name in the directory: the log, then the manifest with what it names, then the rest."""
    yield from _segments(place)
    if place.manifest.exists():
        manifest = _copied_database(place.manifest, scratch)
        yield place.manifest.name, manifest
        yield from _files(place, manifest)
    for path in sorted(place.path.iterdir()):
        if path.is_file() and path != place.manifest and not path.name.endswith(_ASIDE):
            yield path.name, _copied_database(path, scratch) if path.suffix == ".db" else path
        if path.is_dir() and path not in (place.log, place.events, place.rejected, place.derived):
            inside = [inner for inner in sorted(path.rglob("*")) if inner.is_file()]
            yield from ((inner.relative_to(place.path).as_posix(), inner) for inner in inside)


def _segments(place: DataDirectory) -> Iterator[tuple[str, bytes]]:
    for path in segments(place.log):
        data = read_bytes(path)
        if data and (whole := whole_bytes(data)):
            yield f"log/{path.with_suffix(SEALED).name}", data[:whole]


def _files(place: DataDirectory, copy: Path) -> Iterator[tuple[str, Path]]:
    with open_manifest(copy) as manifest:
        rejected = {file.name for file in manifest.rejected_files()}
        for name in sorted(manifest.names()):
            folder = place.rejected if name in rejected else place.events
            yield f"{folder.name}/{name}", folder / name


def _copied_database(path: Path, scratch: Path) -> Path:
    """A copy of a SQLite database of one moment, whoever writes to it."""
    copy = scratch / path.name
    with closing(sqlite3.connect(path, timeout=PATIENCE)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    return copy


class _Hashed:
    """A file of which the checksum grows as it is read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.sum = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self.sum.update(data)
        return data


def _add(tar: tarfile.TarFile, name: str, content: Path | bytes) -> str:
    """Add a file to the backup; its checksum."""
    info = tarfile.TarInfo(name)
    info.mode = 0o600
    with io.BytesIO(content) if isinstance(content, bytes) else content.open("rb") as file:
        info.size = file.seek(0, os.SEEK_END)
        file.seek(0)
        hashed = _Hashed(file)
        tar.addfile(info, hashed)
    return hashed.sum.hexdigest()


def _unpack(source: Path, target: Path) -> Copied:
    try:
        with tarfile.open(source, "r:") as tar:
            sums, size, told = _write_all(tar, target)
    except (tarfile.TarError, OSError, ValueError) as error:
        raise InputError(f"{source} is no whole backup ({error}): take another") from None
    if told.get("format") != FORMAT:
        raise InputError(f"{source} is a backup of another Upshot: it says format {told.get('format')!r}")
    spoilt = sorted(name for name in {*sums, *told["sha256"]} if sums.get(name) != told["sha256"].get(name))
    if spoilt:
        raise InputError(f"{source} is spoilt: {spoilt[0]} is not what was backed up; take another")
    DataDirectory(target).make()
    return Copied(files=len(sums), bytes=size)


def _write_all(tar: tarfile.TarFile, target: Path) -> tuple[dict[str, str], int, dict[str, Any]]:
    """Write the files of a backup, durably: their checksums, their bytes, and what the backup says of itself."""
    sums, size = dict[str, str](), 0
    for member in tar:
        name, content = PurePosixPath(member.name), tar.extractfile(member)
        if content is None or name.is_absolute() or ".." in name.parts:
            raise ValueError(f"it holds {member.name!r}")
        if member.name == _LIST:
            return sums, size, json.load(content)
        sums[member.name] = _write(content, target / name)
        size += member.size
    raise ValueError("it breaks off before its end")


def _write(content: IO[bytes], path: Path) -> str:
    """Write a file, durably; its checksum."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    hashed = _Hashed(content)
    with path.open("xb") as file:
        os.fchmod(file.fileno(), 0o600)
        shutil.copyfileobj(hashed, file)
        file.flush()
        sync(file.fileno())
    sync_directory(path.parent)
    return hashed.sum.hexdigest()
