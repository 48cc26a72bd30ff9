"""One message to one address by HTTP: signed, in bounded time, and only to where it may go.

Signatures are those of Standard Webhooks (https://www.standardwebhooks.com), so that receivers have a library for them:
HMAC-SHA256 over the message's id, its time and its body.
"""

import base64
import binascii
import hashlib
import hmac
import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from threading import Timer
from urllib.parse import urlsplit

from upshot.errors import InputError, UnavailableError
from upshot.services.addresses import Allowed, resolve

TIME = 10.0
"""Seconds that a delivery may take, from connecting to the answer."""
PREFIX = "whsec_"
SHORTEST_SECRET = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where messages are posted to."""

    scheme: str
    host: str
    port: int
    path: str


def read_target(url: str) -> Target:
    """An address that messages can be posted to.

    Raises:
        InputError: it is none; the message does not show it whole, as it may hold a secret.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        host = parts.hostname or ""
        host = host if host.isascii() else host.encode("idna").decode()
    except ValueError as error:
        raise InputError(
            f"the address of a webhook cannot be read ({error}): give https://HOST/PATH"
        ) from None
    if parts.scheme not in ("http", "https") or not host:
        raise InputError(f"the address {shown(url)} is not one of a webhook: give https://HOST/PATH")
    if parts.username is not None:
        raise InputError(
            f"the address of the webhook at {host} holds a user: leave it out, messages are signed"
        )
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if any(character <= " " or character > "~" for character in path):
        raise InputError(f"the path of the webhook at {host} holds a blank or such: write it with %20")
    return Target(scheme=parts.scheme, host=host, port=port, path=path)


def shown(url: str) -> str:
    """An address without what may be secret in it.

    >>> shown("https://hooks.example/T0/secret?key=1")
    'https://hooks.example/…'
    """
    scheme, _, rest = url.partition("://")
    host = rest.partition("/")[0].rpartition("@")[2].partition("?")[0]
    return f"{scheme}://{host}/…"


def read_secret(text: str) -> bytes:
    """The bytes that messages are signed with.

    Raises:
        InputError: there are too few.
    """
    try:
        secret = (
            base64.b64decode(text.removeprefix(PREFIX), validate=True)
            if text.startswith(PREFIX)
            else text.encode()
        )
    except binascii.Error:
        raise InputError(f"UPSHOT_ALERT_SECRET begins with {PREFIX} and is not base64 after it") from None
    if len(secret) < SHORTEST_SECRET:
        raise InputError(
            f"UPSHOT_ALERT_SECRET has {len(secret)} bytes: give at least {SHORTEST_SECRET}, such as "
            'python -c "import secrets; print(secrets.token_urlsafe(32))" makes'
        )
    return secret


def signed(secret: bytes, message_id: str, time: int, body: bytes) -> dict[str, str]:
    """The headers by which a receiver knows whose message it is, and that it is not an old one.

    >>> signed(b"secret-of-my-shop", "m1", 1700000000, b"{}")["webhook-signature"]
    'v1,+xCnaPxc35gSOjuKVmF0vszeRmJtKmVew0CpKgsJA4Y='
    """
    digest = hmac.new(secret, f"{message_id}.{time}.".encode() + body, hashlib.sha256).digest()
    signature = f"v1,{base64.b64encode(digest).decode()}"
    return {"webhook-id": message_id, "webhook-timestamp": str(time), "webhook-signature": signature}


def post(target: Target, body: bytes, headers: Mapping[str, str], allowed: Allowed) -> None:
    """Post JSON; return when it was taken (an answer of 2xx).

    Raises:
        ForbiddenAddressError: the host's address is none that may be spoken to.
        UnavailableError: it was not taken; redirects are not followed, they could lead anywhere.
    """
    addresses = resolve(target.host, target.port, allowed)
    try:
        plain = socket.create_connection((str(addresses[0]), target.port), TIME)
        with _secured(plain, target) as connected:
            status = _exchange(connected, target, body, headers)
    except (OSError, HTTPException) as error:
        told = str(error) or type(error).__name__
        raise UnavailableError(f"{target.host} does not answer ({told})") from None
    if 300 <= status < 400:
        raise UnavailableError(
            f"{target.host} sends on to somewhere else ({status}): name that address itself"
        )
    if not 200 <= status < 300:
        raise UnavailableError(f"{target.host} refuses ({status})")


def _secured(plain: socket.socket, target: Target) -> socket.socket:
    if target.scheme == "http":
        return plain
    context = ssl.create_default_context()
    return context.wrap_socket(plain, server_hostname=target.host, do_handshake_on_connect=False)


def _exchange(connected: socket.socket, target: Target, body: bytes, headers: Mapping[str, str]) -> int:
    """The status of the answer. A server that answers byte by byte is cut off after `TIME`."""
    watch = Timer(TIME, _cut, [connected])
    watch.daemon = True
    watch.start()
    try:
        if isinstance(connected, ssl.SSLSocket):
            connected.do_handshake()
        connection = HTTPConnection(target.host, target.port)
        connection.sock = connected
        content = {"Content-Type": "application/json", "User-Agent": "upshot", "Connection": "close"}
        connection.request("POST", target.path, body, {"Host": _named(target), **content, **headers})
        return connection.getresponse().status
    finally:
        watch.cancel()


def _named(target: Target) -> str:
    host = f"[{target.host}]" if ":" in target.host else target.host
    usual = {"http": 80, "https": 443}[target.scheme]
    return host if target.port == usual else f"{host}:{target.port}"


def _cut(connected: socket.socket) -> None:
    with suppress(OSError):
        connected.shutdown(socket.SHUT_RDWR)
