"""The live world: real server, real SDK, one clock; each verdict is the one that the truth deserves."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from upshot.bootstrap import open_store
from upshot.errors import InputError
from upshot.events.reader import connect
from upshot.services.demo import (
    MARK,
    Found,
    World,
    application,
    claim,
    create_world,
    is_over,
    killed,
    live,
    serving,
    settle,
    start_experiments,
    verdicts,
)

pytestmark = pytest.mark.timeout(900)  # a real server looks at real data: long where much else runs
NOW = datetime.now(UTC)
VISITORS = 5_000
"""Fewer than people see: with this seed each verdict is the same."""


@dataclass(frozen=True)
class Lived:
    """A world that was lived through, what was found, and at which midnight which flags were off."""

    world: World
    found: tuple[Found, ...]
    off: dict[datetime, dict[str, str]]


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lived]:
    world = create_world(tmp_path_factory.mktemp("live") / "demo", NOW, visitors=VISITORS)
    with (
        serving(world, 0) as server,
        closing(open_store(world.data, made=True, clock=world.clock.now)) as store,
        application(world, server) as client,
    ):
        start_experiments(world, store)
        off: dict[datetime, dict[str, str]] = {}
        for over in live(world, client):
            day = (over - world.start).days
            if is_over(over) and (day == world.days or (day >= 2 and not any(off.values()))):
                settle(world, store, client)  # on other days the server looks as it finds time
                off[over] = killed(world)
        yield Lived(world, tuple(verdicts(world, store)), off)


@pytest.mark.parametrize("place", range(6))
def test_each_verdict_is_the_one_that_the_truth_deserves(lived: Lived, place: int) -> None:
    one = lived.found[place]
    verdict = one.taken.findings.verdict
    assert (verdict.verdict, verdict.cause) == (one.known.verdict, one.known.cause), verdict.headline


def test_nobody_meets_what_harms_once_the_sdk_has_heard_that_it_is_off(lived: Lived) -> None:
    since = min(midnight for midnight, off in lived.off.items() if "stock-widget" in off)
    assert since < lived.world.start + timedelta(days=lived.world.days)
    with connect(lived.world.data) as database:
        counted = database.execute(
            "SELECT count(*) FILTER (time < $1), count(*) FILTER (time >= $1) FROM exposures "
            "WHERE experiment_id = 'EXP-2026-002'",
            [since.replace(tzinfo=None)],
        ).fetchall()
    assert counted[0][0] > 100
    assert counted[0][1] == 0
    assert all(off == {} or set(off) == {"stock-widget"} for off in lived.off.values())


def test_server_sdk_and_receipt_tell_the_same_time(lived: Lived) -> None:
    """The clock stands while messages are sent, so no time needs a correction; all is within the days."""
    first, last = lived.world.start, lived.world.start + timedelta(days=lived.world.days)
    with connect(lived.world.data) as database:
        rows = database.execute(
            "SELECT count(*), count(*) FILTER (time <> received_at), min(time), max(time) FROM events"
        ).fetchall()
    count, apart, earliest, latest = rows[0]
    assert count > 5 * VISITORS
    assert apart == 0
    assert first <= earliest.replace(tzinfo=UTC) <= latest.replace(tzinfo=UTC) <= last


def test_every_message_of_the_sdk_arrived_once(lived: Lived) -> None:
    with connect(lived.world.data) as database:
        rows = database.execute(
            "SELECT count(*), max(TRY_CAST(json_extract_string(context, '$.seq') AS BIGINT)) FROM events"
        ).fetchall()
    assert rows[0][0] == rows[0][1]


def test_reports_lie_beside_the_data(lived: Lived) -> None:
    for one in lived.found:
        text = (lived.world.folder / "reports" / f"{one.known.flag}.md").read_text(encoding="utf-8")
        said = one.taken.findings.verdict.headline.partition(" [")[0].partition(" (")[
            0
        ]  # Markdown escapes a <
        assert said in text
        assert (lived.world.folder / "reports" / f"{one.known.flag}.html").stat().st_size > 10_000


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match="holds other things than a demo: name a new folder"):
        create_world(tmp_path, NOW)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_what_an_earlier_demo_left_is_replaced_and_nothing_else(tmp_path: Path) -> None:
    claim(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "old").touch()
    (tmp_path / "notes.txt").touch()
    create_world(tmp_path, NOW)
    assert not (tmp_path / "data").exists()
    assert {"notes.txt", MARK, "flags", "metrics", "plans", "reports", "clock"} == {
        path.name for path in tmp_path.iterdir()
    }


def test_no_folder_can_be_where_a_file_is(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="where no folder can be"):
        create_world(tmp_path / "file", NOW)
