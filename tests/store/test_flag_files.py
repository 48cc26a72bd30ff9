import json
import os
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upshot.assignment.ledger import Ledger
from upshot.errors import InputError
from upshot.formats.flags import flags_from_yaml
from upshot.model.flag import FlagSet
from upshot.store.flag_files import LEDGER, FlagDirectory

FLAGS = flags_from_yaml(
    """
    flags:
      new-nav: {percentage: 10, segments: [early], expires: 2026-12-31}
      price: {variants: {low: 1.0, high: 2}, default: low}
    segments: {early: {when: {attr: email, op: ends_with, value: "@exämple.com"}}}
    """
)
GIVEN = Ledger(
    salts={"rollout/new-nav/rollout": "salt"},
    traffic={"rollout/new-nav/rollout": ((0, 10), (20, 2**32))},
    splits={"rollout/new-nav/rollout": {"on": ((0, 2**32),), "off": ()}},
    layers={"page": {"EXP-1": ((0, 5),)}},
)


@pytest.fixture
def directory(tmp_path):
    (tmp_path / "nav.yaml").write_text("flags: {new-nav: {percentage: 10}}", encoding="utf-8")
    return tmp_path


def test_files_below_are_read_and_hidden_ones_are_not(directory):
    (directory / "team").mkdir()
    (directory / "team" / "pay.yml").write_text("flags: {pay: {}}", encoding="utf-8")
    (directory / "seed.json").write_text('{"flags": {"seed": {}}}', encoding="utf-8")
    (directory / ".git").mkdir()
    (directory / ".git" / "config.yaml").write_text("flags: {hidden: {}}", encoding="utf-8")
    (directory / "README.md").write_text("no flags", encoding="utf-8")
    stored = FlagDirectory(directory).read()
    assert (set(stored.flags.flags), stored.problems) == ({"new-nav", "pay", "seed"}, ())
    assert stored.sources.files["flags.pay"] == "team/pay.yml"
    assert (stored.ledger, stored.applied) == (Ledger(), None)


def test_what_is_no_file_is_left_alone(directory):
    store = FlagDirectory(directory)
    before = store.version()
    os.mkfifo(directory / "pipe.yaml")
    (directory / "folder.yaml").mkdir()
    (directory / "dangling.yaml").symlink_to("nowhere")
    assert store.version() == before
    assert store.read().problems == ()


def test_mistakes_of_all_files_are_told(directory):
    (directory / "bad.yaml").write_bytes(b"flags: \xff")
    (directory / "worse.yaml").write_text("flags: {new-nav: {}, b: 5}", encoding="utf-8")
    problems = FlagDirectory(directory).read().problems
    assert [problem[:28] for problem in problems] == [
        "bad.yaml: this cannot be rea",
        "worse.yaml: flags.new-nav: i",
        "worse.yaml: flags.b: 5 is no",
    ]


def test_the_ledger_is_read_back_as_it_was_written(directory):
    store = FlagDirectory(directory)
    store.write(GIVEN, FLAGS)
    stored = store.read()
    assert (stored.ledger, stored.applied) == (GIVEN, FLAGS)
    assert [path.name for path in directory.iterdir() if path.suffix != ".yaml"] == [LEDGER]


ranges = st.lists(st.integers(0, 2**32), max_size=6, unique=True).map(
    lambda edges: tuple(zip(sorted(edges)[::2], sorted(edges)[1::2], strict=False))
)
allocations = st.dictionaries(
    st.text(max_size=4), st.dictionaries(st.text(max_size=4), ranges, max_size=2), max_size=2
)


@given(
    st.builds(
        Ledger,
        salts=st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=2),
        traffic=st.dictionaries(st.text(max_size=5), ranges, max_size=2),
        splits=allocations,
        layers=allocations,
    )
)
def test_any_ledger_is_read_back_as_it_was_written(tmp_path_factory, ledger):
    store = FlagDirectory(tmp_path_factory.mktemp("flags"))
    store.write(ledger, FlagSet())
    assert store.read().ledger == ledger


def test_each_thing_of_the_ledger_is_one_line(directory):
    FlagDirectory(directory).write(GIVEN, FLAGS)
    lines = (directory / LEDGER).read_text(encoding="utf-8").splitlines()
    assert '  "rollout/new-nav/rollout": "salt"' in lines
    assert '  "rollout/new-nav/rollout": [[0, 10], [20, 4294967296]]' in lines
    assert sum(line.startswith('   "price": {') for line in lines) == 1


def test_its_version_changes_with_every_edit_and_only_then(directory):
    store = FlagDirectory(directory)
    seen = [store.version()]
    assert store.version() == seen[0]
    nav = directory / "nav.yaml"
    for edit in (
        lambda: nav.write_text("flags: {new-nav: {percentage: 20}}", encoding="utf-8"),
        lambda: (directory / "more.yaml").write_text("flags: {more: {}}", encoding="utf-8"),
        lambda: nav.rename(directory / "other.yaml"),
        lambda: (directory / "other.yaml").unlink(),
        lambda: store.write(GIVEN, FLAGS),
    ):
        edit()
        assert store.version() not in seen
        seen.append(store.version())


