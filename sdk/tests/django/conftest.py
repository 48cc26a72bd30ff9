"""A Django project for the tests: sessions and users in a real database, and the platform on a real socket."""

import tempfile
from pathlib import Path

import django
import pytest
from django.conf import settings
from django.core.management import call_command
from django.test.utils import override_settings

HALF = 1 << 31
PAYLOAD = {
    "format": 1, "revision": "r1", "hash": "md5/1",
    "flags": {
        "checkout": {"type": "string", "variants": {"control": "old", "treatment": "new"}, "rules": [
            {"id": "staff", "when": {"attr": "plan", "op": "eq", "value": "staff"}, "variant": "treatment"},
            {"id": "exp", "experiment": {"id": "EXP-2026-001", "phase": 1, "salt": "s", "unit": "targetingKey",
             "traffic": [[0, 2 * HALF]], "split": {"control": [[0, HALF]], "treatment": [[HALF, 2 * HALF]]}}}]},
        "colour": {"type": "string", "variants": {"blue": "#00f"}, "default_variant": "blue"},
        "markup": {"type": "string", "variants": {"script": "<script>"}, "default_variant": "script"},
    },
}  # fmt: skip
FOLDER = tempfile.TemporaryDirectory(prefix="upshot-django-")

settings.configure(
    SECRET_KEY="for tests",
    ALLOWED_HOSTS=["*"],
    INSTALLED_APPS=[
        "django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions", "upshot_sdk.django",
    ],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "upshot_sdk.django.middleware.FlagsMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": Path(FOLDER.name) / "db.sqlite3"}},
    TEMPLATES=[{
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "OPTIONS": {"context_processors": ["django.template.context_processors.request"]},
    }],
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    USE_TZ=True,
    UPSHOT={"URL": None},
)  # fmt: skip
django.setup()


@pytest.fixture(scope="session", autouse=True)
def database():
    """The tables of sessions and users, made once."""
    from django.db import connections

    call_command("migrate", verbosity=0)
    yield
    connections.close_all()


@pytest.fixture
def ann():
    """A user; no test is interested in another one's."""
    from django.contrib.auth.models import User

    return User.objects.get_or_create(username="ann")[0]


@pytest.fixture
def platform(serve, tmp_path):
    """The platform, and a project that is set up for it."""
    server = serve(PAYLOAD)
    upshot = {"URL": server.url, "KEY": server.key, "CLIENT": {"directory": tmp_path, "stream": False}}
    with override_settings(UPSHOT=upshot):
        yield server
