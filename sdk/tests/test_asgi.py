"""ASGI over real sockets: uvicorn serves, http.client asks, the real client evaluates and sends."""

import asyncio
import http.client
import threading
from contextlib import contextmanager
from http.cookies import SimpleCookie

import pytest
import uvicorn
from checkout import PAYLOAD
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

from upshot_sdk import Client
from upshot_sdk.asgi import FlagsMiddleware

ID = "0123456789abcdef0123456789abcdef"


@contextmanager
def served(app):
    """A real server; gives a function that asks it: (status, headers, body)."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", ws="none"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        threading.Event().wait(0.005)
    port = server.servers[0].sockets[0].getsockname()[1]

    def ask(path="/", cookie=None):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", path, headers={"Cookie": cookie} if cookie else {})
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, answer.headers, body.decode()

    try:
        yield ask
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def platform(serve):
    return serve(PAYLOAD)


@pytest.fixture
def client(platform, tmp_path):
    with Client(platform.url, platform.key, directory=tmp_path, stream=False) as client:
        yield client


async def bare(scope, receive, send):
    """An application of no framework, which streams, and starts before it asks."""
    assert scope["type"] == "http"
    flags = scope["state"]["upshot"]
    early = scope["path"] != "/late"
    variant = flags.variant("checkout") if early else ""
    await send({"type": "http.response.start", "status": 200})
    variant = variant or str(flags.variant("checkout"))
    await send({"type": "http.response.body", "body": variant.encode(), "more_body": True})
    await send({"type": "http.response.body", "body": b" and more"})


async def shop(request):
    return PlainTextResponse(request.state.upshot.variant("checkout"))


async def plain(request):
    return PlainTextResponse("no flag here")


async def streaming(request):
    variant = request.state.upshot.variant("checkout")

    async def pieces():
        yield variant
        yield " and more"

    return StreamingResponse(pieces(), headers={"Cache-Control": "no-store"})


async def buy(request):
    flags = await request.state.upshot.load()
    flags.value("checkout", "old")
    flags.track("Purchase", {"value": 12.5})
    return PlainTextResponse("thanks")


def starlette(client, **hooks):
    routes = [
        Route("/", shop), Route("/plain", plain), Route("/stream", streaming), Route("/buy", buy),
    ]  # fmt: skip
    return Starlette(routes=routes, middleware=[Middleware(FlagsMiddleware, client=client, **hooks)])


def kept_cookie(headers):
    return SimpleCookie(headers["Set-Cookie"])["upshot_id"].value


@pytest.mark.parametrize("path", ["/", "/stream"])
def test_a_visitor_gets_a_cookie_and_the_same_variant_ever_after(path, client):
    with served(starlette(client)) as ask:
        for _ in range(4):
            status, headers, body = ask(path)
            assert (status, headers["Vary"]) == (200, "Cookie")
            assert headers.get_all("Cache-Control") == [{"/": "private", "/stream": "no-store"}[path]]
            cookie = kept_cookie(headers)
            assert body.split()[0] == client.peek("checkout", {"targetingKey": cookie}).variant
            _, again, same = ask(path, cookie=f"upshot_id={cookie}")
            assert (same, again["Set-Cookie"], again["Vary"]) == (body, None, "Cookie")


def test_without_a_framework(client):
    with served(FlagsMiddleware(bare, client)) as ask:
        _, headers, body = ask()
        assert body.split()[0] == client.peek("checkout", {"targetingKey": kept_cookie(headers)}).variant
        _, headers, body = ask("/late")
        assert (body, headers["Set-Cookie"]) == ("None and more", None)
        assert ask("/late", cookie=f"upshot_id={ID}")[2] == ask(cookie=f"upshot_id={ID}")[2]


def test_a_page_without_flags_is_left_alone(client):
    with served(starlette(client)) as ask:
        _, headers, body = ask("/plain")
    assert body == "no flag here"
    assert [headers[name] for name in ("Set-Cookie", "Vary", "Cache-Control")] == [None, None, None]


def test_what_reaches_the_platform_where_sessions_are_asynchronous(client, platform):
    async def user(scope):
        await asyncio.sleep(0)
        return "ann" if scope["path"] == "/buy" else None

    with served(starlette(client, user=user)) as ask:
        cookie = kept_cookie(ask("/buy")[1])
        ask("/buy", cookie=f"upshot_id={cookie}")
    assert client.flush()
    assert len(platform.tracked("Experiment Viewed")) == 1
    bought = [(one["userId"], one["anonymousId"]) for one in platform.tracked("Purchase")]
    assert bought == [("ann", cookie)] * 2
    links = [(one["userId"], one["anonymousId"]) for one in platform.messages if one["type"] == "identify"]
    assert links == [("ann", cookie)]


def run(app, scope):
    """One connection without a server: what the application sent."""
    sent = []

    async def send(message):
        sent.append(message)

    asyncio.run(app(scope, None, send))
    return sent


def test_a_websocket_has_flags_and_sets_no_cookie(client):
    answers = []

    async def app(scope, receive, send):
        answers.append(scope["state"]["upshot"].variant("checkout"))
        await send({"type": "websocket.accept"})

    middleware = FlagsMiddleware(app, client)
    for headers in ([], [(b"cookie", f"upshot_id={ID}".encode())]):
        assert run(middleware, {"type": "websocket", "scheme": "wss", "headers": headers}) == [
            {"type": "websocket.accept"}
        ]
    assert answers == [None, client.peek("checkout", {"targetingKey": ID}).variant]


def test_cookies_in_pieces_and_https(client):
    pieces = [(b"cookie", b"theme=dark"), (b"cookie", f"upshot_id={ID}".encode())]
    state = {"db": "shared"}
    scope = {"type": "http", "scheme": "https", "path": "/", "headers": pieces, "state": state}
    run(FlagsMiddleware(bare, client), scope)
    assert state["upshot"].context["targetingKey"] == ID
    sent = run(FlagsMiddleware(bare, client), {**scope, "headers": [], "state": {}})
    assert dict(sent[0]["headers"])[b"set-cookie"].endswith(b"; Secure")


def test_lifespan_passes_untouched(client):
    seen = []

    async def app(scope, receive, send):
        seen.append(scope)

    scope = {"type": "lifespan"}
    run(FlagsMiddleware(app, client), scope)
    assert seen == [{"type": "lifespan"}]
