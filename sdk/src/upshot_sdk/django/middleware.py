"""``request.flags``: those of the visitor, who is looked for when the first flag is asked."""

import asyncio
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.http import HttpRequest, HttpResponseBase
from django.utils.cache import patch_vary_headers

from upshot_sdk.django.conf import read_settings
from upshot_sdk.django.process import client
from upshot_sdk.visit import Flags, Visitors


class FlagsMiddleware:
    """Gives each request its flags. A page that asks for none touches neither session nor cookie, and stays cacheable.

    It may stand anywhere below the cache's middleware. In an asynchronous view, `await request.flags.load()` first.
    """

    sync_capable = async_capable = True

    def __init__(self, get_response: Any) -> None:
        """Raises ImproperlyConfigured where ``UPSHOT`` cannot be used."""
        settings = read_settings()
        self._get_response = get_response
        self._asynchronous = iscoroutinefunction(get_response)
        if self._asynchronous:
            markcoroutinefunction(self)
        self._visitors: Visitors[HttpRequest] = Visitors(
            client,
            user=settings.user or logged_in,
            attributes=settings.attributes,
            consent=settings.consent if settings.url else lambda _: False,
            cookie=settings.cookie,
        )

    def __call__(self, request: HttpRequest) -> Any:
        flags = Flags(self._visitors, request, request.META.get("HTTP_COOKIE", ""), request.is_secure())
        request.flags = flags
        if self._asynchronous:
            return self._later(flags, self._get_response(request))
        return _answered(flags, self._get_response(request))

    async def _later(self, flags: Flags[HttpRequest], response: Any) -> HttpResponseBase:
        return _answered(flags, await response)


def logged_in(request: HttpRequest) -> Any:
    """The id of the user who is logged in, None for nobody; awaitable where Django allows no waiting."""
    if not hasattr(request, "user"):
        return None
    if _in_event_loop() and not hasattr(request, "_cached_user"):
        return sync_to_async(_user_id)(request)
    return _user_id(request)


def _user_id(request: HttpRequest) -> Any:
    return str(request.user.pk) if request.user.is_authenticated else None


def _in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _answered(flags: Flags[HttpRequest], response: HttpResponseBase) -> HttpResponseBase:
    present = {name.lower() for name in response.headers}
    for name, value in flags.headers(present):
        if name == "Vary":
            patch_vary_headers(response, [value])
        elif name == "Set-Cookie":
            response.cookies.load(value)
        else:
            response.headers[name] = value
    return response
