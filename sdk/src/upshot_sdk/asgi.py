"""Flags in any ASGI application: ``scope["state"]["upshot"]`` holds those of the request's visitor.

    app = FlagsMiddleware(app, Client(url, key), user=lambda scope: scope["session"].get("user"))

In Starlette and FastAPI that is ``request.state.upshot``.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from upshot_sdk.identity import UnitCookie
from upshot_sdk.visit import Client, Flags, Hook, Visitors

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

KEY = "upshot"


class FlagsMiddleware:
    """Puts the visitor's flags into the state, and the cookie that keeps the visitor on the response.

    A websocket has flags too, for a visitor whose cookie came with it; it sets none.
    """

    def __init__(
        self,
        app: App,
        client: Client,
        *,
        user: Hook[Scope] | None = None,
        attributes: Hook[Scope] | None = None,
        consent: Hook[Scope] | None = None,
        cookie: UnitCookie | None = None,
    ) -> None:
        """Args: the application, the client, and the hooks and cookie of `Visitors`, called with the scope."""
        self._app = app
        self._visitors: Visitors[Scope] = Visitors(
            client, user=user, attributes=attributes, consent=consent, cookie=cookie
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        https = scope.get("scheme") in ("https", "wss")
        flags = Flags(self._visitors, scope, _cookies(scope), https)
        scope.setdefault("state", {})[KEY] = flags
        if scope["type"] == "websocket":
            flags.headers(())
            await self._app(scope, receive, send)
            return

        async def send_with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", ()))
                added = flags.headers({bytes(name).lower().decode("latin-1") for name, _ in headers})
                headers += [
                    (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in added
                ]
                message = {**message, "headers": headers}
            await send(message)

        await self._app(scope, receive, send_with_cookie)


def _cookies(scope: Scope) -> str:
    """The Cookie header; HTTP/2 may send it in pieces."""
    pieces = [bytes(value).decode("latin-1") for name, value in scope["headers"] if name.lower() == b"cookie"]
    return "; ".join(pieces)
