"""Options that the commands of `upshot experiment` share."""

from pathlib import Path
from typing import Any

import click

from upshot.doors.cli.control import AS_JSON, DATA, STORE

FLAGS = click.option(
    "--flags", metavar="DIR", type=click.Path(path_type=Path), help="Folder of flags [those of the store]."
)
VERSION = click.option(
    "--version", "expected", type=int, metavar="N", help="The version that you saw: refused if it is another."
)
EXPERIMENT = click.argument("experiment")
ACKNOWLEDGE = click.option(
    "--acknowledge", "accepted", multiple=True, metavar="NAME=REASON", help="Accept it, with a reason."
)


def reads(function: Any) -> Any:
    """The options of a command that looks at an experiment."""
    for option in (AS_JSON, FLAGS, STORE, DATA):
        function = option(function)
    return EXPERIMENT(function)


def keeps(function: Any) -> Any:
    """The options of a command that changes an experiment."""
    return reads(VERSION(function))
