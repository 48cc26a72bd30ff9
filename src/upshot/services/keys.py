"""API keys: given out, listed and taken back."""

from upshot.store import keys
from upshot.store.control import ControlStore
from upshot.store.keys import Key

__all__ = ["Key", "create", "listed", "revoke"]


def create(store: ControlStore, kind: str, source: str, *, actor: str, reason: str = "") -> tuple[Key, str]:
    """A new key and its secret, which cannot be shown again.

    Args:
        kind: ``server`` or ``client``. source: what will send with it. actor, reason: who gives it out, and why.

    Raises:
        InputError: there is no such kind, or a name is missing.
    """
    with store.changing(actor, reason) as change:
        return keys.create(change, kind, source)


def revoke(store: ControlStore, key_id: str, *, actor: str, reason: str = "") -> Key:
    """The key opens nothing from now on.

    Raises:
        NotFoundError: there is no such key.
    """
    with store.changing(actor, reason) as change:
        return keys.revoke(change, key_id)


def listed(store: ControlStore) -> tuple[Key, ...]:
    """All keys, the oldest first."""
    with store.reading() as connection:
        return keys.listed(connection)
