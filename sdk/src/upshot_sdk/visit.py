"""The flags of one request, for the visitor who made it.

The identity rule: on one device the first anonymous id stays the targeting key, also after log-in, so that nobody
changes variant by logging in. From then on the context names the user beside it, every event carries both ids, and one
`identify` says that they are one person. A visitor without an id that will come again (no consent to the cookie, or
asked about when the headers had gone) has no targeting key: flags answer what they answer to everybody, no
exposure and no event is sent.
"""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache
from inspect import isawaitable
from typing import Any, Generic, Protocol, TypeVar
from uuid import UUID

from upshot_sdk.evaluation import Evaluation
from upshot_sdk.identity import UnitCookie, new_id
from upshot_sdk.overrides import overridden

Context = Mapping[str, Any]
R = TypeVar("R")
Hook = Callable[[R], Any]

REMEMBERED = 10_000  # pairs of user and anonymous id that one process has told of

UNKNOWN: Sequence[Any] = (False, None, None)
"""What stands for the answers of hooks where one has failed: flags must not break a page."""
FAILED = "a hook failed: the visitor is not recognised"

logger = logging.getLogger("upshot_sdk")


class Client(Protocol):
    """What is needed of `upshot_sdk.Client`."""

    def evaluate(self, flag_key: str, context: Context | None = None, default: Any = None) -> Evaluation:
        """The answer, and its exposure."""

    def peek(self, flag_key: str, context: Context | None = None, default: Any = None) -> Evaluation:
        """The answer without an exposure."""

    def track(self, event: str, context: Context, properties: Context | None = None) -> None:
        """Something that a unit did."""

    def identify(self, context: Context, traits: Context | None = None) -> None:
        """That an anonymous visitor and a user are one."""


class Visitors(Generic[R]):
    """How an application knows who visits it; ``R`` is a request as its server gives it."""

    def __init__(
        self,
        client: Client,
        *,
        user: Hook[R] | None = None,
        attributes: Hook[R] | None = None,
        consent: Hook[R] | None = None,
        cookie: UnitCookie | None = None,
    ) -> None:
        """Each hook is called with the request, once, when its first flag is asked; it may be asynchronous.

        Args:
            client: answers the flags.
            user: the id of who is logged in, as text, a number or a UUID; None for nobody.
            attributes: more of the context, such as country or plan.
            consent: whether the visitor may be recognised; False keeps and sends nothing.
            cookie: how the anonymous id is kept.
        """
        self.client = client
        self.cookie = cookie or UnitCookie()
        self.hooks: tuple[Hook[R], ...] = (
            consent or (lambda _: True),
            user or (lambda _: None),
            attributes or (lambda _: {}),
        )
        self.introduce = lru_cache(REMEMBERED)(self._introduce)

    def _introduce(self, anonymous_id: str, user_id: str) -> None:
        """Say once that they are one person: the cache is the memory of whom was told of."""
        self.client.identify({"targetingKey": anonymous_id, "anonymousId": anonymous_id, "userId": user_id})


