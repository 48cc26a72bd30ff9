"""The snippets of docs/web-apps.md are written into files and run, against a server on a real socket."""

import asyncio
import json
import os
import re
import subprocess
import sys
from http.cookies import SimpleCookie
from pathlib import Path

import httpx
import pytest

HALF = 1 << 31
EXPERIMENT = {
    "id": "EXP-2026-001", "phase": 1, "salt": "s", "unit": "targetingKey",
    "traffic": [[0, 2 * HALF]], "split": {"control": [[0, HALF]], "treatment": [[HALF, 2 * HALF]]},
}  # fmt: skip
PAYLOAD = {
    "format": 1, "revision": "r1", "hash": "md5/1",
    "flags": {
        "checkout": {"type": "string", "variants": {"control": "old", "treatment": "new"},
                     "rules": [{"id": "exp", "experiment": EXPERIMENT}]},
        "headline": {"type": "string", "variants": {"plain": "Come in"}, "default_variant": "plain"},
    },
}  # fmt: skip
TEXT = {"control": "Three pages.", "treatment": "One page."}
DOCUMENT = Path(__file__).parents[2] / "docs" / "web-apps.md"
FILES = dict(
    re.findall(r"```\w+\n(?:# |<!-- )([\w./]+)(?: -->)?\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
)

DJANGO = """
import asyncio, json, sys
from django.core.management import call_command
from django.test import AsyncClient, Client
import django
django.setup()
call_command("migrate", verbosity=0)
call_command("check", fail_level="WARNING")
from upshot_sdk.django.process import client
browser = Client()
page = browser.get("/").content.decode()
assert browser.get("/").content.decode() == page
browser.get("/buy")
async def later():
    return (await AsyncClient().get("/later")).content.decode()
print(json.dumps([browser.cookies["upshot_id"].value, page, asyncio.run(later())]))
client.close()
"""


@pytest.fixture
def platform(serve, tmp_path, monkeypatch):
    """The server, and the environment that the snippets read."""
    server = serve(PAYLOAD)
    for name, value in {
        "UPSHOT_URL": server.url, "UPSHOT_SERVER_KEY": server.key, "SECRET_KEY": "for tests",
        "UPSHOT_SDK_DIR": str(tmp_path / "sdk"),
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    return server


def run(name):
    """The names that a snippet defines."""
    defined = {"__name__": name.removesuffix(".py")}
    exec(compile(FILES[name], name, "exec"), defined)
    return defined


def check_what_arrived(platform, cookie, shown):
    viewed = platform.tracked("Experiment Viewed")
    assert [(one["anonymousId"], TEXT[one["properties"]["variant"]]) for one in viewed] == [(cookie, shown)]
    assert [one["anonymousId"] for one in platform.tracked("Purchase")] == [cookie]


def test_the_document_has_the_files_that_are_run():
    assert sorted(FILES) == [
        "settings.py", "shop_asgi.py", "shop_wsgi.py", "templates/checkout.html", "test_checkout.py", "urls.py",
    ]  # fmt: skip


def test_wsgi(platform):
    shop = run("shop_wsgi.py")
    browser = shop["app"].test_client()
    first = browser.get("/")
    cookie = SimpleCookie(first.headers["Set-Cookie"])["upshot_id"].value
    assert browser.get("/").text == first.text
    assert browser.post("/buy").text == "Thank you."
    assert shop["client"].close()
    check_what_arrived(platform, cookie, first.text)


def test_asgi(platform):
    shop = run("shop_asgi.py")

    async def visit():
        transport = httpx.ASGITransport(app=shop["app"])
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as browser:
            shown = (await browser.get("/")).text
            assert (await browser.get("/")).text == shown
            assert (await browser.post("/buy")).text == "Thank you."
            return browser.cookies["upshot_id"], shown

    cookie, shown = asyncio.run(visit())
    assert shop["client"].close()
    check_what_arrived(platform, cookie, shown)


@pytest.fixture
def project(tmp_path):
    """The Django project of the document, as files."""
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


def python(project, *arguments, **environment):
    given = {**os.environ, "DJANGO_SETTINGS_MODULE": "settings", **environment}
    return subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        cwd=project,
        env=given,
        capture_output=True,
        text=True,
        check=False,
    )


def test_django(platform, project):
    done = python(project, "-c", "import sys; sys.path.insert(0, '.')\n" + DJANGO)
    assert (done.returncode, done.stderr) == (0, "")
    cookie, page, later = json.loads(done.stdout.splitlines()[-1])
    assert later == "Come in"
    shown = next(text for text in TEXT.values() if text in page)
    assert "<h1>Come in</h1>" in page
    check_what_arrived(platform, cookie, shown)


def test_the_tests_of_a_django_project(project, monkeypatch):
    monkeypatch.delenv("UPSHOT_URL", raising=False)  # "URL": None, so nothing is asked or sent
    done = python(project, "-m", "django", "test", "--pythonpath", ".", SECRET_KEY="for tests")
    assert done.returncode == 0, done.stderr
    assert "Ran 2 tests" in done.stderr
