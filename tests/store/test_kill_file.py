"""What is off stays off with its record, whenever the process dies; half a file is never read."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upshot.errors import InputError
from upshot.store import whole_file
from upshot.store.flag_files import FlagDirectory
from upshot.store.kill_file import KILLS, Switched, Switching, read_kills, write_kills

AT = datetime(2026, 11, 24, 13, tzinfo=UTC)


def switching(flag="nav", action="kill", reason="it fails"):
    return Switching(flag=flag, action=action, at=AT, actor="ann", reason=reason)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["kill", "revive"])), max_size=12))
def test_each_flag_is_as_it_was_switched_last(actions):
    switched, off, revived = Switched(), set(), dict.fromkeys("abc", 0)
    for flag, action in actions:
        after = switched.after(switching(flag, action))
        changes = (flag in off) == (action == "revive")
        assert (after is not switched) == changes
        revived[flag] += changes and action == "revive"
        (off.add if action == "kill" else off.discard)(flag)
        switched = after
    assert set(switched.off) == off
    assert switched.rounds == {flag: 1 + times for flag, times in revived.items() if times}


def test_what_is_written_is_read(tmp_path):
    switched = Switched().after(switching(reason="ü\n“why”")).after(switching("pay"))
    write_kills(tmp_path / KILLS, switched)
    assert read_kills(tmp_path / KILLS) == switched
    assert json.loads((tmp_path / KILLS).read_text())["off"] == ["nav", "pay"]


def test_no_file_is_no_kill_and_a_broken_one_is_told(tmp_path):
    path = tmp_path / KILLS
    assert read_kills(path) == Switched()
    for text in (
        "",
        "{}",
        '{"format": 9, "history": []}',
        '{"format": 1, "history": [{"action": "stop"}]}',
        "[]",
    ):
        path.write_text(text)
        with pytest.raises(InputError, match="does not say which flags are off"):
            read_kills(path)


def test_a_directory_is_switched_and_seen_to_have_changed(tmp_path):
    (tmp_path / "nav.yaml").write_text("flags: {nav: {}}")
    store = FlagDirectory(tmp_path)
    before = store.version()
    assert store.switch(switching())
    assert not store.switch(switching())
    assert store.version() != before
    stored = store.read()
    assert (set(stored.flags.flags), set(stored.kills.off), stored.problems) == ({"nav"}, {"nav"}, ())
    assert store.switch(switching(action="revive"))
    assert store.read().kills.rounds == {"nav": 2}


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_where_nothing_can_be_written_it_says_what_to_do(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="set enabled: false where"):
        FlagDirectory(tmp_path).switch(switching())


class Died(BaseException):
    """The process was killed."""


@pytest.mark.parametrize("step", ["mkstemp", "fsync", "chmod", "replace", "sync of the directory"])
def test_dying_at_any_step_leaves_the_old_file_or_the_new_one(tmp_path, monkeypatch, step):
    store = FlagDirectory(tmp_path)
    store.switch(switching("old"))

    def die(*_, **__):
        raise Died

    owner, name = {
        "mkstemp": (whole_file.tempfile, "mkstemp"), "fsync": (whole_file.os, "fsync"), "chmod": (Path, "chmod"),
        "replace": (Path, "replace"), "sync of the directory": (whole_file, "_sync"),
    }[step]  # fmt: skip
    with monkeypatch.context() as patched:
        patched.setattr(owner, name, die)
        with pytest.raises(Died):
            store.switch(switching("new"))
    kills = store.read().kills
    assert set(kills.off) == ({"old", "new"} if step == "sync of the directory" else {"old"})
    assert [entry.flag for entry in kills.history] == sorted(kills.off, reverse=True)
    assert store.switch(switching("new")) == (step != "sync of the directory")


KILLER = """
import sys
from datetime import UTC, datetime
from itertools import count
from upshot.store.flag_files import FlagDirectory
from upshot.store.kill_file import Switching
store = FlagDirectory(sys.argv[1])
for number in count():
    flag = f"{sys.argv[2]}-{number}"
    store.switch(Switching(flag=flag, action="kill", at=datetime.now(UTC), actor="test", reason="r" * 500))
    print(flag, flush=True)
"""


def test_kill_9_loses_no_kill_that_was_reported(tmp_path):
    """Seed 9; five processes killed at random moments while they turn flags off one after another."""
    chance, reported = random.Random(9), []
    for life in range(5):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLER, tmp_path, str(life)], stdout=subprocess.PIPE, text=True
        )
        first = process.stdout.readline()
        time.sleep(chance.uniform(0.0, 0.2))
        process.send_signal(signal.SIGKILL)
        reported += [line.strip() for line in [first, *process.stdout] if line.endswith("\n")]
        process.wait()
        process.stdout.close()
        off = FlagDirectory(tmp_path).read().kills.off
        assert set(reported) <= set(off)
        assert len(off) <= len(reported) + life + 1  # at most the one that was being written
    assert len(reported) > 5
