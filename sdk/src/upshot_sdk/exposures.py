"""Which exposures have been sent, so that each is sent once, in memory that does not grow without end."""

KEPT = 50_000


class Exposures:
    """A set that forgets what it has not met for long.

    Two generations of at most ``kept`` entries: when the young one is full it becomes the old one. What is asked for
    often stays; what was forgotten is sent again, which does no harm, as the first exposure counts. It needs no lock:
    ``dict.setdefault`` is atomic.
    """

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._young: dict[int, object] = {}
        self._old: dict[int, object] = {}

    def first(self, experiment: str, phase: int, unit_id: str, variant: str) -> bool:
        """Whether this exposure has not been met before; from now on it has."""
        entry, mark = hash((experiment, phase, unit_id, variant)), object()
        young = self._young
        if young.setdefault(entry, mark) is not mark:
            return False
        met = entry in self._old
        if len(young) >= self._kept and young is self._young:
            self._old, self._young = young, {}
        return not met

    def forget(self, experiment: str, phase: int, unit_id: str, variant: str) -> None:
        """That it could not be sent: the next time counts as the first again."""
        entry = hash((experiment, phase, unit_id, variant))
        self._young.pop(entry, None)
        self._old.pop(entry, None)

    def __len__(self) -> int:
        return len(self._young.keys() | self._old.keys())
