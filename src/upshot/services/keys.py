"""API keys: given out, listed and taken back."""

from upshot.store import keys
from upshot.store.control import ControlStore
from upshot.store.keys import Key

__all__ = ["Key", "create", "holder", "listed", "revoke"]


def create(store: ControlStore, kind: str, source: str, *, actor: str, reason: str = "") -> tuple[Key, str]:
    """A new key and its secret, which cannot be shown again.

    Args:
        kind: its role (`upshot.model.access`). source: what will come in with it.
        actor, reason: who gives it out, and why.

    Raises:
        InputError: there is no such role, or a name is missing.
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


def holder(store: ControlStore, secret: str) -> Key | None:
    """The key that somebody shows; None where there is none such, or it was revoked."""
    with store.reading() as connection:
        return keys.by_secret(connection, secret)
