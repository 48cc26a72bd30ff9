"""An application that is made by its first request: once, off the loop, and again where making it failed."""

import asyncio
import threading

import httpx
import pytest
from starlette.responses import PlainTextResponse

from upshot.doors.web.later import Later


def asked(later, times=1):
    """The answers to so many requests at once."""

    async def ask():
        transport = httpx.ASGITransport(later)
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            return await asyncio.gather(*(client.get("/") for _ in range(times)))

    return [answer.text for answer in asyncio.run(ask())]


def test_it_is_made_once_and_off_the_loop():
    made = []

    def make():
        made.append(threading.current_thread())
        return PlainTextResponse("here")

    later = Later(make)
    assert made == []
    assert asked(later, 5) == ["here"] * 5
    assert len(made) == 1
    assert made[0] is not threading.main_thread()


def test_what_fails_once_is_made_by_the_next():
    makes = iter([ZeroDivisionError(), PlainTextResponse("here")])

    def make():
        found = next(makes)
        if isinstance(found, Exception):
            raise found
        return found

    later = Later(make)
    with pytest.raises(ZeroDivisionError):
        asked(later)
    assert asked(later) == ["here"]
