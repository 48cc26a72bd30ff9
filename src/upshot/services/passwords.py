"""Passwords: hashed by argon2id, slowly, which is what keeps a stolen store from giving them away."""

from functools import cache
from threading import BoundedSemaphore

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from upshot.errors import InputError

SHORTEST, LONGEST = 12, 200

_HASHER = PasswordHasher()
_AT_ONCE = BoundedSemaphore(2)  # each takes 64 MiB and a core
_UNLIKE = 5  # distinct characters that a password has at least


def hashed(password: str, name: str = "") -> str:
    """What is kept of a password.

    Raises:
        InputError: it is too short, or too easily guessed; the message never shows it.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        raise InputError(
            f"the password has {len(password)} characters: give from {SHORTEST} to {LONGEST}, such as a sentence"
        )
    if len(set(password)) < _UNLIKE or (name and name.lower() in password.lower()):
        raise InputError("the password can be guessed: take one without the name, of different characters")
    with _AT_ONCE:
        return _HASHER.hash(password.encode(errors="surrogatepass"))


def matches(password: str, kept: str | None) -> bool:
    """Whether it is the password; as much work where there is none, so that time tells nobody who has an account."""
    with _AT_ONCE:
        try:
            _HASHER.verify(kept or _nobodys(), password.encode(errors="surrogatepass"))
        except (VerificationError, InvalidHashError):
            return False
    return kept is not None


def is_weak(kept: str) -> bool:
    """Whether what is kept was made with less work than is usual now."""
    return _HASHER.check_needs_rehash(kept)


@cache
def _nobodys() -> str:
    return _HASHER.hash("nobody has this password")
