"""How many events a source may send, so that one that runs wild does not take the disk from the others."""

from collections.abc import Callable
from math import ceil


class Rates:
    """A bucket of tokens for each source, which refills each second to what a second allows.

    A batch may take more than the bucket has: it is refused only where nothing is left, and the debt is paid before
    the next is taken. So a batch of any size passes now and then, and the rate holds in the long run.
    """

    def __init__(self, per_second: float | None, clock: Callable[[], float]) -> None:
        """
        Args:
            per_second: events that each source may send; None: any number.
            clock: gives seconds that never go back.
        """
        self._per_second, self._clock = per_second, clock
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, source: str, events: int) -> int:
        """Take tokens for events; 0, or whole seconds after which there are some again, and none were taken.

        >>> rates = Rates(10, lambda: 0.0)
        >>> rates.take("shop", 50), rates.take("shop", 1), rates.take("app", 1)
        (0, 5, 0)
        """
        if self._per_second is None:
            return 0
        now = self._clock()
        tokens, then = self._buckets.get(source, (self._full, now))
        tokens = min(tokens + (now - then) * self._per_second, self._full)
        taken = events if tokens >= 1 else 0
        self._buckets[source] = tokens - taken, now
        return 0 if taken or not events else ceil((1 - tokens) / self._per_second)

    @property
    def _full(self) -> float:
        return max(self._per_second or 0.0, 1.0)
