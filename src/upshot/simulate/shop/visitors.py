"""The visitors of the shop: what each does, as the flags answer, told to the SDK as a real application would."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from upshot_sdk import Evaluation

SEED = 123
TICKS = 144
"""The shop goes on in ticks of ten minutes, so many a day."""
HALF_LIFE = 2.5  # days in which the novelty of the streaks halves

Context = Mapping[str, Any]

_WEEK = np.array([1.1, 1.1, 1.1, 1.1, 1.1, 0.75, 0.75])  # fewer come at the weekend
_DAY = 1 + 0.6 * np.sin((np.arange(TICKS) / TICKS - 9 / 24) * 2 * np.pi)  # and fewest at night


class App(Protocol):
    """What the shop's code calls: `upshot_sdk.Client`, or what stands for it."""

    def evaluate(self, flag_key: str, context: Context | None = None, default: Any = None) -> Evaluation:
        """What a flag answers."""

    def peek(self, flag_key: str, context: Context | None = None, default: Any = None) -> Evaluation:
        """The same without an exposure."""

    def expose(self, answer: Evaluation, context: Context) -> None:
        """Send the exposure of what was peeked."""

    def track(self, event: str, context: Context, properties: Mapping[str, Any] | None = None) -> None:
        """Send that a visitor did something."""


def arrivals(visitors: int, days: int) -> list[int]:
    """How many visitors come in each tick, so that they add up; without chance.

    >>> sum(arrivals(1000, 14)), len(arrivals(1000, 14))
    (1000, 2016)
    """
    rhythm = np.outer(np.resize(_WEEK, days), _DAY).ravel()
    until = np.rint(visitors * np.cumsum(rhythm) / rhythm.sum()).astype(int)
    return [int(count) for count in np.diff(until, prepend=0)]


@dataclass(frozen=True, slots=True)
class _Visit:
    """One visitor in the shop. All chance is the visitor's own, so that none depends on who came before."""

    app: App
    who: Context
    chance: np.random.Generator
    day: int

    def got(self, flag: str, default: str) -> bool:
        """Whether the visitor is given the treatment of a flag."""
        return self.app.evaluate(flag, self.who, default).variant == "treatment"

    def does(self, event: str, share: float, **properties: Any) -> bool:
        """Let it happen with this chance."""
        happens = bool(self.chance.random() < share)
        if happens:
            self.app.track(event, self.who, properties)
        return happens


Life = Iterator[int]


def visitor(app: App, number: int, day: int, seed: int = SEED) -> Life:
    """What a visitor does from the first page on. Yields the ticks that pass until they go on.

    Args:
        app: the shop's code. number: names the visitor. day: on which they come first, from 0.
        seed: of all chance.
    """
    chance = np.random.default_rng((seed, number))
    device = "mobile" if chance.random() < 0.6 else "desktop"
    visit = _Visit(app, {"targetingKey": f"visitor-{number}", "device": device}, chance, day)
    if not _arrives(visit):
        return
    visit.got("like-with-like", "same")
    browses = visit.does("Product Viewed", 0.8, bicycle=int(chance.integers(1, 40)))
    if browses and _fills_cart(visit):
        yield from _orders(visit)
    yield from _rides(visit)


def _arrives(visit: _Visit) -> bool:
    """The landing page counts who sees it, and its redirect loses some."""
    answer = visit.app.peek("landing-page", visit.who, "heavy")
    lost = visit.who["device"] == "mobile" and visit.chance.random() < 0.25
    if answer.variant == "treatment" and lost:
        return False
    visit.app.expose(answer, visit.who)
    return True


def _fills_cart(visit: _Visit) -> bool:
    """The product page: a button of some colour, and perhaps the stock, with which the app crashes more often."""
    visit.got("button", "blue")
    shown = visit.got("stock-widget", "hidden")
    if visit.does("Application Crashed", 0.06 if shown else 0.004):
        return False
    return visit.does("Product Added", 0.58 if shown else 0.5)


def _orders(visit: _Visit) -> Life:
    """The checkout, at once or after a few hours."""
    one_page = visit.got("checkout", "three-pages")
    yield int(visit.chance.integers(0, 48))
    visit.does("Payment Failed", 0.01)
    visit.does(
        "Order Completed", 0.6 if one_page else 0.5, revenue=round(float(visit.chance.gamma(3, 60)), 2)
    )


def _rides(visit: _Visit) -> Life:
    """The riders' app: streaks please while they are new."""
    gain = 0.6 * 0.5 ** (visit.day / HALF_LIFE) if visit.got("streaks", "none") else 0.0
    for _ in range(int(visit.chance.poisson(2 * visit.chance.gamma(4, 0.25) * (1 + gain)))):
        yield int(visit.chance.integers(3, 30))
        visit.does("Ride Logged", 1, km=round(float(visit.chance.gamma(2, 6)), 1))


class Shop:
    """Everybody who is in the shop, tick by tick."""

    def __init__(self, app: App, visitors: int, days: int, seed: int = SEED) -> None:
        self._app, self._seed = app, seed
        self._coming = arrivals(visitors, days)
        self._waiting: dict[int, list[Life]] = {}
        self._came = 0

    def happen(self, tick: int) -> None:
        """Let all happen that happens in a tick, counted from 0: those who go on first, then those who come."""
        for life in self._waiting.pop(tick, ()):
            self._go_on(life, tick)
        for _ in range(self._coming[tick] if tick < len(self._coming) else 0):
            self._go_on(visitor(self._app, self._came, tick // TICKS, self._seed), tick)
            self._came += 1

    def _go_on(self, life: Life, tick: int) -> None:
        for pause in life:
            if pause:
                self._waiting.setdefault(tick + pause, []).append(life)
                return
