"""Django: who is the unit, sync and async, over the test client and over real sockets; and what stays untouched."""

import http.client
import threading
from http.cookies import SimpleCookie
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
import uvicorn
from asgiref.sync import async_to_sync, sync_to_async
from django.contrib.auth import login, logout
from django.contrib.auth.models import User
from django.core.asgi import get_asgi_application
from django.core.exceptions import ImproperlyConfigured
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse, StreamingHttpResponse
from django.template import engines
from django.test import AsyncClient, Client, RequestFactory
from django.test.utils import override_settings
from django.urls import path

from upshot_sdk.django.process import client
from upshot_sdk.testing import override_flags

ID = "0123456789abcdef0123456789abcdef"
asked = []


def shop(request):
    return HttpResponse(request.flags.variant("checkout"))


def plain(request):
    return HttpResponse("no flag here")


def enter(request):
    login(request, User.objects.get(username="ann"))
    return HttpResponse("welcome")


def leave(request):
    logout(request)
    return HttpResponse("bye")


def buy(request):
    request.flags.value("checkout", "old")
    request.flags.track("Purchase", {"value": 12.5})
    return HttpResponse("thanks")


def cached(request):
    request.flags.variant("checkout")
    return HttpResponse("mine", headers={"Cache-Control": "max-age=60", "Vary": "Accept-Language"})


def streaming(request):
    return StreamingHttpResponse(str(request.flags.variant("checkout")) for _ in range(2))


def template(request):
    page = engines["django"].from_string(
        '{% load upshot %}{% variant "checkout" as v %}{% if v == "treatment" %}new{% else %}old{% endif %}'
        ' {% flag "colour" "#fff" %} {% flag "markup" "plain" %} {% flag "absent" "<b>as written</b>" %}'
    )
    return HttpResponse(page.render({}, request))


async def shop_later(request):
    flags = await request.flags.load()
    return HttpResponse(f"{flags.variant('checkout')} {flags.context.get('userId')}")


async def unloaded(request):
    return HttpResponse(request.flags.variant("checkout"))


def attributes(request):
    asked.append(request.path)
    return {"plan": request.GET.get("plan")}


class Urls:
    urlpatterns = (
        path("", shop), path("plain", plain), path("enter", enter), path("leave", leave), path("buy", buy),
        path("cached", cached), path("stream", streaming), path("template", template), path("later", shop_later),
        path("unloaded", unloaded),
    )  # fmt: skip


@pytest.fixture(autouse=True)
def project(platform):
    with override_settings(ROOT_URLCONF=Urls):
        yield platform


def changed(platform, **settings):
    from django.conf import settings as project

    return override_settings(UPSHOT={**project.UPSHOT, **settings})


def test_a_visitor_gets_a_cookie_and_the_same_variant_ever_after():
    for _ in range(4):
        browser = Client()
        first = browser.get("/")
        cookie = first.cookies["upshot_id"]
        assert (cookie["samesite"], cookie["secure"], cookie["httponly"], cookie["path"]) == (
            "Lax",
            "",
            "",
            "/",
        )
        assert first.content.decode() == client.peek("checkout", {"targetingKey": cookie.value}).variant
        again = browser.get("/")
        assert (again.content, dict(again.cookies)) == (first.content, {})
        assert (again["Vary"], again["Cache-Control"]) == ("Cookie", "private")


def test_secure_where_django_says_so():
    assert Client().get("/", secure=True).cookies["upshot_id"]["secure"] is True
    with override_settings(SECURE_PROXY_SSL_HEADER=("HTTP_X_FORWARDED_PROTO", "https")):
        assert Client().get("/", headers={"x-forwarded-proto": "https"}).cookies["upshot_id"]["secure"]


def test_a_page_without_flags_touches_neither_cookie_nor_session(ann):
    browser = Client()
    browser.force_login(ann)
    answer = browser.get("/plain")
    assert not answer.has_header("Vary")
    assert not answer.has_header("Cache-Control")
    assert not answer.cookies


def test_logging_in_and_out_moves_nobody(ann, platform):
    browser = Client()
    before = browser.get("/").content
    browser.get("/enter")
    assert browser.get("/").content == before
    browser.get("/buy")
    browser.get("/buy")
    browser.get("/leave")
    assert browser.get("/").content == before
    client.close()
    cookie = browser.cookies["upshot_id"].value
    viewed = platform.tracked("Experiment Viewed")
    assert [(one["anonymousId"], one["properties"]["unit_id"]) for one in viewed] == [(cookie, cookie)]
    bought = platform.tracked("Purchase")
    assert [(one["userId"], one["anonymousId"]) for one in bought] == [(str(ann.pk), cookie)] * 2
    links = [one for one in platform.messages if one["type"] == "identify"]
    assert [(one["userId"], one["anonymousId"]) for one in links] == [(str(ann.pk), cookie)]


def test_caches_are_told_and_the_page_keeps_its_own_word():
    answer = Client().get("/cached")
    assert answer["Cache-Control"] == "max-age=60"
    assert {name.strip() for name in answer["Vary"].split(",")} == {"Accept-Language", "Cookie"}


