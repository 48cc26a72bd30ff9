"""Where alerts go: a webhook, Slack and what takes its messages, and by Apprise e-mail and a hundred others."""

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from time import time
from typing import Any, Literal, Protocol
from urllib.parse import parse_qs, urlsplit

from upshot.errors import InputError, UnavailableError
from upshot.report.flag_words import moment
from upshot.services.addresses import Allowed, resolve
from upshot.services.webhook import Target, post, read_secret, read_target, shown, signed
from upshot.store.alerts import Alert

SLACK = "slack+"
_PLAIN_HTTP = ("json", "xml", "form", "apprise")
"""What Apprise posts to any address: webhooks here are signed and go to public addresses only."""

News = Literal["opened", "ended"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """That an alert opened, or ended.

    Attributes:
        id: the same whenever it is sent again. at: when it happened.
    """

    id: str
    news: News
    alert: Alert
    at: datetime

    @property
    def since(self) -> str:
        """When the trouble began: by the evidence, else when it was first seen."""
        return str(self.alert.finding.evidence.get("since") or self.alert.first_seen.isoformat())

    @property
    def kind(self) -> str:
        """What programs tell it by."""
        return f"alert.{self.news}"

    @property
    def data(self) -> Mapping[str, Any]:
        """All of it, for programs."""
        finding = self.alert.finding
        return {"key": finding.key, "subject": finding.subject, "severity": finding.severity, "what": finding.what,
                "since": self.since, "evidence": dict(finding.evidence), "advice": finding.advice}  # fmt: skip

    @property
    def title(self) -> str:
        """One line."""
        finding = self.alert.finding
        return f"{'Over' if self.news == 'ended' else finding.severity.capitalize()}: {finding.what}"

    @property
    def text(self) -> str:
        """What, since when, on which evidence, and what to do."""
        finding, since = self.alert.finding, moment(datetime.fromisoformat(self.since))
        if self.news == "ended":
            return f"It began {since} and was not seen any more at {moment(self.at)}."
        return f"Since {since}. {finding.evidence.get('said', '')}\nWhat to do: {finding.advice}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something that is told once and is no alert, such as a report.

    Attributes:
        id, at: as of `Message`. kind: ``report.weekly``. title: one line.
        text: for chats. markdown: the same for e-mail. data: the same for programs.
    """

    id: str
    kind: str
    title: str
    text: str
    markdown: str
    data: Mapping[str, Any]
    at: datetime


class Channel(Protocol):
    """One place that is told of alerts and reports."""

    @property
    def name(self) -> str:
        """Tells it from the others, and no secret."""

    def send(self, message: Message | Notice) -> None:
        """Tell it. Raises UnavailableError where it must be tried again, InputError where that cannot help."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """A signed POST of JSON, as Standard Webhooks has it."""

    name: str
    target: Target
    secret: bytes
    allowed: Allowed

    def send(self, message: Message | Notice) -> None:
        content = {"type": message.kind, "timestamp": message.at.isoformat(), "data": dict(message.data)}
        body = json.dumps(content, ensure_ascii=False).encode()
        headers = signed(self.secret, message.id, _seconds(), body)
        post(self.target, body, headers, self.allowed)


@dataclass(frozen=True, slots=True)
class Slack:
    """An incoming webhook of Slack, Mattermost, Rocket.Chat or Discord (``/slack``)."""

    name: str
    target: Target
    allowed: Allowed

    def send(self, message: Message | Notice) -> None:
        text = f"*{_escaped(message.title)}*\n{_escaped(message.text)}"
        post(self.target, json.dumps({"text": text}, ensure_ascii=False).encode(), {}, self.allowed)


@dataclass(frozen=True, slots=True)
class Apprise:
    """An address of Apprise, such as ``mailtos://user:password@example.com?to=team@example.com``."""

    name: str
    url: str
    allowed: Allowed

    def send(self, message: Message | Notice) -> None:
        for host in _hosts(self.url):
            resolve(host, 443, self.allowed)
        sender = _apprise().Apprise()
        if not sender.add(self.url):
            raise InputError(f"Apprise does not know the address {self.name}: see its list of services")
        body, form = (message.markdown, "markdown") if isinstance(message, Notice) else (message.text, "text")
        if not sender.notify(title=message.title, body=body, body_format=form):
            raise UnavailableError(f"{self.name} did not take the message")


def read_channels(urls: Sequence[str], secret: str | None, allowed: Allowed) -> tuple[Channel, ...]:
    """The channels of addresses: ``https://`` is a webhook, ``slack+https://`` Slack's, the rest Apprise's.

    Raises:
        InputError: an address cannot be one, webhooks have no secret, or Apprise is not installed.
    """
    return tuple(_channel(url, secret, allowed) for url in urls)


def _channel(url: str, secret: str | None, allowed: Allowed) -> Channel:
    name = f"{shown(url)}#{blake2b(url.encode(), digest_size=3).hexdigest()}"
    scheme = url.partition("://")[0].lower()
    if scheme in ("http", "https"):
        if secret is None:
            raise InputError(
                f"UPSHOT_ALERT_SECRET is not set, with which messages to {shown(url)} are signed: set it"
            )
        return Webhook(name, read_target(url), read_secret(secret), allowed)
    if scheme.startswith(SLACK):
        return Slack(name, read_target(url[len(SLACK) :]), allowed)
    if scheme.rstrip("s") in _PLAIN_HTTP:
        raise InputError(
            f"{shown(url)} would be an unsigned post to any address: write it as https://HOST/PATH"
        )
    if not _apprise().Apprise().add(url):
        raise InputError(f"the address {shown(url)} is none that alerts can go to: give https://, slack+https://, or "
                         "one of Apprise's, such as mailtos://")  # fmt: skip
    return Apprise(name, url, allowed)


def _hosts(url: str) -> list[str]:
    """The hosts that an address of Apprise names by itself; for most services the place holds a token instead."""
    parts = urlsplit(url)
    named = [parts.hostname, *parse_qs(parts.query).get("smtp", [])]
    return [host for host in named if host and ("." in host or ":" in host or host == "localhost")]


def _apprise() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of what its mail plugin imports
            import apprise

            apprise.Apprise.instantiate("mailto://localhost")
    except ImportError:
        raise InputError(
            "alerts by e-mail and other services need Apprise: pip install 'upshot[alerts]', or give a webhook"
        ) from None
    return apprise


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _seconds() -> int:
    return int(time())
