"""API keys of programs: what each may do is its role; each names the source of what comes in with it.

A key is 32 random bytes, shown once and kept as its SHA-256. Slow hashes (argon2) guard passwords, which can be
guessed; 256 random bits cannot, so a fast hash gives nothing away, costs nothing on each request, and what is shown
can be looked up by it: comparing in constant time is not needed, since nobody can choose the digest of what is tried.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, insert, select, update

from upshot.errors import InputError, NotFoundError
from upshot.model.access import ROLES, Role
from upshot.store.audit import Change, record
from upshot.store.tables import KEYS, time_text

LONGEST_SOURCE = 100

_ID_DIGITS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key, without the secret itself.

    Attributes:
        id: names it in lists and in the audit chain; the first digits of its digest.
        kind: its role. ``server`` and ``client`` are those of SDKs (``client`` in browsers and on phones); the
            others open the API.
        source: what its holder is called; events that come with it have this source.
        created_at, revoked_at: since and until when it opens anything; None: it still does.
    """

    id: str
    kind: Role
    source: str
    created_at: datetime
    revoked_at: datetime | None = None


def create(change: Change, kind: str, source: str) -> tuple[Key, str]:
    """A new key, and its secret, which is kept nowhere.

    A source may have several keys, so that one can be replaced without a pause.

    Raises:
        InputError: there is no such role, or the source has no name.
    """
    if kind not in ROLES:
        raise InputError(f"the key's role is {kind!r}: use one of {', '.join(ROLES)}")
    source = source.strip()
    if not source.isprintable() or not 0 < len(source) <= LONGEST_SOURCE:
        raise InputError(
            f"the source is {source!r}: give what will send with this key a name such as shop, of at most "
            f"{LONGEST_SOURCE} characters"
        )
    secret = f"upshot_{kind}_{secrets.token_urlsafe(32)}"
    hashed = digest(secret)
    row: dict[str, Any] = {
        "id": hashed[:_ID_DIGITS],
        "kind": kind,
        "source": source,
        "created_at": change.at,
    }
    change.connection.execute(insert(KEYS).values(**row, digest=hashed))
    key = Key(**row)
    record(change, "key.created", f"key/{key.id}", after=_told(key))
    return key, secret


def revoke(change: Change, key_id: str) -> Key:
    """The key opens nothing from now on; revoking it again changes nothing.

    Raises:
        NotFoundError: there is no such key.
    """
    found = change.connection.execute(select(KEYS).where(KEYS.c.id == key_id)).mappings().one_or_none()
    if found is None:
        raise NotFoundError(f"there is no key {key_id}: `upshot key list` shows the ids")
    before = _key(found)
    if before.revoked_at is not None:
        return before
    change.connection.execute(update(KEYS).where(KEYS.c.id == key_id).values(revoked_at=change.at))
    after = _key({**found, "revoked_at": change.at})
    record(change, "key.revoked", f"key/{key_id}", before=_told(before), after=_told(after))
    return after


def listed(connection: Connection) -> tuple[Key, ...]:
    """All keys, revoked ones too, the oldest first."""
    rows = connection.execute(select(KEYS).order_by(KEYS.c.created_at, KEYS.c.id)).mappings()
    return tuple(_key(row) for row in rows)


def by_digest(connection: Connection) -> dict[str, Key]:
    """The keys that open something, by the digests of their secrets."""
    rows = connection.execute(select(KEYS).where(KEYS.c.revoked_at.is_(None))).mappings()
    return {row["digest"]: _key(row) for row in rows}


def by_secret(connection: Connection, secret: str) -> Key | None:
    """The key whose secret it is; None where it opens nothing."""
    opens = (KEYS.c.digest == digest(secret)) & KEYS.c.revoked_at.is_(None)
    row = connection.execute(select(KEYS).where(opens)).mappings().one_or_none()
    return None if row is None else _key(row)


def digest(secret: str) -> str:
    """The SHA-256 of a secret, in hexadecimal digits."""
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()


def _key(row: RowMapping | dict[str, Any]) -> Key:
    return Key(**{name: row[name] for name in ("id", "kind", "source", "created_at", "revoked_at")})


def _told(key: Key) -> dict[str, str | None]:
    return {
        "kind": key.kind,
        "source": key.source,
        "revoked_at": time_text(key.revoked_at) if key.revoked_at else None,
    }
