"""`upshot restore`: a data directory out of a backup."""

import json
from pathlib import Path

import click


@click.command("restore", epilog="Example: upshot restore monday.tar --data upshot-data")
@click.argument("source", type=click.Path(path_type=Path))
@click.option(
    "--data",
    default="upshot-data",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Folder to make; it must not be there yet [upshot-data].",
)
@click.option("--json", "as_json", is_flag=True, help="Print what came back as JSON.")
def command(source: Path, data: Path, as_json: bool) -> None:
    """Make a data directory of what `upshot backup` wrote.

    Every checksum is compared first: the folder is there as a whole or not at all.
    """
    from upshot.services.backup import restore

    done = restore(source, data)
    about = {"data": str(data), "files": done.files, "bytes": done.bytes}
    click.echo(json.dumps(about) if as_json else f"{done.files:,} files, {done.bytes:,} bytes in {data}")