def test_a_stream_knows_those_who_came_with_a_cookie():
    browser = Client()
    assert b"".join(browser.get("/stream")) == b"NoneNone"
    browser.cookies["upshot_id"] = ID
    expected = client.peek("checkout", {"targetingKey": ID}).variant
    assert b"".join(browser.get("/stream")).decode() == expected * 2


def test_templates():
    browser = Client()
    text = browser.get("/template").content.decode()
    kept = client.peek("checkout", {"targetingKey": browser.cookies["upshot_id"].value})
    assert text == f"{kept.value} #00f &lt;script&gt; <b>as written</b>"


def test_a_template_without_flags_says_what_to_do():
    page = engines["django"].from_string('{% load upshot %}{% variant "checkout" %}')
    with pytest.raises(ImproperlyConfigured, match="the template has no request"):
        page.render({})
    with pytest.raises(ImproperlyConfigured, match="FlagsMiddleware"):
        page.render({}, RequestFactory().get("/"))


def test_hooks_of_the_settings(platform, ann):
    asked.clear()
    with changed(platform, ATTRIBUTES=attributes, USER=lambda request: "token-7"):
        browser = Client()
        assert browser.get("/?plan=staff").content == b"treatment"
        browser.get("/plain")
        browser.get("/buy")
        client.close()
    assert asked == ["/", "/buy"]
    assert platform.tracked("Purchase")[0]["userId"] == "token-7"


def test_consent(platform):
    with changed(platform, CONSENT=lambda request: request.COOKIES.get("agreed") == "1"):
        browser = Client()
        assert browser.get("/").content == b"None"
        browser.get("/buy")
        assert not browser.cookies
        browser.cookies["agreed"] = "1"
        assert browser.get("/").content in (b"control", b"treatment")
        assert browser.cookies["upshot_id"].value
        browser.cookies["agreed"] = "0"
        assert browser.get("/").cookies["upshot_id"]["max-age"] in (0, "0")
        client.close()
    assert [one["event"] for one in platform.messages] == ["Experiment Viewed"]


def test_the_cookie_of_the_settings(platform):
    with changed(platform, COOKIE={"name": "unit", "domain": "example.org"}):
        cookie = Client().get("/").cookies["unit"]
    assert cookie["domain"] == "example.org"


def test_flags_that_are_off_answer_defaults_and_set_no_cookie():
    with override_settings(UPSHOT={"URL": None}):
        answer = Client().get("/")
        assert (answer.content, dict(answer.cookies)) == (b"None", {})
        assert client.evaluate("checkout", {"targetingKey": ID}, "old").value == "old"
        assert client.evaluate("checkout").reason == "DISABLED"
        client.track("Purchase", {"targetingKey": ID})
        client.identify({"targetingKey": ID})


def test_overrides_reach_views_templates_and_asynchronous_views():
    with override_flags({"checkout": "treatment"}):
        assert Client().get("/").content == b"treatment"
        assert Client().get("/template").content.startswith(b"new")
        assert Client().get("/later").content.startswith(b"treatment")


async def _visit_later(ann):
    browser = AsyncClient()
    before = await browser.get("/later")
    await sync_to_async(browser.force_login)(ann)
    return before, await browser.get("/later"), browser.cookies["upshot_id"].value


def test_asynchronous_views_know_who_is_logged_in(ann):
    before, after, cookie = async_to_sync(_visit_later)(ann)
    variant = client.peek("checkout", {"targetingKey": cookie}).variant
    assert (before.content.decode(), after.content.decode()) == (f"{variant} None", f"{variant} {ann.pk}")
    assert not after.cookies
    assert after["Cache-Control"] == "private"


async def _visit(where):
    return await AsyncClient().get(where)


def test_an_asynchronous_view_that_forgot_to_load_is_told():
    with pytest.raises(RuntimeError, match=r"await flags\.load\(\)"):
        async_to_sync(_visit)("/unloaded")


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


def fetch(port, path, cookies=""):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", path, headers={"Cookie": cookies} if cookies else {})
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return body, [SimpleCookie(one) for one in answer.headers.get_all("Set-Cookie", [])]


def check_over_the_wire(port, path):
    body, cookies = fetch(port, path)
    (cookie,) = [one["upshot_id"].value for one in cookies if "upshot_id" in one]
    assert body.split()[0] == client.peek("checkout", {"targetingKey": cookie}).variant
    assert fetch(port, path, f"upshot_id={cookie}") == (body, [])


def test_over_real_sockets_by_wsgi():
    with make_server("127.0.0.1", 0, get_wsgi_application(), handler_class=Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        check_over_the_wire(server.server_port, "/")
        with override_flags({"checkout": "decided"}, in_every_thread=True):
            assert fetch(server.server_port, "/") == ("decided", [])
        server.shutdown()
        thread.join()


def test_over_real_sockets_by_asgi():
    server = uvicorn.Server(
        uvicorn.Config(get_asgi_application(), port=0, log_level="error", ws="none", lifespan="off")
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        threading.Event().wait(0.005)
    port = server.servers[0].sockets[0].getsockname()[1]
    for where in ("/", "/later"):
        check_over_the_wire(port, where)
    server.should_exit = True
    thread.join()
