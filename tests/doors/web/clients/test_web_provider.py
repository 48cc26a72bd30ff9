"""npm's @openfeature/ofrep-web-provider, unchanged, in headless Chromium, from another origin than the server's."""

import pytest

BANNER = "flags: {{banner: {{variants: {{a: old, b: new}}, default: {variant}}}}}"


@pytest.fixture
def page(chromium, clients, site):
    """A page with the provider loaded, on a site of its own."""
    context = chromium.new_context()
    page = context.new_page()
    page.goto(f"{site.url}/files/web_client.html")
    page.wait_for_function("window.loaded")
    yield page
    context.close()


def opened(page, server, **context):
    return page.evaluate(
        "([url, key, context]) => open(url, key, context)",
        [server.url, server.client_key, {"targetingKey": "user-1", **context}],
    )


def test_the_browser_lets_the_page_ask_another_origin(page, served):
    """Authorization and If-None-Match need a preflight, the ETag has to be exposed to be sent again."""
    assert opened(page, served) == "READY"
    assert page.evaluate("client.getBooleanValue('dark-mode', false)") is True
    assert page.evaluate("client.getNumberValue('ratio', 0)") == 1
    assert page.evaluate("client.getObjectValue('theme', {})") == {"colour": "#000", "sizes": [1, 2.5]}
    assert page.evaluate("client.getStringDetails('nothing', 'mine').errorCode") == "FLAG_NOT_FOUND"
    assert page.evaluate("client.getStringDetails('checkout', '?').reason") == "SPLIT"
    kept = page.evaluate("Object.values(localStorage).map(JSON.parse)")
    assert [bool(entry["etag"]) for entry in kept] == [True]


def test_a_new_context_brings_new_answers(page, served):
    assert opened(page, served) == "READY"
    page.evaluate("move({targetingKey: 'user-1', country: 'CA'})")
    page.wait_for_function(
        "client.getStringValue('checkout', '?') == 'three-steps'"
    )  # first come the kept ones
    page.wait_for_function("client.getStringDetails('checkout', '?').reason == 'TARGETING_MATCH'")


def test_the_browser_keeps_pages_of_other_origins_out(page, serve):
    closed = serve(UPSHOT_ALLOWED_ORIGINS="https://shop.example")
    assert opened(page, closed) == "ERROR"
    assert page.evaluate("client.getBooleanValue('dark-mode', false)") is False


def test_an_edited_file_reaches_the_open_page_without_a_reload(page, served):
    """Flags are edited, the event stream says so, the page asks again with its ETag."""
    served.edit("banner", BANNER.format(variant="a"))
    assert opened(page, served) == "READY"
    assert page.evaluate("client.getStringValue('banner', '?')") == "old"
    served.edit("banner", BANNER.format(variant="b"))
    page.wait_for_function("client.getStringValue('banner', '?') == 'new'", timeout=8_000)
    assert "banner" in page.evaluate("changes[0]")
