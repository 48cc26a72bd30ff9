"""Options of commands that use the control store, and how it is opened for them."""

import getpass
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from upshot.services.workspace import Workspace
    from upshot.store.control import ControlStore

DATA = click.option(
    "--data",
    default="upshot-data",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Folder of the store, upshot.db [upshot-data].",
)
STORE = click.option(
    "--store",
    "url",
    metavar="URL",
    envvar="UPSHOT_STORE",
    help="A PostgreSQL instead of the folder: postgresql://USER@HOST/NAME [$UPSHOT_STORE].",
)
REASON = click.option("--reason", default="", metavar="TEXT", help="Why; it is kept with who and when.")
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")


@contextmanager
def opened(data: Path, url: str | None, *, made: bool = False) -> "Iterator[ControlStore]":
    """The store that a command names; ``made``: a folder gets one where it has none."""
    from upshot.bootstrap import open_store

    store = open_store(data, url, made=made)
    try:
        yield store
    finally:
        store.close()


@contextmanager
def working(
    data: Path, url: str | None, *, flags: Path | None = None, made: bool = False
) -> "Iterator[Workspace]":
    """What the use cases of experiments work in, as a command names it."""
    from upshot.bootstrap import open_workspace

    workspace = open_workspace(data, url, flags=flags, made=made)
    try:
        yield workspace
    finally:
        workspace.close()


def who() -> str:
    """Who runs the command, for the audit chain."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        return f"user {os.getuid()}"


def show(as_json: bool, plain: Callable[[], Any], words: Callable[[], str]) -> None:
    """Print JSON or words."""
    click.echo(json.dumps(plain(), ensure_ascii=False, indent=1) if as_json else words())
