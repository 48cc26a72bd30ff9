"""WSGI over real sockets: wsgiref serves, http.client asks, the real client evaluates and sends."""

import http.client
import sys
import threading
from contextlib import contextmanager
from http.cookies import SimpleCookie
from pathlib import Path
from wsgiref.simple_server import WSGIRequestHandler, make_server
from wsgiref.util import FileWrapper
from wsgiref.validate import validator

import pytest
from checkout import PAYLOAD

from upshot_sdk import Client
from upshot_sdk.wsgi import FlagsMiddleware

ID = "0123456789abcdef0123456789abcdef"


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


@contextmanager
def served(app):
    """A real server; gives a function that asks it: (status, headers, body)."""
    with make_server("127.0.0.1", 0, app, handler_class=Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()

        def ask(path="/", cookie=None, method="GET"):
            connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=5)
            connection.request(method, path, headers={"Cookie": cookie} if cookie else {})
            answer = connection.getresponse()
            body = answer.read()
            connection.close()
            return answer.status, answer.headers, body.decode()

        try:
            yield ask
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def platform(serve):
    return serve(PAYLOAD)


@pytest.fixture
def client(platform, tmp_path):
    with Client(platform.url, platform.key, directory=tmp_path, stream=False) as client:
        yield client


def page(environ, start_response):
    variant = environ["upshot.flags"].variant("checkout")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [variant.encode()]


def plain(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"no flag here"]


def started_before_asking(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["upshot.flags"].variant("checkout").encode()]


def streaming(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])

    def pieces():
        yield environ["upshot.flags"].variant("checkout").encode()
        yield b" and more"

    return pieces()


def started_by_its_generator(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield environ["upshot.flags"].variant("checkout").encode()


def written(environ, start_response):
    write = start_response("200 OK", [("Content-Type", "text/plain")])
    write(environ["upshot.flags"].variant("checkout").encode())
    return []


def kept_cookie(headers):
    return SimpleCookie(headers["Set-Cookie"])["upshot_id"].value


@pytest.mark.parametrize(
    "app", [page, started_before_asking, streaming, started_by_its_generator, written], ids=lambda app: app.__name__
)  # fmt: skip
def test_a_visitor_gets_a_cookie_and_the_same_variant_ever_after(app, client):
    with served(validator(FlagsMiddleware(validator(app), client))) as ask:
        for _ in range(4):
            status, headers, body = ask()
            assert (status, headers["Vary"], headers["Cache-Control"]) == (200, "Cookie", "private")
            cookie = kept_cookie(headers)
            expected = client.peek("checkout", {"targetingKey": cookie}).variant
            assert body.split()[0] == expected
            _, again, same = ask(cookie=f"upshot_id={cookie}")
            assert (same, again["Set-Cookie"], again["Vary"]) == (body, None, "Cookie")


def test_a_page_without_flags_is_left_alone(client):
    with served(validator(FlagsMiddleware(plain, client))) as ask:
        _, headers, body = ask()
    assert body == "no flag here"
    assert [headers[name] for name in ("Set-Cookie", "Vary", "Cache-Control")] == [None, None, None]


def test_what_reaches_the_platform(client, platform):
    def shop(environ, start_response):
        flags = environ["upshot.flags"]
        flags.value("checkout", "old")
        if environ["PATH_INFO"] == "/buy":
            flags.track("Purchase", {"value": 12.5})
        start_response("200 OK", [])
        return [b""]

    middleware = FlagsMiddleware(
        shop, client, user=lambda environ: "ann" if environ["PATH_INFO"] == "/buy" else None
    )
    with served(middleware) as ask:
        cookie = kept_cookie(ask("/")[1])
        for _ in range(2):
            ask("/buy", cookie=f"upshot_id={cookie}")
    assert client.flush()
    exposures = platform.tracked("Experiment Viewed")
    assert len(exposures) == 1
    assert (exposures[0]["anonymousId"], exposures[0]["properties"]["unit_id"]) == (cookie, cookie)
    purchases = platform.tracked("Purchase")
    assert [(one["userId"], one["anonymousId"]) for one in purchases] == [("ann", cookie)] * 2
    links = [one for one in platform.messages if one["type"] == "identify"]
    assert [(one["userId"], one["anonymousId"]) for one in links] == [("ann", cookie)]


def test_hooks_get_the_environ_and_consent_is_heard(client, platform):
    def shown(environ, start_response):
        environ["upshot.flags"].track("Seen")
        start_response("200 OK", [])
        return [b""]

    def agreed(environ):
        return "agreed=1" in environ["HTTP_COOKIE"]

    with served(FlagsMiddleware(shown, client, consent=agreed)) as ask:
        assert ask(cookie="agreed=0")[1]["Set-Cookie"] is None
        assert ask(cookie=f"upshot_id={ID}")[1]["Set-Cookie"].startswith("upshot_id=; Max-Age=0")
        assert kept_cookie(ask(cookie="agreed=1")[1])
    assert client.flush()
    assert len(platform.tracked("Seen")) == 1


def test_a_kept_list_and_a_file_reach_the_server_as_they_are(client):
    bodies = []

    def remembering(body):
        def app(environ, start_response):
            environ["upshot.flags"].variant("checkout")
            start_response("200 OK", [])
            bodies.append(body(environ))
            return bodies[-1]

        return FlagsMiddleware(app, client)

    environ = {"wsgi.file_wrapper": FileWrapper, "wsgi.url_scheme": "https"}
    told = []
    for body in (lambda _: [b"x"], lambda _: FileWrapper(Path(__file__).open("rb"))):  # noqa: SIM115
        result = remembering(body)(environ, lambda *given: told.append(given))
        assert result is bodies[-1]
    assert all("; Secure" in dict(headers)["Set-Cookie"] for _, headers in told)
    bodies[-1].close()


def test_the_body_of_the_application_is_closed(client):
    closed = []

    class Body:
        def __iter__(self):
            return iter([b"one", b"two"])

        def close(self):
            closed.append(True)

    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return Body()

    with served(validator(FlagsMiddleware(app, client))) as ask:
        assert ask()[2] == "onetwo"
    assert closed == [True]


def test_an_error_before_the_first_piece_replaces_the_head(client):
    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        try:
            {}["no such page"]
        except KeyError:
            start_response("404 Not Found", [("Content-Type", "text/plain")], sys.exc_info())
        return [environ["upshot.flags"].variant("checkout").encode()]

    with served(FlagsMiddleware(app, client)) as ask:
        status, headers, _ = ask()
    assert status == 404
    assert kept_cookie(headers)


def test_starting_twice_is_refused(client):
    def app(environ, start_response):
        start_response("200 OK", [])
        start_response("200 OK", [])
        return [b""]

    with pytest.raises(AssertionError, match="twice"):
        FlagsMiddleware(app, client)({"wsgi.url_scheme": "http"}, lambda *_: None)
