"""Who is asking: the anonymous id, and the cookie in which a browser keeps it.

The id is random and grants nothing: whoever changes it changes the variants that they see themselves, as clearing
cookies does. So it is neither signed nor hidden from scripts: `upshot.js` reads it, and the server and the browser
count one and the same visitor. What a browser sends is checked, for it becomes part of events.
"""

import re
from dataclasses import dataclass
from uuid import uuid4

YEAR = 31_536_000  # seconds
NAME = "upshot_id"

_ID = re.compile(r"[A-Za-z0-9._~-]{8,64}")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_ATTRIBUTE = re.compile(r"[^\x00-\x20;,\x7f-\U0010ffff]+")


def new_id() -> str:
    """A random anonymous id: 32 hexadecimal digits, 122 of their bits random."""
    return uuid4().hex


def is_id(text: str) -> bool:
    """Whether this can be an anonymous id: 8 to 64 letters, digits and ``._~-``, all of them ASCII."""
    return _ID.fullmatch(text) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitCookie:
    """The cookie that holds the anonymous id.

    Attributes:
        name: of the cookie. max_age: seconds that a browser keeps it.
        domain: such as ``example.org``, so that every host below it meets the same visitor; None: this host only.
        path: below which it is sent.
        secure: sent over https only; None: so where the request that sets it came over https.

    Raises:
        ValueError: a field cannot stand in a header.
    """

    name: str = NAME
    max_age: int = YEAR
    domain: str | None = None
    path: str = "/"
    secure: bool | None = None

    def __post_init__(self) -> None:
        if not _TOKEN.fullmatch(self.name):
            raise ValueError(f"cookie name {self.name!r}: use letters, digits, - and _")
        for field, text in (("domain", self.domain), ("path", self.path)):
            if text is not None and not _ATTRIBUTE.fullmatch(text):
                raise ValueError(f"cookie {field} {text!r}: it cannot stand in a header")
        if self.max_age <= 0:
            raise ValueError(f"cookie max_age {self.max_age}: give a number of seconds above 0")

    def read(self, header: str) -> str | None:
        """The id in a Cookie header: the first that can be one, as browsers send the closest cookie first."""
        for part in header.split(";"):
            name, _, value = part.strip(" \t").partition("=")
            if name == self.name and is_id(value):
                return value
        return None

    def is_in(self, header: str) -> bool:
        """Whether a Cookie header has this cookie, whatever it holds."""
        return any(part.strip(" \t").partition("=")[0] == self.name for part in header.split(";"))

    def written(self, anonymous_id: str, https: bool) -> str:
        """The Set-Cookie header that keeps an id."""
        return self._header(anonymous_id, self.max_age, https)

    def removed(self, https: bool) -> str:
        """The Set-Cookie header that makes the browser forget it."""
        return self._header("", 0, https)

    def _header(self, value: str, max_age: int, https: bool) -> str:
        parts = [f"{self.name}={value}", f"Max-Age={max_age}", f"Path={self.path}", "SameSite=Lax"]
        if self.domain:
            parts.append(f"Domain={self.domain}")
        if https if self.secure is None else self.secure:
            parts.append("Secure")
        return "; ".join(parts)
