"""The draw ``md5/1``: a salt and a unit's id give two independent numbers of 32 bits.

MD5 of the UTF-8 bytes of ``salt + "." + unit_id``, read as big-endian words: word 0 draws the split, word 1 the
traffic. Allocations are half-open ranges in [0, 2**32), so nothing is rounded and nothing is taken modulo, and
SQL engines can repeat the draw. The vectors in ``vectors.json`` fix it for other languages.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from typing import Any, Generic, TypeVar

try:  # the plain C function is twice as quick for short input as OpenSSL's; it is private to CPython
    from _md5 import md5 as _md5  # type: ignore[import-not-found]
except ImportError:
    from functools import partial
    from hashlib import md5 as _hashlib_md5

    _md5 = partial(_hashlib_md5, usedforsecurity=False)  # a FIPS build of OpenSSL refuses MD5 without this

md5: Callable[[bytes], Any] = _md5
SPACE = 2**32
Range = tuple[int, int]
Owner = TypeVar("Owner")


def draws(salt: str, unit_id: str) -> tuple[int, int]:
    """The split draw and the traffic draw of a unit, each uniform over [0, 2**32).

    Raises:
        UnicodeEncodeError: salt or id has no UTF-8 form (half of a surrogate pair).

    >>> draws("exp-17", "user-1")
    (3944401407, 3166308837)
    """
    words = md5(f"{salt}.{unit_id}".encode()).digest()
    return int.from_bytes(words[:4], "big"), int.from_bytes(words[4:8], "big")


def unit_text(value: object) -> str | None:
    """A unit's id as the text that is hashed; None where the value cannot be an id.

    Strings stay as given, integers become decimal. A float or a boolean is refused because languages write
    them differently; None and text without a UTF-8 form are no id either.
    """
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    try:
        text = str.__str__(value) if isinstance(value, str) else int.__repr__(value)
        text.encode()
    except ValueError:  # half a surrogate pair, or an integer of thousands of digits
        return None
    return text


class Partition(Generic[Owner]):
    """Who owns which draw: sorted edges as four-byte words, and the owner between each two of them.

    Bytes compare as the big-endian numbers that they spell, so a digest is looked up without being converted,
    and a longer digest compares right against a four-byte edge.
    """

    __slots__ = ("edges", "owners")

    def __init__(self, held: Iterable[tuple[Owner, Iterable[Range]]]) -> None:
        """Owners with their ranges, which must not overlap."""
        pieces = sorted(
            ((start, end, owner) for owner, ranges in held for start, end in ranges), key=itemgetter(0)
        )
        edges: list[int] = []
        owners: list[Owner | None] = [None]
        for start, end, owner in pieces:
            self._extend(edges, owners, start, owner)
            self._extend(edges, owners, end, None)
        self.edges: Sequence[bytes] = [edge.to_bytes(4, "big") for edge in edges]
        self.owners: Sequence[Owner | None] = tuple(owners)

    @staticmethod
    def _extend(edges: list[int], owners: list[Owner | None], at: int, owner: Owner | None) -> None:
        """From ``at`` on, ``owner`` holds the draws."""
        if at >= SPACE:
            return
        if at == (edges[-1] if edges else 0):
            owners[-1] = owner
        else:
            edges.append(at)
            owners.append(owner)

    def owner(self, words: bytes) -> Owner | None:
        """Who owns the draw that these bytes begin with; None in a gap."""
        return self.owners[bisect_right(self.edges, words)]


def digester(salt: str) -> Callable[[str], bytes]:
    """A unit's id -> its digest under this salt."""
    prefix = f"{salt}."

    def digest(unit_id: str) -> bytes:
        return md5((prefix + unit_id).encode()).digest()  # type: ignore[no-any-return]

    return digest
