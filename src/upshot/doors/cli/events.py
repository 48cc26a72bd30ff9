"""`upshot events`: look at events, keep them in order, and give them or their deletion to whom they belong."""

import json
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from upshot.doors.cli.control import STORE, who
from upshot.errors import InputError

if TYPE_CHECKING:
    from upshot.services.event_tail import Arrived
    from upshot.services.events import Rejected, Stats

EPILOG = """\b
Examples:
  upshot events stats
  upshot events tail --follow --event Bought
  upshot events rejected
  upshot events export visits.parquet
  upshot events delete-user user-1
  upshot events expire --older-than 400d
"""

DATA = click.option(
    "--data",
    default="upshot-data",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Folder that upshot serve keeps events in [upshot-data].",
)
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")


@click.group("events", epilog=EPILOG)
def command() -> None:
    """Events that upshot serve has taken. All of this may run beside it."""


@command.command("stats", epilog="Example: upshot events stats --data upshot-data")
@DATA
@AS_JSON
def stats_command(data: Path, as_json: bool) -> None:
    """Say how many events there are of what, what waits, and what was rejected."""
    from upshot.services.events import stats

    found = stats(data)
    _show(as_json, asdict(found), lambda: _print_stats(found))


@command.command("tail", epilog="Example: upshot events tail --follow --event Bought")
@DATA
@click.option("--lines", "-n", type=click.IntRange(0), default=20, help="So many of the newest [20].")
@click.option("--follow", "-f", is_flag=True, help="Go on with those that come, until stopped.")
@click.option("--event", metavar="NAME", help="Only events of this name.")
@click.option("--json", "as_json", is_flag=True, help="Print each event as a line of JSON.")
def tail_command(data: Path, lines: int, follow: bool, event: str | None, as_json: bool) -> None:
    """Show the newest events, within seconds of their answer."""
    from upshot.services.event_tail import Tail

    tail = Tail(data, event)
    for one in tail.newest(lines):
        _print_event(one, as_json)
    while follow:
        time.sleep(1.0)
        for one in tail.more():
            _print_event(one, as_json)


@command.command("rejected", epilog="Example: upshot events rejected --json > rejected.json")
@DATA
@click.option("--lines", "-n", type=click.IntRange(0), default=20, help="Show so many of the newest [20].")
@click.option("--json", "as_json", is_flag=True, help="Print all of them, with what was sent, as JSON.")
def rejected_command(data: Path, lines: int, as_json: bool) -> None:
    """Show what was sent and is no event, and why: how often for each reason, and the newest."""
    from upshot.services.events import rejected

    found = list(rejected(data))
    _show(as_json, {"rejected": [asdict(one) for one in found]}, lambda: _print_rejected(found, lines))


@command.command(
    "replay",
    epilog="Example: upshot events rejected --json > rejected.json; edit it; upshot events replay rejected.json",
)
@click.argument("mended", required=False, type=click.Path(path_type=Path))
@DATA
@AS_JSON
def replay_command(mended: Path | None, data: Path, as_json: bool) -> None:
    """Send what was rejected again.

    Without a file as it was, for a newer Upshot that takes it; with MENDED as its bodies say. What is an event now
    counts as received when it was received first. What a running server got in the last minute is not among it yet.
    """
    from upshot.bootstrap import open_log
    from upshot.services.events import existing, read_mended, replay_rejected

    bodies = read_mended(_text(mended)) if mended else {}
    existing(data)
    with closing(open_log(data)) as log:
        done = replay_rejected(data, log, bodies)
    _show(
        as_json,
        asdict(done),
        lambda: click.echo(f"{_count(done.accepted, 'message')} accepted, {done.left:,} still rejected"),
    )


@command.command("compact", epilog="Example: upshot events compact")
@DATA
@AS_JSON
def compact_command(data: Path, as_json: bool) -> None:
    """Bring what is sealed into Parquet files now. A running server does so by itself."""
    from upshot.services.events import compact

    done = compact(data)
    log = done.compacted
    _show(
        as_json,
        asdict(done),
        lambda: click.echo(
            f"{_count(log.segments, 'segment')}: {_count(log.events, 'event')} kept, "
            f"{log.duplicates:,} of them sent twice and kept once, {log.rejected:,} rejected"
            + (f", {log.damaged:,} bytes damaged" if log.damaged else "")
        ),
    )


@command.command("delete-user", epilog="Example: upshot events delete-user user-1")
@click.argument("unit", metavar="ID")
@DATA
@click.option("--yes", is_flag=True, help="Do not ask.")
@AS_JSON
def delete_command(unit: str, data: Path, yes: bool, as_json: bool) -> None:
    """Delete all events of a user or anonymous visitor, for good.

    They are gone from files, from what was rejected, and from what comes late of the time before. Ids that were
    seen together with this one are named, and are not deleted.
    """
    from upshot.services.events import delete_user, existing

    existing(data)
    if not yes:
        click.confirm(f"Delete all events of {unit}? There is no way back.", abort=True, err=True)
    done = delete_user(data, unit)

    def told() -> None:
        click.echo(
            f"{_count(done.events, 'event')} and {_count(done.rejections, 'rejected message')} deleted"
        )
        if done.linked:
            click.echo(f"the same person's, perhaps: {', '.join(done.linked)} (delete each as well)")
        if done.open_segments:
            click.echo("what running servers got in the last minute is dropped when it is compacted")

    _show(as_json, asdict(done), told)


