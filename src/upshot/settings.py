"""What a server is told by its environment: a frozen value, read once at the start."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from upshot.errors import InputError

SHORTEST_KEY = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of a server.

    Attributes:
        server_key: opens everything a server may ask for, rules included; None: not set.
        client_key: goes to browsers and phones and opens evaluated values only; None: not set.
        allowed_origins: web origins whose pages may ask; ``*`` is any.
        flag_set: names these flags in what evaluations report (``flagSetId``, OpenTelemetry's feature_flag.set.id).
        rate_limit: events a second that each write key may send to a process; None: any number.
        alerts: addresses that alerts go to. alert_secret: what webhooks are signed with; None: not set.
        alerts_allow: hosts, addresses and networks that alerts may go to although they are not public.
        error_event, error_property, latency_property: what monitoring takes for an error and for a latency; None: as
            it does by default.
        clock: the file of a clock that a simulation moves; None: the system's is used.
        keep_days: events that were received more days ago are removed; None: they are kept for ever.
    """

    server_key: str | None = field(default=None, repr=False)
    client_key: str | None = field(default=None, repr=False)
    allowed_origins: tuple[str, ...] = ("*",)
    flag_set: str = "default"
    rate_limit: float | None = None
    alerts: tuple[str, ...] = field(default=(), repr=False)
    alert_secret: str | None = field(default=None, repr=False)
    alerts_allow: tuple[str, ...] = ()
    error_event: str | None = None
    error_property: str | None = None
    latency_property: str | None = None
    clock: str | None = None
    keep_days: int | None = None


def read_settings(environ: Mapping[str, str]) -> Settings:
    """The settings that an environment gives.

    Raises:
        InputError: a setting cannot be used; the message names it, and never shows a key.

    >>> read_settings({"UPSHOT_ALLOWED_ORIGINS": "https://shop.example, https://m.shop.example"}).allowed_origins
    ('https://shop.example', 'https://m.shop.example')
    """
    server_key, client_key = (_key(name, environ) for name in ("UPSHOT_SERVER_KEY", "UPSHOT_CLIENT_KEY"))
    if server_key and server_key == client_key:
        raise InputError(
            "UPSHOT_CLIENT_KEY is the same as UPSHOT_SERVER_KEY: every browser would hold the server's key; "
            "give another"
        )
    return Settings(
        server_key=server_key,
        client_key=client_key,
        allowed_origins=_origins(environ.get("UPSHOT_ALLOWED_ORIGINS") or "*"),
        flag_set=environ.get("UPSHOT_FLAG_SET") or "default",
        rate_limit=_rate(environ.get("UPSHOT_RATE_LIMIT")),
        alerts=tuple(environ.get("UPSHOT_ALERTS", "").split()),
        alert_secret=environ.get("UPSHOT_ALERT_SECRET") or None,
        alerts_allow=tuple(environ.get("UPSHOT_ALERTS_ALLOW", "").replace(",", " ").split()),
        error_event=environ.get("UPSHOT_ERROR_EVENT") or None,
        error_property=environ.get("UPSHOT_ERROR_PROPERTY") or None,
        latency_property=environ.get("UPSHOT_LATENCY_PROPERTY") or None,
        clock=environ.get("UPSHOT_CLOCK") or None,
        keep_days=_days(environ.get("UPSHOT_KEEP_EVENTS")),
    )


def _key(name: str, environ: Mapping[str, str]) -> str | None:
    key = environ.get(name)
    if not key:
        return None
    if len(key) < SHORTEST_KEY:
        raise InputError(
            f"{name} has {len(key)} characters: give at least {SHORTEST_KEY}, "
            'such as python -c "import secrets; print(secrets.token_urlsafe(32))" makes'
        )
    if not all("!" <= character <= "~" for character in key):
        raise InputError(f"{name} holds a blank or a character beyond ASCII, which no header can carry")
    if ":" in key:
        raise InputError(f"{name} holds a colon, which ends the user of Basic authorization: give another")
    return key


def _origins(text: str) -> tuple[str, ...]:
    origins = tuple(origin.strip() for origin in text.split(",") if origin.strip())
    for origin in origins:
        scheme, separator, host = origin.partition("://")
        if origin != "*" and (scheme not in ("http", "https") or not separator or not host or "/" in host):
            raise InputError(
                f"UPSHOT_ALLOWED_ORIGINS holds {origin!r}: write * or origins like https://shop.example, "
                "with commas between"
            )
    return origins


def _rate(text: str | None) -> float | None:
    if not text:
        return None
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate < float("inf"):
        raise InputError(f"UPSHOT_RATE_LIMIT is {text!r}: give events a second, such as 1000")
    return rate


def _days(text: str | None) -> int | None:
    if not text:
        return None
    digits = text.removesuffix("d")
    if not (digits.isascii() and digits.isdigit() and 1 <= int(digits) <= 36_500):
        raise InputError(f"UPSHOT_KEEP_EVENTS is {text!r}: give days, such as 400d")
    return int(digits)
