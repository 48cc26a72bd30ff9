import logging
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import httpx
import pytest

from upshot.model.flag import Flag
from upshot.settings import Settings

BULK = "/ofrep/v1/evaluate/flags"
ASKED = {"context": {"targetingKey": "user-1"}}
ORIGIN = {"Origin": "https://shop.example"}


def preflight(client, method="POST", headers="authorization,content-type,if-none-match,x-api-key", **more):
    asking = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers}
    return client.request("OPTIONS", BULK, headers={**ORIGIN, **asking, **more})


def test_a_page_of_any_origin_may_ask(shared):
    with shared.client({}) as client:
        asked = preflight(client)
        assert asked.status_code == 200
        assert asked.headers["access-control-allow-origin"] == "*"
        allowed = asked.headers["access-control-allow-headers"].lower()
        assert all(
            name in allowed for name in ("authorization", "content-type", "if-none-match", "x-api-key")
        )
        assert "POST" in asked.headers["access-control-allow-methods"]
        assert asked.headers["access-control-max-age"] == "7200"


def test_pages_can_read_answers_and_refusals_alike(shared):
    with shared.client() as client:
        answered = client.post(BULK, json=ASKED, headers=ORIGIN)
        exposed = answered.headers["access-control-expose-headers"]
        assert {name.strip() for name in exposed.split(",")} == {"ETag", "Retry-After"}
        refused = client.post(BULK, json=ASKED, headers={**ORIGIN, "Authorization": "Bearer wrong"})
        large = client.post(BULK, content=b"x" * 100_000, headers=ORIGIN)
        lost = client.get("/nothing", headers=ORIGIN)
        for answer, status in ((answered, 200), (refused, 401), (large, 413), (lost, 404)):
            assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (status, "*")


