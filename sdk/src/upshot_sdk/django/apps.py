"""The application for INSTALLED_APPS: checks of the setting, and the template tags."""

from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed

from upshot_sdk.django.conf import read_settings
from upshot_sdk.django.process import client

MIDDLEWARE = "upshot_sdk.django.middleware.FlagsMiddleware"


class UpshotConfig(AppConfig):  # type: ignore[misc]  # Django has no types
    """Makes no client: that is for the process that serves."""

    name = "upshot_sdk.django"
    label = "upshot"
    verbose_name = "Upshot"

    def ready(self) -> None:
        """Register the check; settings that a test changes are heard."""
        checks.register(check_settings)
        setting_changed.connect(_heard)


def check_settings(**_: Any) -> list[checks.CheckMessage]:
    """What `manage.py check` says of UPSHOT."""
    try:
        read_settings()
    except ImproperlyConfigured as error:
        return [checks.Error(str(error), id="upshot.E001")]
    if MIDDLEWARE not in settings.MIDDLEWARE:
        return [
            checks.Warning(
                "requests have no flags", hint=f"add {MIDDLEWARE!r} to MIDDLEWARE", id="upshot.W001"
            )
        ]
    return []


def _heard(*, setting: str, **_: Any) -> None:
    if setting == "UPSHOT":
        client.close()
