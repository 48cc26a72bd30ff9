"""Who asks: the holder of the server's key or of the clients' key, or of a token for one event stream."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass

from itsdangerous import BadData, URLSafeSerializer
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request

from upshot.model.access import Permission, Role, may
from upshot.services.keys import Key

TOKEN_LIFE = 900  # seconds
RENEWAL = 300  # seconds after which who asks again gets a new token


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who holds a key.

    Attributes:
        kind: its role: ``server`` opens everything of an SDK, ``client`` only what anybody may see who can read a
            page's source; other roles open the API and nothing here.
        source: names the events that come in with it.
    """

    kind: Role
    source: str


_SERVER, _CLIENT = Holder(kind="server", source="server"), Holder(kind="client", source="client")


class Keys:
    """The two keys of a server's environment, held as digests and compared in constant time, and those of its store."""

    __slots__ = ("_client", "_server", "_stored", "_tokens")

    def __init__(self, server: str, client: str, stored: Callable[[str], Key | None] | None = None) -> None:
        """The keys; ``stored`` tells whose key it is that the environment does not have."""
        self._stored = stored
        self._server, self._client = _digest(server), _digest(client)
        # Derived from the keys, so that all processes take each other's tokens, restarts cut no stream off for
        # good, and a changed key ends what was handed out under the old one.
        secret = hmac.digest(self._server, b"tokens of event streams" + self._client, "sha256")
        self._tokens = URLSafeSerializer(
            secret, salt="ofrep-stream", signer_kwargs={"digest_method": hashlib.sha256}
        )

    def holder(self, key: str) -> Holder | None:
        """Whose key it is; both comparisons are always made."""
        given = _digest(key)
        is_server = hmac.compare_digest(given, self._server)
        is_client = hmac.compare_digest(given, self._client)
        if is_server or is_client:
            return _SERVER if is_server else _CLIENT
        known = self._stored(key) if self._stored else None
        return None if known is None else Holder(kind=known.kind, source=known.source)

    def token(self, seen: str, now: float) -> str:
        """A token that opens the event stream for at most `TOKEN_LIFE` from now.

        Within one period of `RENEWAL` it stays the same, so that a client which asks again keeps its stream.

        Args:
            seen: the state of the flags that its holder knows.
            now: seconds since 1970.
        """
        return str(self._tokens.dumps([seen, period(now) * RENEWAL + TOKEN_LIFE]))

    def opened(self, token: str, now: float) -> "Pass | None":
        """What a token opens; None where it is not ours or has expired."""
        try:
            seen, until = self._tokens.loads(token)
        except BadData:
            return None
        return Pass(seen=seen, until=until) if now < until else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """An opened token: the state of the flags that its holder knew, and the second at which it expires."""

    seen: str
    until: float


def period(now: float) -> int:
    """The number of the renewal period; bulk answers are new in each, since they carry a new token."""
    return int(now // RENEWAL)


def admit(
    request: Request, keys: Keys, permission: Permission = "evaluate", in_body: str | None = None
) -> Holder:
    """Who sends the request.

    Args:
        request: with ``Authorization: Bearer KEY``, ``X-API-Key: KEY``, or the key as the user of Basic.
        keys: the server's.
        permission: what it asks for; rules are opened by the server's key only.
        in_body: a key that came in the body; it counts where the headers have none.

    Raises:
        HTTPException: 401 without a key or with a wrong one, 403 with one that does not open this.
    """
    given = given_key(request)
    key = in_body if given is None else given
    holder = keys.holder(key) if key else None
    if holder is None:
        said = (
            "this key is not known here"
            if key
            else "give a key: Authorization: Bearer KEY, or X-API-Key: KEY"
        )
        raise HTTPException(401, said, {"WWW-Authenticate": "Bearer"})
    if not may(holder.kind, permission):
        raise HTTPException(403, _unopened(holder.kind))
    return holder


def _unopened(role: Role) -> str:
    if role == "client":
        return "this is the clients' key: rules are for servers only, ask for evaluations"
    return f"this key has the role {role}, which opens /api: SDKs show a key whose role is server or client"


def given_key(request: HTTPConnection) -> str | None:
    """The key in a request's headers; None where there is none."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    match scheme.lower():
        case "bearer":
            return key.strip()
        case "basic":
            return _user(key.strip())
    return request.headers.get("x-api-key")


def _user(credentials: str) -> str:
    """The user of Basic credentials; empty where they are none.

    >>> _user("a2V5Og=="), _user("no base64")
    ('key', '')
    """
    try:
        return base64.b64decode(credentials, validate=True).decode().partition(":")[0]
    except (binascii.Error, ValueError):
        return ""


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
