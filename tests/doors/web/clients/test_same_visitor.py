"""One visitor for server and browser: a WSGI application with the SDK, `/upshot.js` in Chromium, one `upshot serve`."""

import threading
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest

from upshot_sdk import Client
from upshot_sdk.wsgi import FlagsMiddleware


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def shop(served, tmp_path):
    """The address of an application whose page shows, at /flagged, what the server chose; and whom it knew."""
    client = Client(served.url, served.server_key, directory=tmp_path)
    script = f'<script src="{served.url}/upshot.js" data-key="{served.client_key}"></script>'
    known = []

    def app(environ, start_response):
        flags, shown = environ["upshot.flags"], ""
        if environ["PATH_INFO"] == "/flagged":
            shown = flags.variant("checkout")
            known.append(flags.context["targetingKey"])
        start_response("200 OK", [("Content-Type", "text/html")])
        return [f"<!doctype html><title>{shown}</title>{script}".encode()]

    with make_server("127.0.0.1", 0, FlagsMiddleware(app, client), handler_class=Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", known
        server.shutdown()
        thread.join()
    client.close(0.1)


@pytest.mark.parametrize("first", ["/flagged", "/plain"], ids=["the server is first", "the script is first"])
def test_server_and_browser_show_one_visitor_one_variant(chromium, shop, first):
    url, known = shop
    for _ in range(3):
        context = chromium.new_context()
        page = context.new_page()
        known.clear()
        for path in (first, "/flagged"):
            page.goto(url + path)
            page.evaluate("upshot.ready")
        (cookie,) = [one for one in context.cookies() if one["name"] == "upshot_id"]
        assert set(known) == {cookie["value"]}
        assert page.title() in ("control", "treatment")
        assert page.evaluate("upshot.variant('checkout')") == page.title()
        context.close()
