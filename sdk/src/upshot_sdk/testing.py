"""For tests of an application: decide what flags answer.

with override_flags({"checkout": "treatment"}):
    ...

@override_flags({"new-header": True})
def test_the_new_header(): ...
"""

from collections.abc import Callable, Mapping
from contextvars import Token
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any

from upshot_sdk.client import Client
from upshot_sdk.evaluation import Evaluation
from upshot_sdk.overrides import Override, Overrides, everywhere, overridden, overrides

Context = Mapping[str, Any]

_peek = Client.peek


class Overriding:
    """A block, or a decorator of a function, a coroutine function or a test class."""

    def __init__(self, flags: Overrides, in_every_thread: bool) -> None:
        self._flags = flags
        self._in_every_thread = in_every_thread
        self._token: Token[Overrides] | None = None

    def __enter__(self) -> None:
        Client.peek = _decided  # type: ignore[method-assign]  # production code asks for no overrides
        if self._in_every_thread:
            everywhere.append(self._flags)
        else:
            self._token = overrides.set({**overrides.get(), **self._flags})

    def __exit__(self, *_: object) -> None:
        if self._token is None:
            everywhere.remove(self._flags)
        else:
            overrides.reset(self._token)
            self._token = None

    def __call__(self, decorated: Any) -> Any:
        if isinstance(decorated, type):
            for name, method in list(vars(decorated).items()):
                if name.startswith("test") and callable(method):
                    setattr(decorated, name, self(method))
            return decorated
        return (
            self._around_coroutine(decorated) if iscoroutinefunction(decorated) else self._around(decorated)
        )

    def _again(self) -> "Overriding":
        """One for each call: calls may overlap."""
        return Overriding(self._flags, self._in_every_thread)

    def _around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def overriding(*args: Any, **kwargs: Any) -> Any:
            with self._again():
                return function(*args, **kwargs)

        return overriding

    def _around_coroutine(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        async def overriding(*args: Any, **kwargs: Any) -> Any:
            with self._again():
                return await function(*args, **kwargs)

        return overriding


def override_flags(flags: Mapping[str, Any], *, in_every_thread: bool = False) -> Overriding:
    """Decide what flags answer, whoever asks, and send no exposure of them; other flags answer as ever.

    Args:
        flags: flag -> a variant's name, which is its value too; a pair of name and value; or, if it is no text,
            the value alone: ``{"checkout": "treatment", "steps": ("short", 2), "new-header": True}``.
        in_every_thread: hold for the whole process, for a server that a test runs in a thread of its own. Otherwise
            for the thread or task of the test, and what it calls.
    """
    return Overriding({key: _override(key, given) for key, given in flags.items()}, in_every_thread)


def _override(key: str, given: Any) -> Override:
    if isinstance(given, str):
        return Override(given, given)
    if not isinstance(given, tuple):
        return Override("override", given)
    if len(given) != 2 or not isinstance(given[0], str):
        raise ValueError(
            f"override of flag {key!r} is {given!r}: give a pair of the variant's name and its value"
        )
    return Override(*given)


def _decided(self: Client, flag_key: str, context: Context | None = None, default: Any = None) -> Evaluation:
    answer = overridden(flag_key, default)
    return _peek(self, flag_key, context, default) if answer is None else answer
