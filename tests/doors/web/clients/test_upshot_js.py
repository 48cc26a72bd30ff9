"""`/upshot.js` in headless Chromium: on a site with `upshot serve` behind it, and from another origin."""

import re
import time
from pathlib import Path

import httpx
import pytest

import upshot.doors.web
from upshot_sdk.identity import YEAR, is_id

SCRIPT = Path(upshot.doors.web.__file__).parent / "static" / "upshot.js"
DOCUMENT = Path(__file__).parents[4] / "docs" / "browser.md"
TAG = '<!doctype html><title>a page</title><script src="{src}/upshot.js" data-key="{key}"></script>'
BARE = '<!doctype html><title>a page</title><script src="{src}/upshot.js"></script>'


class Visitor:
    """A browser profile of its own, which visits the site's pages; errors in pages are kept."""

    def __init__(self, browser, site):
        self.context, self.site, self.errors = browser.new_context(), site, []
        self.page = self.tab()

    def tab(self):
        page = self.context.new_page()
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        return page

    def visit(self, path="/"):
        self.page.goto(self.site.url + path)
        self.ready()

    def ready(self):
        self.page.evaluate("upshot.ready")

    def run(self, script):
        return self.page.evaluate(script)

    @property
    def id(self):
        return {cookie["name"]: cookie for cookie in self.context.cookies()}["upshot_id"]["value"]


@pytest.fixture
def visitor(chromium, served, site):
    site.pages = {
        "/": TAG.format(src="", key=served.client_key),
        "/next": TAG.format(src="", key=served.client_key),
        "/bare": BARE.format(src=""),
    }
    visitor = Visitor(chromium, site)
    yield visitor
    visitor.context.close()
    assert visitor.errors == []


def test_it_is_small_as_it_is_served(served):
    answer = httpx.get(f"{served.url}/upshot.js", headers={"Accept-Encoding": "identity"}, trust_env=False)
    assert answer.content == SCRIPT.read_bytes()
    assert len(answer.content) <= 3_072
    assert answer.headers["content-type"].startswith("text/javascript")


