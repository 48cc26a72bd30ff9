"""The audit chain: what was changed, and whether anybody changed the past."""

from dataclasses import dataclass

from upshot.errors import InputError
from upshot.store import audit, looks
from upshot.store.audit import Entry
from upshot.store.control import ControlStore

__all__ = ["Entry", "Proof", "entries", "verify"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What is known of the past.

    Attributes:
        rows: rows of the chain that follow from each other. head: the hash of the last of them; whoever notes it
            elsewhere can tell later whether the whole chain was written anew.
        problems: what was changed, a sentence each; empty where nothing was.
    """

    rows: int
    head: str
    problems: tuple[str, ...]


def verify(store: ControlStore, head: str | None = None) -> Proof:
    """Whether the chain is whole, and looks and plans are what was written.

    Args:
        head: one that was noted earlier.

    Raises:
        InputError: this is no head.
    """
    if head is not None and (not head.startswith("sha256:") or len(head) != len(audit.START)):
        raise InputError(
            f"the head is {head!r}: give what `upshot audit verify` printed, sha256: and 64 digits"
        )
    with store.reading() as connection:
        chain = audit.verify(connection, head)
        problems = (chain.broken,) if chain.broken else tuple(looks.edited(connection))
    return Proof(rows=chain.rows, head=chain.head, problems=problems)


def entries(
    store: ControlStore, *, subject: str | None = None, limit: int = 100, before: int | None = None
) -> tuple[Entry, ...]:
    """The last rows of the chain, or the last before a number, the oldest first; see `audit.entries`."""
    with store.reading() as connection:
        return audit.entries(connection, subject=subject, limit=limit, before=before)
