"""Clients for Segment and RudderStack from PyPI and npm, unchanged, that send to a real `upshot serve`."""

import json
import time

import pytest

from upshot_sdk import Client

CALLS = {
    "identify": (None, {"plan": "pro"}),
    "track": ("Bought", {"value": 12.5, "items": ["a", "b"]}),
    "page": ("Home", {}),
    "screen": ("Start", {}),
    "group": (None, {"seats": 5}),
}


def by_kind(events):
    found = {event.type: event for event in events}
    assert len(found) == len(events)
    return found


def holds(found, source):
    """That every call came in with its content."""
    assert set(found) == {*CALLS, "alias"}
    for kind, (name, content) in CALLS.items():
        event = found[kind]
        assert (event.event, event.source) == (name, source), kind
        assert content.items() <= json.loads(event.properties).items(), kind
        assert not event.hashed_id
        assert abs(event.received_at / 1e6 - time.time()) < 120
    assert found["track"].user_id == "user-1"
    assert found["group"].group_id == "team-1"


def send_all(client):
    client.identify(user_id="user-1", anonymous_id="visitor-1", traits={"plan": "pro"})
    client.track("user-1", "Bought", {"value": 12.5, "items": ["a", "b"]}, anonymous_id="visitor-1")
    client.page(anonymous_id="visitor-1", name="Home")
    client.screen(anonymous_id="visitor-1", name="Start")
    client.group("user-1", "team-1", {"seats": 5})
    client.alias("visitor-1", "user-1")


@pytest.mark.parametrize("gzip", [False, True])
def test_segment_for_python(served, gzip):
    """PyPI's segment-analytics-python."""
    from segment.analytics.client import Client as Segment

    failures = []
    with served.new_events(6) as events:
        client = Segment(
            served.server_key,
            host=served.url,
            gzip=gzip,
            on_error=lambda error, items: failures.append(error),
        )
        send_all(client)
        client.flush()
        client.join()
    assert failures == []
    found = by_kind(events)
    holds(found, "server")
    assert (found["alias"].anonymous_id, found["alias"].user_id) == ("visitor-1", "user-1")


def test_segment_for_python_keeps_hundreds_in_batches(served):
    from segment.analytics.client import Client as Segment

    with served.new_events(350) as events:
        client = Segment(served.server_key, host=served.url, gzip=True)
        for number in range(350):
            client.track(f"user-{number}", "Seen", {"number": number})
        client.flush()
        client.join()
    assert sorted(json.loads(event.properties)["number"] for event in events) == list(range(350))


def test_rudderstack_for_python(served):
    """PyPI's rudder-sdk-python: no write key in the body, gzip, traits in the context."""
    from rudderstack.analytics.client import Client as Rudder

    failures = []
    with served.new_events(6) as events:
        client = Rudder(
            served.server_key,
            host=served.url,
            gzip=True,
            on_error=lambda error, items: failures.append(error),
        )
        send_all(client)
        client.flush()
        client.join()
    assert failures == []
    found = by_kind(events)
    assert json.loads(found["identify"].context)["traits"] == {"plan": "pro"}
    assert json.loads(found["track"].properties) == CALLS["track"][1]
    assert set(found) == {*CALLS, "alias"}


def test_upshots_own_sdk(served, tmp_path):
    """An exposure and an event, by its spool, under one unit."""
    with (
        served.new_events(2) as events,
        Client(served.url, served.server_key, directory=tmp_path) as client,
    ):
        assert client.wait(20)
        context = {"targetingKey": "user-of-the-sdk"}
        variant = client.evaluate("checkout", context, "?").variant
        client.track("Bought", context, {"value": 2})
        assert client.flush(20)
    exposure, bought = events
    assert (exposure.event, json.loads(exposure.properties)["variant"]) == ("Experiment Viewed", variant)
    assert (bought.event, bought.user_id, json.loads(bought.properties)) == (
        "Bought",
        "user-of-the-sdk",
        {"value": 2},
    )


def test_segment_for_node(served, node):
    """npm's @segment/analytics-node; what happened an hour ago is known as such."""
    with served.new_events(6) as events:
        assert node("segment_node.mjs", url=served.url, key=served.server_key) == {"errors": []}
    found = by_kind(events)
    holds(found, "server")
    assert abs(time.time() - 3600 - found["track"].time / 1e6) < 60
    assert (found["alias"].anonymous_id, found["alias"].user_id) == ("visitor-1", "user-1")


@pytest.fixture
def page(chromium, clients, site):
    """A page with analytics.js on a site of its own: what it sends crosses origins."""
    context = chromium.new_context()
    page = context.new_page()
    page.goto(f"{site.url}/files/segment_browser.html")
    page.wait_for_function("window.loaded")
    yield page
    context.close()


@pytest.mark.parametrize(
    "delivery",
    [None, {"strategy": "batching", "config": {"size": 3, "timeout": 200}}],
    ids=["one", "batches"],
)
def test_segment_in_the_browser(page, served, delivery):
    """npm's @segment/analytics-next in Chromium: it asks for its settings, and sends where they say."""
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    with served.new_events(6) as events:
        page.evaluate("([...about]) => start(...about)", [served.url, served.client_key, delivery])
        page.evaluate("calls()")
    assert page.evaluate("failures") == []
    found = by_kind(events)
    holds(found, "client")
    assert found["alias"].anonymous_id == "user-1"
    assert len({event.anonymous_id for kind, event in found.items() if kind != "alias"}) == 1
    foreign = [url for url in asked if not url.startswith((served.url, page.url.partition("/files")[0]))]
    assert foreign == [], "nothing goes to anybody else"
