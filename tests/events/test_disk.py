"""Where events may lie, and that a file gets its name whole or not at all."""

from pathlib import Path

import pytest

from upshot.errors import InputError
from upshot.events import disk

LINUX = """\
23 1 254:0 / / rw,relatime - ext4 /dev/vda rw
24 23 0:5 / /tmp rw - tmpfs tmpfs rw
25 23 0:6 / /srv/share rw shared:1 - nfs4 server:/export rw
26 24 254:1 / /tmp/disk rw - xfs /dev/vdb rw
27 26 0:7 / /tmp/disk rw - overlay overlay rw
"""
MACOS = """\
/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)
server:/export on /Volumes/my share (nfs)
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/srv", "ext4"),
        ("/tmp/x", "tmpfs"),
        ("/srv/share/data", "nfs4"),
        ("/srv/shared", "ext4"),
        ("/tmp/disk/a", "overlay"),
    ],
)
def test_the_file_system_is_that_of_the_nearest_mount_and_of_the_last_on_it(path, kind):
    assert disk.file_system(Path(path), disk.mounts_of_linux(LINUX)) == kind


def test_macos_tells_its_mounts_too():
    mounts = disk.mounts_of_macos(MACOS)
    assert disk.file_system(Path("/Volumes/my share/data"), mounts) == "nfs"
    assert disk.file_system(Path("/Users/x"), mounts) == "apfs"


def test_a_network_file_system_is_refused(monkeypatch):
    monkeypatch.setattr(disk, "_mounts", lambda: disk.mounts_of_linux(LINUX))
    with pytest.raises(
        InputError, match=r"/srv/share/data lies on a network file system \(nfs4\).*: give a directory"
    ):
        disk.check_place(Path("/srv/share/data"))


@pytest.mark.parametrize(
    ("path", "says"),
    [("/tmp/x", "it is memory"), ("/tmp/disk/x", "belongs to the container"), ("/var", None)],
)
def test_a_place_that_passes_is_warned_of(monkeypatch, path, says):
    monkeypatch.setattr(disk, "_mounts", lambda: disk.mounts_of_linux(LINUX))
    warning = disk.check_place(Path(path))
    assert warning is None if says is None else says in warning


def test_this_machine_is_asked(tmp_path):
    assert disk.file_system(tmp_path, disk._mounts())
    assert disk.free_bytes(tmp_path) > 0


def test_macos_is_asked_for_a_full_sync(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(disk, "_FULL_SYNC", 51)
    monkeypatch.setattr(disk.fcntl, "fcntl", lambda *arguments: asked.append(arguments))
    disk.sync(7)
    assert asked == [(7, 51)]


def test_a_file_is_there_whole_or_not_at_all(tmp_path):
    path = tmp_path / "a.parquet"
    with pytest.raises(RuntimeError):
        write_half(path)
    assert list(tmp_path.iterdir()) == []
    with disk.written_whole(path) as part:
        part.write_bytes(b"whole")
        assert not path.exists()
    assert [file.name for file in tmp_path.iterdir()] == ["a.parquet"]


def write_half(path):
    with disk.written_whole(path) as part:
        part.write_bytes(b"half")
        raise RuntimeError
