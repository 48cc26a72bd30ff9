"""The setting UPSHOT: what is read, and one sentence for each mistake."""

import pytest
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.test.utils import override_settings

from upshot_sdk.django.conf import read_settings
from upshot_sdk.django.process import client
from upshot_sdk.identity import UnitCookie

GOOD = {"URL": "http://localhost:8790", "KEY": "server-key"}


def test_everything_is_read():
    given = GOOD | {
        "USER": "builtins.repr", "ATTRIBUTES": vars, "COOKIE": {"domain": "example.org"}, "CLIENT": {"stream": False},
    }  # fmt: skip
    with override_settings(UPSHOT=given):
        read = read_settings()
    assert (read.url, read.key, read.user, read.attributes, read.consent) == (
        *GOOD.values(),
        repr,
        vars,
        None,
    )
    assert (read.cookie, read.client) == (UnitCookie(domain="example.org"), {"stream": False})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (None, 'UPSHOT is not set: give UPSHOT = {"URL": ..., "KEY": ...}'),
        ({}, 'UPSHOT has no "URL": give the address of the server, or None to be without flags'),
        ({"URL": 3}, 'UPSHOT["URL"] is 3: give the address of the server, or None'),
        ({"URL": GOOD["URL"]}, 'UPSHOT["KEY"] is missing: give a server key'),
        (GOOD | {"KEYS": 1}, "UPSHOT has no key 'KEYS': did you mean 'KEY'?"),
        (GOOD | {"consent": 1}, "UPSHOT has no key 'consent': did you mean 'CONSENT'?"),
        (GOOD | {"USER": "no.such.hook"}, "UPSHOT[\"USER\"] cannot be imported: No module named 'no'"),
        (GOOD | {"USER": 7}, 'UPSHOT["USER"] is 7: give a function of the request, or its path'),
        (GOOD | {"CLIENT": []}, 'UPSHOT["CLIENT"] is []: give a dict'),
        (
            GOOD | {"COOKIE": {"path": "/;"}},
            "UPSHOT[\"COOKIE\"]: cookie path '/;': it cannot stand in a header",
        ),
    ],
)
def test_every_mistake_is_told(given, said):
    with override_settings(UPSHOT=given):
        with pytest.raises(ImproperlyConfigured) as told:
            read_settings()
        assert [error.id for error in run_checks() if error.id.startswith("upshot")] == ["upshot.E001"]
    assert str(told.value) == said


def test_what_the_client_refuses_is_a_setting_too():
    for wrong in ({"URL": "ftp://x", "KEY": "k"}, GOOD | {"CLIENT": {"pol_interval": 3}}):
        with override_settings(UPSHOT=wrong), pytest.raises(ImproperlyConfigured, match=r"^UPSHOT: "):
            client.evaluate("checkout")


def test_manage_check_misses_the_middleware():
    call_command("check", fail_level="WARNING")
    with override_settings(MIDDLEWARE=[]):
        assert [message.id for message in run_checks() if message.id.startswith("upshot")] == ["upshot.W001"]