def test_the_page_of_the_document_works_as_it_stands(visitor, served):
    (page,) = re.findall(r"```html\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    visitor.site.pages["/"] = page.replace("UPSHOT_CLIENT_KEY", served.client_key)
    visitor.visit()
    shown = visitor.page.text_content("#title")
    assert shown == served.answer("checkout", targetingKey=visitor.id)["value"]
    visitor.page.click("#buy")
    exposure, purchase = visitor.site.wait_for(2)
    assert (exposure["event"], purchase["event"]) == ("Experiment Viewed", "Purchase")
    assert purchase["properties"] == {"value": 12.5}


# Flags


def test_values_and_variants_are_those_of_the_server(visitor, served):
    visitor.visit()
    answer = served.answer("checkout", targetingKey=visitor.id)
    assert visitor.run("upshot.value('checkout', '?')") == answer["value"]
    assert visitor.run("upshot.variant('checkout')") == answer["variant"]
    assert visitor.run("upshot.value('dark-mode', false)") is True
    assert visitor.run("upshot.value('theme')") == {"colour": "#000", "sizes": [1, 2.5]}
    assert visitor.run("upshot.value('switched-off', 'mine')") == "mine"
    assert visitor.run("upshot.value('nothing', 7)") == 7
    assert visitor.run("upshot.value('by-account', false)") is False


def test_falsy_values_are_values(visitor):
    visitor.visit()
    assert visitor.run("[upshot.value('nought', 7), upshot.value('for-nobody', true)]") == [0, False]


def test_the_context_that_the_page_gives_chooses(visitor, served):
    visitor.page.goto(f"{visitor.site.url}/bare")
    visitor.run(f"upshot.start({{key: '{served.client_key}', context: {{country: 'CA'}}}})")
    visitor.ready()
    assert visitor.run("upshot.value('checkout', '?')") == "three-steps"


def test_the_next_page_has_the_answers_at_once_and_asks_whether_they_hold(visitor):
    visitor.visit()
    variant = visitor.run("upshot.variant('checkout')")
    visitor.site.pages["/at-once"] = (
        visitor.site.pages["/"] + "<script>document.title = upshot.variant('checkout')</script>"
    )
    visitor.page.goto(visitor.site.url + "/at-once")
    assert visitor.page.title() == variant
    visitor.page.wait_for_load_state("networkidle")
    bulk = [status for path, status in visitor.site.asked if path == "/ofrep/v1/evaluate/flags"]
    assert bulk == [200, 304]


def test_the_next_page_does_not_wait_for_the_server(visitor):
    visitor.visit()
    script = (
        "let now = 'waiting'; upshot.ready.then(() => now = 'ready'); setTimeout(() => document.title = now)"
    )
    visitor.site.pages["/slow"] = f"{visitor.site.pages['/']}<script>{script}</script>"
    visitor.page.route("**/evaluate/flags", lambda route: None)
    visitor.page.goto(visitor.site.url + "/slow")
    visitor.page.wait_for_function("['ready', 'waiting'].includes(document.title)")
    assert visitor.page.title() == "ready"


def test_the_kept_answers_serve_while_the_server_is_down(visitor):
    visitor.visit()
    variant = visitor.run("upshot.variant('checkout')")
    visitor.page.route("**/evaluate/flags", lambda route: route.abort())
    visitor.visit("/next")
    assert visitor.run("upshot.variant('checkout')") == variant


def test_a_page_that_comes_back_into_view_asks_again(visitor, served):
    served.edit("hero", "flags: {hero: {variants: {a: old, b: new}, default: a}}")
    visitor.visit()
    assert visitor.run("upshot.value('hero')") == "old"
    served.edit("hero", "flags: {hero: {variants: {a: old, b: new}, default: b}}")
    visitor.run("document.dispatchEvent(new Event('visibilitychange', {bubbles: true}))")
    visitor.page.wait_for_function("upshot.value('hero') == 'new'")


def test_an_answer_that_comes_late_does_not_replace_a_newer_one(visitor):
    """Both ask at the same time: without a user, held up on its way, and with one."""
    held = []
    visitor.page.route(
        "**/evaluate/flags", lambda route: held.append(route) if not held else route.continue_()
    )
    visitor.page.goto(visitor.site.url)
    visitor.run("upshot.identify('U1')")
    visitor.page.wait_for_function("upshot.value('for-members')")
    late = held[0].fetch()
    held[0].fulfill(response=late)
    visitor.page.wait_for_timeout(100)
    assert visitor.run("upshot.value('for-members')") is True


def test_ready_comes_though_the_server_never_answers(visitor):
    visitor.page.route("**/evaluate/flags", lambda route: None)
    visitor.page.goto(visitor.site.url)
    visitor.run("upshot.ready.then(() => { document.title = 'ready' }), 0")
    visitor.page.wait_for_function("document.title == 'ready'", timeout=10_000)
    assert visitor.run("upshot.value('checkout', 'mine')") == "mine"


def test_a_wrong_key_leaves_the_defaults(visitor):
    visitor.page.goto(f"{visitor.site.url}/bare")
    visitor.run("upshot.start({key: 'some-other-key-1234567'})")
    visitor.ready()
    assert visitor.run("upshot.value('checkout', 'mine')") == "mine"
    assert visitor.run("upshot.variant('checkout')") is None


# Who visits


def test_the_anonymous_id_is_kept_in_a_cookie_for_a_year(visitor):
    visitor.visit()
    (cookie,) = visitor.context.cookies()
    assert cookie["name"] == "upshot_id"
    assert is_id(cookie["value"])
    assert (cookie["path"], cookie["sameSite"], cookie["httpOnly"]) == ("/", "Lax", False)
    assert abs(cookie["expires"] - time.time() - YEAR) < 60
    assert cookie["secure"] is False  # the site is http
    first = visitor.id
    visitor.visit("/next")
    assert visitor.id == first


def test_the_cookie_is_for_https_only_where_the_page_is(visitor, served):
    """That page is answered inside the browser: no test site has a certificate."""
    tag = TAG.format(src="", key=served.client_key)
    visitor.page.route(
        "https://shop.example/", lambda route: route.fulfill(body=tag, content_type="text/html")
    )
    visitor.page.route("https://shop.example/upshot.js", lambda route: route.fulfill(path=SCRIPT))
    visitor.page.goto("https://shop.example/")
    (cookie,) = visitor.context.cookies()
    assert cookie["secure"] is True


def test_the_id_that_the_server_has_set_is_taken(visitor):
    given = {"name": "upshot_id", "value": "0123456789abcdef", "url": visitor.site.url}
    visitor.context.add_cookies([given])
    visitor.visit()
    visitor.run("upshot.value('checkout')")
    (exposure,) = visitor.site.wait_for(1)
    assert exposure["anonymousId"] == exposure["properties"]["unit_id"] == "0123456789abcdef"
    assert visitor.id == "0123456789abcdef"


def test_every_visitor_is_another(chromium, visitor):
    visitor.visit()
    other = Visitor(chromium, visitor.site)
    other.visit()
    assert other.id != visitor.id
    other.context.close()


def test_logging_in_keeps_the_variant_and_links_both_ids(visitor):
    visitor.visit()
    variant = visitor.run("upshot.variant('checkout')")
    visitor.run("upshot.identify('U1')")
    visitor.page.wait_for_function("upshot.value('for-members')")
    assert visitor.run("upshot.variant('checkout')") == variant
    visitor.visit("/next")
    visitor.run("upshot.identify('U1')")
    visitor.run("upshot.track('Bought')")
    exposure, identify, bought = visitor.site.wait_for(3)
    assert "userId" not in exposure
    assert identify["type"] == "identify"
    assert [one["userId"] for one in (identify, bought)] == ["U1", "U1"]
    assert {one["anonymousId"] for one in (exposure, identify, bought)} == {visitor.id}


# Events


def test_an_exposure_says_all_that_an_analysis_needs(visitor, served):
    visitor.visit()
    variant = visitor.run("upshot.variant('checkout')")
    (message,) = visitor.site.wait_for(1)
    assert (message["type"], message["event"]) == ("track", "Experiment Viewed")
    told = message["properties"]
    assert told["experiment_id"] == "EXP-2026-001"
    assert (told["phase"], told["variant"], told["flag"]) == (1, variant, "checkout")
    assert (told["unit"], told["unit_id"]) == ("targetingKey", visitor.id)
    assert told["revision"]
    assert message["anonymousId"] == visitor.id
    assert message["context"]["seq"] == 1
    assert visitor.site.batches[0]["writeKey"] == served.client_key


def test_an_exposure_is_sent_once_a_browser(visitor):
    for path in ("/", "/next", "/"):
        visitor.visit(path)
        visitor.run("upshot.value('checkout'), upshot.variant('checkout'), upshot.value('checkout')")
    visitor.run("upshot.track('Last')")
    visitor.site.wait_for(2)
    assert [message["event"] for message in visitor.site.messages] == ["Experiment Viewed", "Last"]


def test_flags_without_an_experiment_and_targeted_units_send_no_exposure(visitor, served):
    visitor.page.goto(f"{visitor.site.url}/bare")
    visitor.run(f"upshot.start({{key: '{served.client_key}', context: {{country: 'CA'}}}})")
    visitor.ready()
    visitor.run("upshot.value('checkout'), upshot.value('dark-mode'), upshot.value('nothing')")
    visitor.run("upshot.track('Last')")
    assert [message["event"] for message in visitor.site.wait_for(1)] == ["Last"]


def test_events_come_in_segments_shape_without_a_preflight_from_another_origin(visitor, served):
    """The page is the one site's, the script and the events are the other's, on another port."""
    page = TAG.format(src=visitor.site.url.replace("127.0.0.1", "localhost"), key=served.client_key)
    visitor.site.pages["/from-elsewhere"] = page
    visitor.visit("/from-elsewhere")
    visitor.run("upshot.track('Bought', {price: 12.5, tags: ['a']})")
    (message,) = visitor.site.wait_for(1)
    assert (message["event"], message["properties"]) == ("Bought", {"price": 12.5, "tags": ["a"]})
    assert message["timestamp"].endswith("Z")
    assert visitor.site.batches[0]["sentAt"] >= message["timestamp"]
    assert message["context"]["library"] == {"name": "upshot.js"}
    assert visitor.run("upshot.value('dark-mode', false)") is True


def test_what_happens_just_before_the_page_is_left_is_not_lost(visitor):
    """A request that is under way when a page ends is cut off: the beacon carries the event, or the next page does."""
    visitor.visit()
    visitor.page.route(
        "**/v1/batch",
        lambda route: route.abort() if route.request.resource_type == "fetch" else route.continue_(),
    )
    visitor.run("upshot.track('Left'); location = 'about:blank'")
    assert [message["event"] for message in visitor.site.wait_for(1)] == ["Left"]


def test_events_wait_for_a_server_that_takes_them(visitor):
    """404 is what a server without events answers: it is not asked in a loop, and later it gets all of them."""
    visitor.site.status = 404
    visitor.visit()
    for number in range(40):
        visitor.run(f"upshot.track('Step', {{number: {number}}})")
    visitor.page.wait_for_timeout(200)
    refused = len(visitor.site.batches)
    assert refused <= 40
    visitor.page.wait_for_timeout(300)
    assert len(visitor.site.batches) == refused
    visitor.site.batches.clear()
    visitor.site.status = 200
    visitor.visit("/next")
    visitor.site.wait_for(40)
    visitor.page.wait_for_timeout(200)
    assert sorted(message["properties"]["number"] for message in visitor.site.messages) == list(range(40))
    sent = sum(len(batch["batch"]) for batch in visitor.site.batches)
    assert sent <= 40 + 15  # the beacon of the page that was left carries the first 15 too
    visitor.visit("/")
    visitor.page.wait_for_timeout(200)
    assert sum(len(batch["batch"]) for batch in visitor.site.batches) == sent


def test_what_waits_is_bounded_and_an_exposure_that_finds_no_room_is_sent_later(visitor):
    visitor.site.status = 503
    visitor.visit()
    visitor.run("for (let number = 0; number < 300; number++) upshot.track('Step', {number})")
    visitor.run("upshot.value('checkout')")
    visitor.page.wait_for_timeout(200)
    visitor.site.batches.clear()
    visitor.site.status = 200
    visitor.visit("/next")
    visitor.site.wait_for(200)
    visitor.page.wait_for_timeout(200)
    came = [message["properties"]["number"] for message in visitor.site.messages]
    assert sorted(came) == list(range(200))
    visitor.run("upshot.value('checkout')")
    assert [message["event"] for message in visitor.site.wait_for(201)[200:]] == ["Experiment Viewed"]


def test_two_tabs_lose_nothing_of_each_other(visitor):
    visitor.site.status = 503
    visitor.visit()
    other = visitor.tab()
    other.goto(visitor.site.url + "/next")
    for number in range(10):
        visitor.run(f"upshot.track('First', {{number: {number}}})")
        other.evaluate(f"upshot.track('Second', {{number: {number}}})")
    visitor.site.batches.clear()
    visitor.site.status = 200
    visitor.visit()
    came = visitor.site.wait_for(20)
    assert sorted((message["event"], message["properties"]["number"]) for message in came) == [
        (event, number) for event in ("First", "Second") for number in range(10)
    ]


def test_messages_are_numbered_so_that_loss_can_be_seen(visitor):
    visitor.visit()
    visitor.run("for (let number = 0; number < 30; number++) upshot.track('Step', {number})")
    came = visitor.site.wait_for(30)
    assert sorted(message["context"]["seq"] for message in came) == list(range(1, 31))
    assert len({message["context"]["instance"] for message in came}) == 1
    assert len(visitor.site.batches) <= 6  # one at a time: what comes meanwhile goes together


def test_a_connection_that_breaks_holds_up_nothing_but_itself(visitor):
    visitor.visit()
    visitor.page.route("**/v1/batch", lambda route: route.abort())
    with visitor.page.expect_event("requestfailed"):
        visitor.run("upshot.track('First')")
    visitor.page.unroute("**/v1/batch")
    visitor.run("upshot.track('Second')")
    assert {message["event"] for message in visitor.site.wait_for(2)} == {"First", "Second"}


@pytest.mark.parametrize("status", [400, 413])
def test_a_message_that_can_never_be_taken_does_not_hold_up_the_others(visitor, status):
    visitor.site.status = status
    visitor.visit()
    visitor.run("upshot.track('Huge', {picture: 'x'.repeat(1e6)})")
    visitor.site.wait_for(1)
    visitor.page.wait_for_function("Object.keys(localStorage).every(name => !name.includes('!'))")
    visitor.site.status = 200
    visitor.site.batches.clear()
    visitor.run("upshot.track('Small')")
    assert [message["event"] for message in visitor.site.wait_for(1)] == ["Small"]


def test_the_real_server_takes_exposures_and_events_from_another_origin(visitor, served):
    """Until its log has them on the disk it does not answer; then nothing waits in the browser any more."""
    visitor.site.pages["/"] = TAG.format(src=served.url, key=served.client_key)
    answers = []
    visitor.page.on("response", lambda one: answers.append(one) if one.url.endswith("/v1/batch") else None)
    visitor.visit()
    visitor.run("upshot.value('checkout'), upshot.identify('U1'), upshot.track('Bought', {value: 12.5})")
    visitor.page.wait_for_function("Object.keys(localStorage).every(name => !name.includes('!'))")
    told = [answer.json() for answer in answers]
    assert {answer.status for answer in answers} == {200}
    assert sum(one["accepted"] for one in told) == 3
    assert [one["rejected"] for one in told] == [[]] * len(told)


# Nothing of this breaks the page


def test_where_storage_and_cookies_are_blocked_it_works_for_the_page(visitor, served):
    """A sandboxed frame has no origin: its cookies and its storage raise errors."""
    src = visitor.site.url
    inside = TAG.format(src=src, key=served.client_key)
    visitor.site.pages["/inside"] = inside
    visitor.site.pages["/outside"] = '<iframe sandbox="allow-scripts" src="/inside"></iframe>'
    visitor.page.goto(src + "/outside")
    (frame,) = visitor.page.main_frame.child_frames
    frame.wait_for_function("window.upshot")
    frame.evaluate("upshot.ready")
    assert frame.evaluate("upshot.value('dark-mode', false)") is True
    assert frame.evaluate("upshot.variant('checkout')") in ("control", "treatment")
    frame.evaluate("upshot.value('checkout'), upshot.track('Bought')")
    assert [message["event"] for message in visitor.site.wait_for(2)] == ["Experiment Viewed", "Bought"]
    assert visitor.context.cookies() == []
    assert (
        frame.evaluate("(() => { try { return localStorage } catch (error) { return error.name } })()")
        == "SecurityError"
    )


def test_storage_that_is_spoilt_or_full_is_no_obstacle(visitor):
    visitor.visit()
    visitor.run("for (const name in localStorage) localStorage[name] = '{\"half'")
    visitor.visit("/next")
    assert visitor.run("upshot.value('dark-mode', false)") is True
    visitor.run("localStorage.clear()")
    visitor.run("try { for (let n = 0; ; n++) localStorage['a' + n] = 'x'.repeat(1e5) } catch {}")
    visitor.run("try { for (let n = 0; ; n++) localStorage['b' + n] = 'x' } catch {}")
    visitor.visit("/")
    assert visitor.run("upshot.value('dark-mode', false)") is True
    visitor.run("upshot.track('Bought')")
    visitor.site.wait_for(1)


def test_calls_before_the_start_are_answered_with_the_defaults(visitor):
    visitor.page.goto(f"{visitor.site.url}/bare")
    assert visitor.run("upshot.value('checkout', 'mine')") == "mine"
    assert visitor.run("upshot.variant('checkout')") is None
    visitor.run("document.dispatchEvent(new Event('visibilitychange', {bubbles: true}))")
    visitor.page.wait_for_timeout(100)
    assert visitor.context.cookies() == []
    assert [path for path, _ in visitor.site.asked if "evaluate" in path] == []


def test_properties_that_have_no_json_form_stop_neither_the_page_nor_later_events(visitor):
    visitor.visit()
    visitor.run(
        "const loop = {}; loop.loop = loop; upshot.track('Loop', loop); upshot.track('Big', {n: 1n}); 0"
    )
    visitor.run("upshot.track('Bought')")
    assert [message["event"] for message in visitor.site.wait_for(1)] == ["Bought"]
    visitor.errors.clear()  # the console tells of rejected promises
