"""What applying the flags would change: each edit with its class, and how many units get something else."""

from dataclasses import dataclass
from datetime import datetime

from upshot.assignment.edits import Edit
from upshot.assignment.ledger import Ledger
from upshot.assignment.moves import Move, moves
from upshot.assignment.payload import NewSalt
from upshot.model.flag import FlagSet
from upshot.services.flags import Published, checked, edits, published_from
from upshot.store.flag_store import FlagStore, Stored


@dataclass(frozen=True, slots=True, kw_only=True)
class Diff:
    """The difference between what is written and what is in force.

    Attributes:
        edits: each with its class. moves: rules that move units. first: nothing is in force yet.
    """

    edits: tuple[Edit, ...]
    moves: tuple[Move, ...]
    first: bool

    @property
    def refused(self) -> tuple[Edit, ...]:
        """The edits for which nothing would be applied."""
        return tuple(edit for edit in self.edits if edit.kind != "safe")


def diff(store: FlagStore, new_salt: NewSalt, now: datetime | None = None) -> Diff:
    """Compare what is written with what is in force; nothing is written.

    Raises:
        PlanError: mistakes, all of them.
        InputError: the store cannot be read.
    """
    return difference(store.read(), store.name, new_salt, now)


def difference(stored: Stored, where: str, new_salt: NewSalt, now: datetime | None = None) -> Diff:
    """Compare what a store holds, or would hold, with what is in force; ``where`` is what messages call it.

    Raises:
        PlanError: mistakes, all of them.
    """
    _, ledger = checked(stored, new_salt, where)
    return _compared(stored, ledger, now)


def apply(store: FlagStore, new_salt: NewSalt, now: datetime | None = None) -> tuple[Diff, Published]:
    """Put what is written into force, and tell what that changed. Raises as `publish`."""
    published, before, ledger = published_from(store, new_salt, now)
    return _compared(before, ledger, now), published


def _compared(stored: Stored, ledger: Ledger, now: datetime | None) -> Diff:
    applied = FlagSet() if stored.applied is None else stored.applied
    return Diff(
        edits=edits(stored, now),
        moves=moves((applied, stored.ledger), (stored.flags, ledger)),
        first=stored.applied is None,
    )
