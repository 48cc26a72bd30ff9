"""The answer where something of ours broke.

Starlette's own handler of faults stands outside of all other middleware, so that a page would not be allowed to read
its answer; this one stands inside of CORS.
"""

import logging

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_log = logging.getLogger("upshot")


class Faults:
    """ASGI middleware that logs an exception and answers 500, or breaks off an answer that had begun."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        began = False

        async def watched(message: Message) -> None:
            nonlocal began
            began = began or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception:
            if began or scope["type"] != "http":
                raise
            _log.exception("a fault while answering %s %s", scope["method"], scope["path"])
            answer = JSONResponse({"errorDetails": "a fault of ours; the server's log has more"}, 500)
            await answer(scope, receive, send)
