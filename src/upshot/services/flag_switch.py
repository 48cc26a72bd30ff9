"""Turning a flag off whatever is written, and giving it back: by people and by monitoring alike."""

from difflib import get_close_matches
from typing import Protocol, runtime_checkable

from upshot.errors import InputError, NotFoundError
from upshot.report.flag_words import moment
from upshot.store.flag_store import Stored
from upshot.store.kill_file import Switching


@runtime_checkable
class Switchable(Protocol):
    """A store of flags that can turn them off whatever is written."""

    @property
    def name(self) -> str:
        """What messages call it."""

    def read(self) -> Stored:
        """Everything in it. Raises InputError."""

    def switch(self, entry: Switching) -> bool:
        """Do it, durably; False where it was so already. Raises InputError."""


def switch(store: Switchable, entry: Switching) -> bool:
    """Turn a flag off for everybody, or give it back to what is written; evaluators hear it within seconds.

    Mistakes in what is written hinder neither. Returns: False where it was so already.

    Raises:
        NotFoundError: there is no such flag, neither written nor in force.
        InputError: nobody, or no reason, is named, or the store cannot be written.
    """
    for name, text in (("actor", entry.actor), ("reason", entry.reason)):
        if not text.strip():
            raise InputError(
                f"{name} is empty: say {'who does it' if name == 'actor' else 'why'}, it is kept"
            )
    stored = store.read()
    in_force = stored.applied.flags if stored.applied else ()
    known = list(dict.fromkeys([*stored.flags.flags, *in_force, *stored.kills.off]))
    if entry.flag not in known:
        near = get_close_matches(entry.flag, known, n=1)
        mend = f"did you mean {near[0]}?" if near else f"there are {', '.join(known) or 'none'}"
        raise NotFoundError(f"there is no flag {entry.flag} in {store.name}: {mend}")
    return store.switch(entry)


def killed_words(entry: Switching) -> str:
    """Why a flag is off whatever is written."""
    return f"it is off whatever is written, since {moment(entry.at)}, by {entry.actor}: {entry.reason}"
