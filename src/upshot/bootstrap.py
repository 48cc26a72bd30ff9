"""Putting the parts together: a store with the services over it. Doors come in from here."""

import secrets
from pathlib import Path

from upshot.services.flags import Flags
from upshot.store.flag_files import FlagDirectory


def open_flags(directory: Path) -> Flags:
    """The flags of a directory, in force.

    Raises:
        InputError: they cannot be read; every mistake is named.
    """
    return Flags(FlagDirectory(directory), new_salt)


def new_salt() -> str:
    """A salt that nobody can guess and no other experiment has."""
    return secrets.token_hex(8)
