"""The setting ``UPSHOT``: read, checked, and every mistake in one sentence."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from upshot_sdk.identity import UnitCookie

KEYS = ("URL", "KEY", "USER", "ATTRIBUTES", "CONSENT", "COOKIE", "CLIENT")

RequestHook = Callable[[Any], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What ``UPSHOT`` says.

    Attributes:
        url, key: of the server; without them (``"URL": None``) flags are off and answer the defaults.
        user, attributes, consent: hooks of `upshot_sdk.visit.Visitors`, called with the request.
        cookie: the unit cookie. client: further arguments of `upshot_sdk.Client`.
    """

    url: str | None
    key: str
    user: RequestHook | None = None
    attributes: RequestHook | None = None
    consent: RequestHook | None = None
    cookie: UnitCookie = field(default_factory=UnitCookie)
    client: Mapping[str, Any] = field(default_factory=dict)


def read_settings() -> Settings:
    """The setting as it stands.

    Raises:
        ImproperlyConfigured: it is missing, or a part of it cannot be used.
    """
    given = getattr(settings, "UPSHOT", None)
    if not isinstance(given, Mapping):
        raise ImproperlyConfigured('UPSHOT is not set: give UPSHOT = {"URL": ..., "KEY": ...}')
    for name in given:
        if name not in KEYS:
            near = get_close_matches(str(name).upper(), KEYS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(KEYS)}"
            raise ImproperlyConfigured(f"UPSHOT has no key {name!r}: {hint}")
    url = _url(given)
    return Settings(
        url=url,
        key=_key(given) if url else "",
        user=_hook(given, "USER"),
        attributes=_hook(given, "ATTRIBUTES"),
        consent=_hook(given, "CONSENT"),
        cookie=_cookie(_mapping(given, "COOKIE")),
        client=_mapping(given, "CLIENT"),
    )


def _url(given: Mapping[str, Any]) -> str | None:
    if "URL" not in given:
        raise ImproperlyConfigured(
            'UPSHOT has no "URL": give the address of the server, or None to be without flags'
        )
    url = given["URL"]
    if url is not None and (not isinstance(url, str) or not url):
        raise ImproperlyConfigured(f'UPSHOT["URL"] is {url!r}: give the address of the server, or None')
    return url


def _key(given: Mapping[str, Any]) -> str:
    key = given.get("KEY")
    if not isinstance(key, str) or not key:
        raise ImproperlyConfigured('UPSHOT["KEY"] is missing: give a server key')
    return key


def _hook(given: Mapping[str, Any], name: str) -> RequestHook | None:
    hook = given.get(name)
    if isinstance(hook, str):
        try:
            hook = import_string(hook)
        except ImportError as error:
            raise ImproperlyConfigured(f'UPSHOT["{name}"] cannot be imported: {error}') from None
    if hook is not None and not callable(hook):
        raise ImproperlyConfigured(
            f'UPSHOT["{name}"] is {hook!r}: give a function of the request, or its path'
        )
    return hook


def _mapping(given: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = given.get(name, {})
    if not isinstance(found, Mapping):
        raise ImproperlyConfigured(f'UPSHOT["{name}"] is {found!r}: give a dict')
    return found


def _cookie(given: Mapping[str, Any]) -> UnitCookie:
    try:
        return UnitCookie(**given)
    except (TypeError, ValueError) as error:
        raise ImproperlyConfigured(f'UPSHOT["COOKIE"]: {error}') from None