def test_a_directory_that_is_not_there_is_told(tmp_path):
    store = FlagDirectory(tmp_path / "none")
    assert store.version() == FlagDirectory(tmp_path / "none").version()
    with pytest.raises(InputError, match=r"there is no directory .*none: make it"):
        store.read()
    with pytest.raises(InputError, match=r"there is no directory .*none that can be read"), store.alone():
        pass


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "{}",
        '{"format": 2}',
        '{"format": 1, "salts": {}, "traffic": {"a": [[1]]}, "splits": {}, "layers": {}, "applied": {}}',
        '{"format": 1, "salts": {}, "traffic": {}, "splits": {}, "layers": {}, "applied": {"flags": {"a": 5}}}',
        '{"format": 1, "salts": {}, "traffic": {}, "splits": [], "layers": {}, "applied": {}}',
    ],
)
def test_a_spoilt_ledger_is_told_and_not_drawn_afresh(directory, text):
    (directory / LEDGER).write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"ledger.json does not hold a ledger .*: restore it"):
        FlagDirectory(directory).read()


def test_a_write_that_fails_leaves_the_old_ledger_whole(directory, monkeypatch):
    store = FlagDirectory(directory)
    store.write(GIVEN, FLAGS)
    before = (directory / LEDGER).read_bytes()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("upshot.store.flag_files.os.fsync", full)
    with pytest.raises(InputError, match=r"cannot be written \(No space left on device\): make .* writable"):
        store.write(Ledger(), FlagSet())
    assert (directory / LEDGER).read_bytes() == before
    assert sorted(path.name for path in directory.iterdir()) == [LEDGER, "nav.yaml"]


def test_a_directory_that_may_only_be_read_is_told(directory):
    """In a process without root's rights, to which permissions mean nothing."""
    directory.chmod(0o555)
    for above in directory.parents[:3]:
        above.chmod(above.stat().st_mode | 0o055)
    code = (
        "import os, sys\n"
        "from upshot.assignment.ledger import Ledger\n"
        "from upshot.errors import InputError\n"
        "from upshot.model.flag import FlagSet\n"
        "from upshot.store.flag_files import FlagDirectory\n"
        "store = FlagDirectory(sys.argv[1])\n"
        "if os.getuid() == 0: os.setuid(65534)\n"
        "with store.alone():\n"
        "    assert store.read().flags.flags\n"
        "    try: store.write(Ledger(), FlagSet())\n"
        "    except InputError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(directory)], capture_output=True, text=True, check=False
    )
    directory.chmod(0o755)
    assert "cannot be written (Permission denied): make" in done.stdout, done.stderr


def test_only_one_process_at_a_time_is_alone(directory):
    code = (
        "import sys, time\n"
        "from upshot.store.flag_files import FlagDirectory\n"
        "with FlagDirectory(sys.argv[1]).alone():\n"
        "    print('in', flush=True); sys.stdin.read(1)\n"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(directory)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout.readline() == "in\n"
    entered = threading.Event()

    def enter():
        with FlagDirectory(directory).alone():
            entered.set()

    waiting = threading.Thread(target=enter)
    waiting.start()
    assert not entered.wait(0.2)
    other.communicate("x")
    assert entered.wait(10)
    waiting.join()


def test_a_process_that_dies_while_writing_leaves_a_whole_ledger(directory):
    """Killed at any moment of many writes, what is there reads as one of them."""
    code = (
        "import sys\n"
        "from upshot.assignment.ledger import Ledger\n"
        "from upshot.model.flag import FlagSet\n"
        "from upshot.store.flag_files import FlagDirectory\n"
        "store = FlagDirectory(sys.argv[1])\n"
        "for number in range(10**6):\n"
        "    store.write(Ledger(salts={f'a/{i}': str(number) for i in range(2000)}), FlagSet())\n"
    )
    writing = subprocess.Popen([sys.executable, "-c", code, str(directory)])
    deadline = time.monotonic() + 20
    while not (directory / LEDGER).exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.15)
    writing.kill()
    writing.wait()
    salts = FlagDirectory(directory).read().ledger.salts
    assert len(salts) == 2000
    assert len(set(salts.values())) == 1


def test_what_is_applied_survives_json(directory):
    """Values of a number flag stay floats, and times keep their instant."""
    flags = flags_from_yaml(
        "flags: {it: {variants: {a: 1.0}, rules: [{id: r, variant: a, until: 2026-12-01T09:00:00+02:00}]}}"
    )
    store = FlagDirectory(directory)
    store.write(Ledger(), flags)
    applied = store.read().applied
    assert type(applied.flags["it"].variants["a"]) is float
    assert applied.flags["it"].rules[0].until == datetime(2026, 12, 1, 7, tzinfo=UTC)
    assert json.loads((directory / LEDGER).read_text(encoding="utf-8"))["format"] == 1
    assert (directory / LEDGER).stat().st_mode & 0o777 == 0o644
