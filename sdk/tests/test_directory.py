import os
import stat

import pytest

from upshot_sdk.directory import open_directory, write_atomically

URL, KEY = "http://localhost:8790", "secret-key"


def test_each_server_and_key_has_a_directory_that_tells_neither(tmp_path):
    first = open_directory(tmp_path, URL, KEY)
    assert first == open_directory(tmp_path, URL, KEY)
    assert len({first, open_directory(tmp_path, URL, "other"), open_directory(tmp_path, URL + "1", KEY)}) == 3
    assert "secret" not in str(first)
    assert stat.S_IMODE(first.stat().st_mode) == 0o700


def test_the_environment_chooses(tmp_path, monkeypatch):
    monkeypatch.setenv("UPSHOT_SDK_DIR", str(tmp_path / "chosen"))
    assert open_directory(None, URL, KEY).parent == tmp_path / "chosen"
    monkeypatch.delenv("UPSHOT_SDK_DIR")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    assert open_directory(None, URL, KEY).parent == tmp_path / "state" / "upshot-sdk"
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert open_directory(None, URL, KEY).parent == tmp_path / "home" / ".local" / "state" / "upshot-sdk"


def test_where_nothing_can_be_used_it_says_so_and_goes_on(tmp_path, caplog):
    (tmp_path / "file").touch()
    assert open_directory(tmp_path / "file", URL, KEY) is None
    assert "set UPSHOT_SDK_DIR to a directory that can be written" in caplog.text


def test_the_next_usual_place_is_tried(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.delenv("UPSHOT_SDK_DIR", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert open_directory(None, URL, KEY).is_relative_to(tmp_path / "home")


@pytest.mark.skipif(
    not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can give a directory away"
)
def test_a_directory_of_another_user_is_not_used(tmp_path):
    made = open_directory(tmp_path, URL, KEY)
    os.chown(made, 12345, -1)
    assert open_directory(tmp_path, URL, KEY) is None


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "file"
    write_atomically(path, b"old")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    with pytest.raises(TypeError):
        write_atomically(path, None)
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]
