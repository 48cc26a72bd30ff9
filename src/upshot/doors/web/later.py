"""An application that is made when it is first asked, so that nobody else waits for what it loads."""

import asyncio
from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send


class Later:
    """Stands for an application that is made off the event loop by the first request that it gets."""

    def __init__(self, make: Callable[[], ASGIApp]) -> None:
        self._make = make
        self._made: ASGIApp | None = None
        self._alone = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        made = self._made or await self._once()
        await made(scope, receive, send)

    async def _once(self) -> ASGIApp:
        async with self._alone:
            if self._made is None:
                self._made = await asyncio.to_thread(self._make)
            return self._made