class Flags(Generic[R]):
    """Flags for one visitor. Nothing is read, kept or sent before one is asked for."""

    def __init__(self, visitors: Visitors[R], request: R, cookies: str, https: bool) -> None:
        """Args: who visits, the request, its Cookie header, and whether it came over https."""
        self._visitors = visitors
        self._request = request
        self._cookies = cookies
        self._https = https
        self._context: Context | None = None
        self._known = visitors.cookie.read(cookies)
        self._set_cookie: str | None = None
        self._answered = False

    @property
    def context(self) -> Context:
        """What flags are asked with: targetingKey and anonymousId, userId after log-in, the attributes.

        Raises:
            RuntimeError: a hook is asynchronous; `load` has to be awaited first.
        """
        if self._context is None:
            given = self._ask()
            waiting = [one for one in given if isawaitable(one)]
            if waiting:
                for one in waiting:
                    getattr(one, "close", lambda: None)()
                raise RuntimeError("who is visiting is known asynchronously here: `await flags.load()` first")
            self._context = self._settled(*given)
        return self._context

    async def load(self) -> "Flags[R]":
        """Find out who is visiting where a hook is asynchronous; afterwards flags answer at once."""
        if self._context is None:
            given = self._ask()
            try:
                given = [await one if isawaitable(one) else one for one in given]
            except Exception:
                logger.exception(FAILED)
                given = UNKNOWN
            self._context = self._settled(*given)
        return self

    def evaluate(self, flag_key: str, default: Any = None) -> Evaluation:
        """The flag's answer with its variant and reason; the visitor has met the experiment."""
        answer = overridden(flag_key, default)
        if answer is not None:
            return answer
        context, client = self.context, self._visitors.client
        ask = client.evaluate if "targetingKey" in context else client.peek
        return ask(flag_key, context, default)

    def peek(self, flag_key: str, default: Any = None) -> Evaluation:
        """The flag's answer, where the visitor does not meet the experiment yet."""
        answer = overridden(flag_key, default)
        return self._visitors.client.peek(flag_key, self.context, default) if answer is None else answer

    def value(self, flag_key: str, default: Any = None) -> Any:
        """The value alone."""
        return self.evaluate(flag_key, default).value

    def variant(self, flag_key: str) -> str | None:
        """The name of the variant alone; None where no variant was chosen."""
        return self.evaluate(flag_key).variant

    def track(self, event: str, properties: Context | None = None) -> None:
        """Something that the visitor did; nothing is sent of one who is not recognised."""
        if "targetingKey" in self.context:
            self._visitors.client.track(event, self.context, properties)

    def headers(self, present: Collection[str]) -> list[tuple[str, str]]:
        """What the response has to say besides; from now on a visitor without a cookie can be given none.

        A page that asked for a flag is of this visitor only, so caches are told, unless the page has told them.

        Args:
            present: the names of the response's headers, in lower case.
        """
        self._answered = True
        if self._context is None:
            return []
        added = [("Vary", "Cookie")]
        if "cache-control" not in present:
            added.append(("Cache-Control", "private"))
        if self._set_cookie:
            added.append(("Set-Cookie", self._set_cookie))
        return added

    def _ask(self) -> Sequence[Any]:
        try:
            return [hook(self._request) for hook in self._visitors.hooks]
        except Exception:
            logger.exception(FAILED)
            return UNKNOWN

    def _settled(self, consent: object, user: object, attributes: object) -> Context:
        if not isinstance(attributes, Mapping | None):
            logger.error("attributes gave a %s: it has to give a mapping", type(attributes).__name__)
            attributes = None
        context = dict(attributes or {})
        for name in ("targetingKey", "anonymousId", "userId"):
            context.pop(name, None)
        user_id = _user_id(user)
        if user_id:
            context["userId"] = user_id
        anonymous_id = self._recognised(bool(consent))
        if anonymous_id:
            context["targetingKey"] = context["anonymousId"] = anonymous_id
            if user_id:
                self._visitors.introduce(anonymous_id, user_id)
        return context

    def _recognised(self, consent: bool) -> str | None:
        """The id in the cookie, or a new one that the response will set."""
        cookie = self._visitors.cookie
        if not consent:
            self._set_cookie = cookie.removed(self._https) if cookie.is_in(self._cookies) else None
            return None
        if self._known is None and not self._answered:
            self._known = new_id()
            self._set_cookie = cookie.written(self._known, self._https)
        return self._known


def _user_id(user: object) -> str | None:
    """The id as text. An object that stands for a user is none: that of nobody would make all visitors one person."""
    if isinstance(user, str | int | UUID) and not isinstance(user, bool):
        return str(user) or None
    if user is not None:
        logger.error(
            "user gave a %s: it has to give the id of who is logged in (text, a number or a UUID), or None",
            type(user).__name__,
        )
    return None
