"""The one client of a process: made when the first flag is asked, so that a server that forks makes one in each."""

import os
from collections.abc import Mapping
from threading import Lock
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from upshot_sdk.client import Client
from upshot_sdk.django.conf import read_settings
from upshot_sdk.evaluation import DISABLED, Evaluation

Context = Mapping[str, Any]


class Off:
    """Stands for a client where flags are off: every flag answers its default, nothing is sent."""

    def evaluate(self, flag_key: str, context: Context | None = None, default: Any = None) -> Evaluation:
        """The default."""
        return Evaluation(default, None, DISABLED, metadata={"flag": flag_key})

    peek = evaluate

    def track(self, event: str, context: Context, properties: Context | None = None) -> None:
        """Nothing."""

    def identify(self, context: Context, traits: Context | None = None) -> None:
        """Nothing."""


class OfProcess:
    """A client that becomes the process's own when it is first needed."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._client: Client | Off | None = None
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forked)

    @property
    def client(self) -> Client | Off:
        """The client; the first time, it is made.

        Raises:
            ImproperlyConfigured: the setting cannot be used.
        """
        if self._client is None:
            with self._lock:
                if self._client is None:
                    self._client = _made()
        return self._client

    def close(self) -> None:
        """Send everything and stop; the next flag begins anew, with the settings as they are then."""
        with self._lock:
            client, self._client = self._client, None
        if isinstance(client, Client):
            client.close()

    def evaluate(self, flag_key: str, context: Context | None = None, default: Any = None) -> Evaluation:
        """As `Client.evaluate`."""
        return self.client.evaluate(flag_key, context, default)

    def peek(self, flag_key: str, context: Context | None = None, default: Any = None) -> Evaluation:
        """As `Client.peek`."""
        return self.client.peek(flag_key, context, default)

    def track(self, event: str, context: Context, properties: Context | None = None) -> None:
        """As `Client.track`."""
        self.client.track(event, context, properties)

    def identify(self, context: Context, traits: Context | None = None) -> None:
        """As `Client.identify`."""
        self.client.identify(context, traits)

    def _forked(self) -> None:
        self._lock = Lock()  # another thread of the parent may have held it; the client looks after itself


def _made() -> Client | Off:
    settings = read_settings()
    if settings.url is None:
        return Off()
    try:
        return Client(settings.url, settings.key, **settings.client)
    except (TypeError, ValueError) as error:
        raise ImproperlyConfigured(f"UPSHOT: {error}") from None


client = OfProcess()
"""For work outside requests too: ``client.track(...)`` in a queue's worker."""