@command.command("expire", epilog="Example: upshot events expire --older-than 400d")
@click.option(
    "--older-than", "age", required=True, metavar="AGE", help="Received longer ago, as 400d; at least 1d."
)
@DATA
@STORE
@click.option("--reason", default="", metavar="TEXT", help="Why; it is kept with who and when.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@AS_JSON
def expire_command(age: str, data: Path, url: str | None, reason: str, yes: bool, as_json: bool) -> None:
    """Remove all events that are older, for good.

    Rejected messages that are older go with them, and the names of units that have nothing left. The audit chain says
    that it was done. A server does it each night where UPSHOT_KEEP_EVENTS is set.
    """
    from upshot.bootstrap import open_store
    from upshot.services.events import existing
    from upshot.services.retention import remove_older

    existing(data)
    span = _age(age)
    if not yes:
        click.confirm(
            f"Remove all events that are older than {age}? There is no way back.", abort=True, err=True
        )
    with closing(open_store(data, url, made=True)) as store:
        done = remove_older(store, data, span, datetime.now(UTC), actor=who(), reason=reason)
    _show(
        as_json,
        asdict(done),
        lambda: click.echo(
            f"{_count(done.events, 'event')} and {_count(done.rejections, 'rejected message')} removed; "
            f"nothing is left of {_count(done.units, 'unit')}"
        ),
    )


def _age(text: str) -> timedelta:
    from upshot.formats.duration import parse_duration

    try:
        return parse_duration(text)
    except ValueError:
        raise InputError(f"older-than is {text!r}: give a whole number and w, d or h, such as 400d") from None


@command.command("export", epilog="Example: upshot events export visits.parquet")
@click.argument("target", type=click.Path(path_type=Path))
@DATA
@click.option("--unit", metavar="ID", help="Only events of this user or anonymous visitor.")
@AS_JSON
def export_command(target: Path, data: Path, unit: str | None, as_json: bool) -> None:
    """Write events to TARGET: NAME.parquet for analyses, NAME.jsonl with a message a line for other servers."""
    from upshot.services.events import export

    count = export(data, target, unit)
    _show(
        as_json,
        {"events": count, "target": str(target)},
        lambda: click.echo(f"{_count(count, 'event')} in {target}"),
    )


def _show(as_json: bool, plain: Any, print_it: Callable[[], None]) -> None:
    if as_json:
        click.echo(json.dumps(plain, indent=2, ensure_ascii=False, default=_written))
    else:
        print_it()


def _written(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"a {type(value).__name__} has no JSON form")


def _print_event(one: "Arrived", as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(asdict(one), ensure_ascii=False, default=_written))
        return
    properties = json.dumps(one.properties, ensure_ascii=False) if one.properties else ""
    name = one.event if one.event and one.type == "track" else f"{one.type} {one.event or ''}".rstrip()
    click.echo(f"{one.time:%Y-%m-%d %H:%M:%S}  {one.source}  {one.unit}  {name}  {properties}".rstrip())


def _print_stats(found: "Stats") -> None:
    stock = found.stock
    click.echo(f"{_count(stock.events, 'event')} of {_count(found.units, 'unit')}")
    for kind in found.kinds[:20]:
        name = (
            kind.event if kind.event and kind.type == "track" else f"{kind.type} {kind.event or ''}".rstrip()
        )
        last = f"last {kind.last:%Y-%m-%d %H:%M:%S}"
        click.echo(f"  {kind.events:>12,}  {name}, {_count(kind.units, 'unit')}, {last}")
    if len(found.kinds) > 20:
        click.echo(f"  and {len(found.kinds) - 20:,} more kinds: --json has all")
    waiting = f"{_count(stock.segments, 'segment')} ({_size(stock.segment_bytes)})"
    click.echo(f"in {_count(stock.files, 'file')} ({_size(stock.bytes)}), and {waiting} not compacted yet")
    twice = stock.tally.get("duplicates", 0)
    click.echo(f"{_count(found.rejected, 'message')} rejected, {twice:,} sent twice")
    without_id = sum(source.without_id for source in stock.sources.values())
    if without_id:
        click.echo(
            f"{_count(without_id, 'event')} came without a messageId: a retry of one could count twice"
        )
    click.echo(f"{_size(stock.free_bytes)} are free")


def _print_rejected(found: "list[Rejected]", lines: int) -> None:
    click.echo(f"{_count(len(found), 'message')} rejected")
    for reason, count in Counter(one.reason for one in found).most_common(20):
        click.echo(f"  {count:>12,}  {reason}")
    for one in sorted(found, key=lambda one: one.received)[len(found) - min(lines, len(found)) :]:
        sent = json.dumps(one.body, ensure_ascii=False)
        click.echo(f"{one.received:%Y-%m-%d %H:%M:%S}  {one.source}  {one.reason}\n    {sent[:200]}")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from None


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _size(size: float) -> str:
    for unit in ("bytes", "KB", "MB"):
        if size < 1_000:
            return f"{size:,.0f} {unit}" if unit == "bytes" else f"{size:,.1f} {unit}"
        size /= 1_000
    return f"{size:,.1f} GB"