def test_origins_can_be_limited(start):
    with start(allowed_origins=("https://shop.example",)) as running, running.client() as client:
        assert preflight(client).headers["access-control-allow-origin"] == "https://shop.example"
        assert preflight(client, Origin="https://evil.example").status_code == 400
        other = client.post(BULK, json=ASKED, headers={"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in other.headers
        own = client.post(BULK, json=ASKED, headers=ORIGIN)
        assert own.headers["access-control-allow-origin"] == "https://shop.example"
        assert "Origin" in own.headers["vary"]


def test_health_needs_no_key_and_tells_no_secret(shared):
    with shared.client({}) as client:
        assert client.get("/healthz").json() == {"status": "alive"}
        ready = client.get("/readyz")
        assert ready.status_code == 200
        assert ready.json()["status"] == "ready"
        assert client.head("/healthz").status_code == 200


def test_a_server_that_stops_is_not_ready(own):
    own.live.end()
    with own.client({}) as client:
        assert client.get("/readyz").status_code == 503


@pytest.mark.parametrize(
    "path", ["/", "/nothing", "/v1/events", "/ofrep/v1/configuration", "/v1/ruleset/", "/%00"]
)
def test_unknown_paths_are_json(shared, path):
    with shared.client() as client:
        for method in ("GET", "POST"):
            answer = client.request(method, path)
            assert answer.status_code == 404
            assert answer.headers["content-type"] == "application/json"
            assert set(answer.json()) == {"errorDetails"}


def test_the_script(shared):
    with shared.client({}) as client:
        answer = client.get("/upshot.js")
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
        assert answer.headers["cache-control"] == "public, max-age=3600"
        assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
        assert "upshot" in answer.text
        again = client.get("/upshot.js", headers={"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


def test_edited_flags_are_soon_in_force(own):
    with own.client() as client:
        assert client.post(f"{BULK}/plain", json=ASKED).json()["value"] is True
        own.store.edit(Flag(key="plain", type="boolean", variants={"on": True, "off": False}, default="off"))
        assert own.answers_soon(client, "plain", value=False)


def test_a_bad_edit_is_told_once_and_leaves_the_last_good_one_in_force(own, caplog):
    caplog.set_level(logging.INFO, logger="upshot")
    with own.client() as client:
        before = client.get("/v1/ruleset")
        own.store.edit(problems=("a.yaml: flags.x is spoilt", "b.yaml: flags.y is, too"))
        time.sleep(0.5)
        after = client.get("/v1/ruleset")
        assert (after.status_code, after.headers["etag"]) == (200, before.headers["etag"])
        told = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
        assert told == ["not served: a.yaml: flags.x is spoilt", "not served: b.yaml: flags.y is, too"]
        own.store.edit(Flag(key="new", type="boolean", variants={"on": True}, default="on"))
        assert own.answers_soon(client, "new", value=True)


def test_one_more_look_is_enough_for_all_who_heard_of_an_edit(own):
    looks = []
    version = own.store.version

    def slowly():
        looks.append(1)
        time.sleep(0.2)
        return version()

    own.store.version = slowly

    def ask(_):
        with own.client() as client:
            return client.post(BULK, params={"flagConfigEtag": '"newer"'}, json=ASKED).status_code

    with ThreadPoolExecutor(30) as pool:
        assert set(pool.map(ask, range(30))) == {200}
    assert len(looks) < 25, "each of the 30 would have made its own"


def test_a_store_that_breaks_leaves_the_server_running(own, monkeypatch, caplog):
    def broken():
        raise OSError("the disk is gone")

    with own.client() as client:
        monkeypatch.setattr(own.store, "version", broken)
        time.sleep(0.3)
        assert client.post(BULK, json=ASKED).status_code == 200
        assert "the last good ones are served" in caplog.text
        monkeypatch.undo()
        own.store.edit(Flag(key="new", type="boolean", variants={"on": True}, default="on"))
        assert own.answers_soon(client, "new", value=True)


def test_a_fault_of_ours_shows_no_traceback(own, monkeypatch, caplog):
    def broken(*_):
        raise RuntimeError("secret detail")

    monkeypatch.setattr("upshot.doors.web.ofrep.metadata_of", broken)
    with own.client() as client:
        answer = client.post(f"{BULK}/plain", json=ASKED, headers=ORIGIN)
    assert answer.status_code == 500
    assert answer.headers["access-control-allow-origin"] == "*", "or the page could not read it"
    assert answer.json() == {"errorDetails": "a fault of ours; the server's log has more"}
    assert own.forgot_all_requests()
    assert "secret detail" in caplog.text


def test_an_answer_that_had_begun_breaks_off(own, monkeypatch):
    async def broken(*_):
        yield b"retry: 1\n\n"
        raise RuntimeError("secret detail")

    monkeypatch.setattr("upshot.doors.web.streams._follow", broken)
    with own.client() as client, pytest.raises(httpx.RemoteProtocolError):
        client.get("/v1/ruleset/stream")


def test_no_address_is_ever_logged(own, caplog):
    caplog.set_level(0)
    with own.client() as client:
        (stream,) = client.post(BULK, json=ASKED).json()["eventStreams"]
        with client.stream("GET", stream["endpoint"]["requestUri"]):
            pass
    token = stream["endpoint"]["requestUri"].partition("token=")[2]
    ours = [record for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))]
    assert all(token not in record.getMessage() for record in ours)


def test_an_application_needs_keys():
    from upshot.doors.web.app import create_app

    with pytest.raises(ValueError, match="settings without keys"):
        create_app(None, None, Settings())


def test_a_signal_that_comes_before_the_server_listens_to_them_ends_it_all_the_same(own, monkeypatch):
    from upshot.doors.web import server as module

    kept = signal.getsignal(signal.SIGTERM)
    plain = module.server_of

    class Early:
        def __init__(self, app):
            self._server = plain(app)

        def __setattr__(self, name, value):
            if name == "_server":
                object.__setattr__(self, name, value)
            else:
                setattr(self._server, name, value)

        def run(self, sockets):
            signal.raise_signal(signal.SIGTERM)  # nobody but `run` has set a handler yet
            self._server.run(sockets=sockets)

    monkeypatch.setattr(module, "server_of", Early)
    with closing(module.listen("127.0.0.1", 0)) as listening:
        try:
            module.run(own.app, listening)
        finally:
            signal.signal(signal.SIGTERM, kept)
