"""`upshot backup`: a data directory in one file, while servers go on."""

import json
from pathlib import Path

import click

EPILOG = """\b
Examples:
  upshot backup monday.tar
  upshot restore monday.tar --data elsewhere
"""


@click.command("backup", epilog=EPILOG)
@click.argument("target", type=click.Path(path_type=Path))
@click.option(
    "--data",
    default="upshot-data",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Folder that upshot serve keeps events in [upshot-data].",
)
@click.option("--json", "as_json", is_flag=True, help="Print what was copied as JSON.")
def command(target: Path, data: Path, as_json: bool) -> None:
    """Write a data directory to TARGET, a .tar, while servers go on.

    It holds everything that was answered before it began: events, what was rejected, and the control store; each
    part with a checksum. Flags in files are not in it: they belong with the code.
    """
    from upshot.services.backup import back_up

    done = back_up(data, target)
    about = {"target": str(target), "files": done.files, "bytes": done.bytes}
    click.echo(json.dumps(about) if as_json else f"{done.files:,} files, {done.bytes:,} bytes in {target}")
