"""A clock that processes share: it stands, moves, never goes back, and is the system's once let go."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from upshot.errors import InputError
from upshot.simulate.clock import SharedClock

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)


def test_it_stands_until_it_is_moved(tmp_path: Path) -> None:
    clock = SharedClock.create(tmp_path / "clock", AT)
    assert clock.now() == AT
    assert clock.seconds() == AT.timestamp()
    clock.move(AT + timedelta(hours=1))
    assert clock.now() == AT + timedelta(hours=1)


def test_it_does_not_go_back(tmp_path: Path) -> None:
    clock = SharedClock.create(tmp_path / "clock", AT)
    clock.move(AT)
    with pytest.raises(ValueError, match="cannot go back"):
        clock.move(AT - timedelta(seconds=1))
    assert clock.now() == AT


def test_it_never_runs_ahead_of_the_system_and_is_the_system_when_let_go(tmp_path: Path) -> None:
    system = AT.timestamp()
    clock = SharedClock.create(tmp_path / "clock", AT + timedelta(days=9), lambda: system)
    assert clock.now() == AT
    clock.let_go()
    system += 5
    assert clock.now() == AT + timedelta(seconds=5)


def test_another_process_sees_its_moves_as_they_happen(tmp_path: Path) -> None:
    clock = SharedClock.create(tmp_path / "clock", AT)
    program = (
        "import sys; from pathlib import Path; from upshot.simulate.clock import SharedClock\n"
        "clock = SharedClock.open(Path(sys.argv[1]))\n"
        "for _ in sys.stdin: print(clock.now().isoformat(), flush=True)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, tmp_path / "clock"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        for hours in (0, 1, 48):
            clock.move(AT + timedelta(hours=hours))
            process.stdin.write("\n")
            process.stdin.flush()
            assert process.stdout.readline().strip() == clock.now().isoformat()
        process.stdin.close()


@pytest.mark.parametrize("content", [None, b"", b"short", b"x" * 24])
def test_a_file_that_is_no_clock_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "clock"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match="is no clock of a simulation: leave UPSHOT_CLOCK out"):
        SharedClock.open(path)
