"""What the disk is asked for, and whether it is one that can be asked."""

import fcntl
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from upshot.errors import InputError

_FULL_SYNC: int | None = getattr(fcntl, "F_FULLFSYNC", None)
_NETWORK = frozenset(
    {"afpfs", "ceph", "cifs", "fuse.sshfs", "glusterfs", "nfs", "nfs4", "smb3", "smbfs", "webdav"}
)
_PASSING = {
    "tmpfs": "it is memory: events are lost when the machine stops",
    "ramfs": "it is memory: events are lost when the machine stops",
    "9p": "whether a sync reaches a disk is up to another machine",
    "overlay": "it belongs to the container: events are lost with it; mount a volume there",
}


def sync(descriptor: int) -> None:
    """Return when what was written to the file is on the disk itself."""
    if _FULL_SYNC is not None:  # macOS: fsync alone leaves it in the disk's own cache
        fcntl.fcntl(descriptor, _FULL_SYNC)
    elif hasattr(os, "fdatasync"):
        os.fdatasync(descriptor)
    else:
        os.fsync(descriptor)


def sync_directory(path: Path) -> None:
    """Return when the names in a directory are on the disk: without it a new file can be gone after a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Gives a temporary path to write to; what is there at the end gets its name, durably and all at once."""
    temporary = path.with_name(f"{path.name}.part")
    try:
        yield temporary
        descriptor = os.open(temporary, os.O_RDWR)
        try:
            sync(descriptor)
        finally:
            os.close(descriptor)
        temporary.rename(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def free_bytes(path: Path) -> int:
    """Bytes that may still be written where the path lies."""
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize


def check_place(path: Path) -> str | None:
    """See whether events are safe at a path; a sentence where they are safe only for a while, else None.

    Raises:
        InputError: it lies on a network file system, whose locks and syncs cannot be relied on.
    """
    kind = file_system(path.resolve(), _mounts())
    if kind in _NETWORK:
        raise InputError(
            f"{path} lies on a network file system ({kind}), where locks and syncs do not hold what they promise: "
            "give a directory on a disk of this machine"
        )
    return f"{path} lies on {kind}: {_PASSING[kind]}" if kind in _PASSING else None


def file_system(path: Path, mounts: list[tuple[Path, str]]) -> str:
    """The kind of file system that holds a path; empty where it is not known."""
    holding = [
        (len(where.parts), number, kind)
        for number, (where, kind) in enumerate(mounts)
        if path.is_relative_to(where)
    ]
    return max(holding)[2] if holding else ""


def mounts_of_linux(text: str) -> list[tuple[Path, str]]:
    """Mount points and kinds, the later over the earlier, of `/proc/self/mountinfo` (see proc(5)).

    >>> mounts_of_linux("36 35 98:0 /a /mnt/my\\\\040disk rw,noatime master:1 - ext3 /dev/root rw")
    [(PosixPath('/mnt/my disk'), 'ext3')]
    """
    found = []
    for line in text.splitlines():
        place, _, rest = line.partition(" - ")
        name = re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), place.split(" ")[4])
        found.append((Path(name), rest.split(" ")[0]))
    return found


def mounts_of_macos(text: str) -> list[tuple[Path, str]]:
    """Mount points and kinds of what `mount` prints.

    >>> mounts_of_macos("/dev/disk1s1 on / (apfs, local, journaled)")
    [(PosixPath('/'), 'apfs')]
    """
    return [(Path(place), kind) for place, kind in re.findall(r"^.* on (.+) \((\w+)", text, re.MULTILINE)]


def _mounts() -> list[tuple[Path, str]]:
    if sys.platform == "darwin":
        done = subprocess.run(["/sbin/mount"], capture_output=True, text=True, check=True)
        return mounts_of_macos(done.stdout)
    try:
        return mounts_of_linux(Path("/proc/self/mountinfo").read_text(encoding="utf-8"))
    except OSError:
        return []
