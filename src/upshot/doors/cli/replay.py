"""`upshot replay`: every look at an experiment given again, identical or not."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from upshot.doors.cli.control import AS_JSON, DATA, STORE, show, working

if TYPE_CHECKING:
    from upshot.services.replays import Replayed


@click.command("replay", epilog="Example: upshot replay EXP-2026-001")
@click.argument("experiment")
@DATA
@STORE
@AS_JSON
def command(experiment: str, data: Path, url: str | None, as_json: bool) -> int:
    """Give every look at an experiment again from what was kept of it. Exit 1 where one is not what it was."""
    from upshot.services.replays import replay

    with working(data, url) as workspace:
        given = replay(workspace, experiment)
    is_same = not any(one.differs for one in given)
    show(
        as_json,
        lambda: {"experiment": experiment, "is_same": is_same, "looks": [asdict(one) for one in given]},
        lambda: _lines(experiment, given),
    )
    return 0 if is_same else 1


def _lines(experiment: str, given: "tuple[Replayed, ...]") -> str:
    lines = []
    for one in given:
        told = "not the same" if one.differs else "the same"
        lines.append(f"phase {one.phase}, look {one.number}: {one.verdict}: {told}")
        lines += [f"  {line}" for line in one.differs]
    return "\n".join(lines) or f"nobody looked at {experiment} yet"
