"""Where things lie in a data directory."""

import os
from dataclasses import dataclass
from pathlib import Path
from time import time_ns

from upshot.errors import InputError
from upshot.events.disk import sync_directory


@dataclass(frozen=True, slots=True)
class DataDirectory:
    """The one directory that holds what Upshot must not lose.

    log/          segments: what was accepted and is not compacted yet
    events/       Parquet files and the keys of their events
    rejected/     what was sent and is no event, with the reason
    manifest.db   which files count
    derived/      what is made of these, and can be made again
    """

    path: Path

    @property
    def log(self) -> Path:
        return self.path / "log"

    @property
    def events(self) -> Path:
        return self.path / "events"

    @property
    def rejected(self) -> Path:
        return self.path / "rejected"

    @property
    def derived(self) -> Path:
        return self.path / "derived"

    @property
    def manifest(self) -> Path:
        return self.path / "manifest.db"

    def make(self) -> None:
        """Make what is missing, durably; only the owner may read it."""
        missing = [path for path in (self.path, self.log, self.events, self.rejected) if not path.is_dir()]
        for path in missing:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        for parent in {path.parent for path in missing}:
            sync_directory(parent)


def existing(path: Path) -> DataDirectory:
    """The data directory at a path.

    Raises:
        InputError: there is none.
    """
    if not path.is_dir():
        raise InputError(f"there is no directory {path}: name the one that `upshot serve` keeps events in")
    place = DataDirectory(path)
    place.make()
    return place


def new_name(suffix: str) -> str:
    """A name that no other file has; later ones sort behind."""
    return f"{time_ns():020}-{os.urandom(4).hex()}.{suffix}"
