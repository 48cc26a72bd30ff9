"""`upshot doctor`: whether a data directory is as it should be."""

import json
from dataclasses import asdict
from pathlib import Path

import click

MARKS = {"pass": "ok  ", "warn": "look", "fail": "BAD "}


@click.command("doctor", epilog="Example: upshot doctor --data upshot-data")
@click.option(
    "--data",
    default="upshot-data",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Folder that upshot serve keeps events in [upshot-data].",
)
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.pass_context
def command(ctx: click.Context, data: Path, as_json: bool) -> None:
    """Look at a data directory, also while servers run: where it lies, and whether anything in it is damaged.

    Every file of events is read, every row of the audit chain follows. Exit 1 where something is damaged or events
    cannot be safe there.
    """
    from upshot.services.doctor import examine

    found = examine(data)
    if as_json:
        click.echo(json.dumps([asdict(one) for one in found], indent=2, ensure_ascii=False))
    else:
        for one in found:
            click.echo(f"{MARKS[one.status]}  {one.name}: {one.detail}")
    ctx.exit(1 if any(one.status == "fail" for one in found) else 0)
