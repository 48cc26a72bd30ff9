"""Putting the parts together: a store with the services over it. Doors come in from here."""

import secrets
from pathlib import Path

from upshot.errors import InputError
from upshot.events.log import EventLog
from upshot.services.flags import Flags
from upshot.store.flag_files import FlagDirectory


def open_flags(directory: Path) -> Flags:
    """The flags of a directory, in force.

    Raises:
        InputError: they cannot be read; every mistake is named.
    """
    return Flags(FlagDirectory(directory), new_salt)


def open_log(directory: Path) -> EventLog:
    """The log of a data directory, which takes events until it is closed.

    Raises:
        InputError: nothing can be kept there.
    """
    try:
        return EventLog.open(directory)
    except OSError as error:
        raise InputError(
            f"events cannot be kept in {directory} ({error.strerror or error}): give another --data"
        ) from None


def new_salt() -> str:
    """A salt that nobody can guess and no other experiment has."""
    return secrets.token_hex(8)
