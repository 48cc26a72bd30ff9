"""Which flags `upshot flag` is about: those of files, or those of a control store, or files to be brought into one."""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from upshot.doors.cli.control import who
from upshot.errors import UpshotError

if TYPE_CHECKING:
    from upshot.store.control import ControlStore
    from upshot.store.flag_files import FlagDirectory
    from upshot.store.flags import StoredFlags

DIRECTORY = click.argument("directory", required=False, type=click.Path(path_type=Path))
DATA = click.option(
    "--data", metavar="DIR", type=click.Path(path_type=Path), help="Folder of a control store, upshot.db."
)
STORE = click.option("--store", "url", metavar="URL", help="A control store in PostgreSQL.")
UNRECORDED = "the audit chain will have it when a server runs there, or with the next switch"


class Asked(NamedTuple):
    """What a command was asked of: a directory of files, a store, or both."""

    directory: Path | None
    data: Path | None
    url: str | None

    def files(self) -> "FlagDirectory | None":
        """The files that are meant; None: the flags of a store."""
        from upshot.store.flag_files import FlagDirectory

        if self.directory is not None:
            return FlagDirectory(self.directory)
        if self.data is not None or self.url is not None:
            return None
        here = Path("flags")
        return None if not here.is_dir() and self._has_store() else FlagDirectory(here)

    def store(self, *, made: bool) -> "ControlStore":
        """The store. Raises InputError where there is none."""
        from upshot.bootstrap import open_store

        url = self.url or (None if self.data else os.environ.get("UPSHOT_STORE"))
        return open_store(self.data or Path("upshot-data"), url, made=made)

    def recorded(self, files: "FlagDirectory") -> str | None:
        """Bring the audit chain up to what the files know; why it is not, in a sentence."""
        from upshot.store.audited_flags import AuditedFlags

        if self.data is None and self.url is None and not self._has_store():
            return None
        try:
            with closing(self.store(made=False)) as store:
                AuditedFlags(files, store).catch_up()
        except UpshotError as error:
            return f"{error}; {UNRECORDED}"
        return None

    def _has_store(self) -> bool:
        return bool(os.environ.get("UPSHOT_STORE")) or Path("upshot-data/upshot.db").exists()


@dataclass(frozen=True, slots=True)
class Kept:
    """Flags, and the store that was named; `files` where they are in files."""

    flags: "FlagDirectory | StoredFlags"
    files: "FlagDirectory | None"
    store: "ControlStore | None"


@contextmanager
def opened(
    directory: Path | None, data: Path | None, url: str | None, *, made: bool = False
) -> Iterator[Kept]:
    from upshot.store.flags import StoredFlags

    asked = Asked(directory, data, url)
    files = asked.files()
    if files is not None and data is None and url is None:
        yield Kept(files, files, None)
        return
    with closing(asked.store(made=made)) as store:
        yield Kept(files or StoredFlags(store, who()), files, store)


def put_by(directory: Path | None, data: Path | None, url: str | None, revision: int | None) -> str:
    """The command that puts a difference into force."""
    named = [
        *([] if directory is None else [str(directory)]),
        *([] if data is None else ["--data", str(data)]),
        *([] if url is None else ["--store", "URL"]),
        *([] if revision is None else ["--since", str(revision)]),
    ]
    return " ".join(["upshot flag apply", *(named or ["flags"])])
