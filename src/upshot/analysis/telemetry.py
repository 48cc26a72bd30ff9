"""Messages that were lost on their way, by variant: what no sample ratio can see.

Every instance of an SDK numbers its messages from 1 without a gap, so a missing number is a lost message.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from upshot.analysis.anomalies import RATIO_LEVEL, Anomaly
from upshot.analysis.phrases import percent
from upshot.analysis.rollout import Counts, design_effect
from upshot.stats import always_valid

MOST_LOST = 0.05
"""The share of messages whose loss is told whether or not variants differ in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """The messages of one instance of an SDK, which it numbers from 1 without a gap.

    Attributes:
        variants: that units of the instance got. received: how many of its messages. highest: the highest number.
    """

    variants: frozenset[str]
    received: int
    highest: int

    @property
    def missing(self) -> int:
        """Messages that are known to be lost; those after the highest number cannot be known of."""
        return max(self.highest - self.received, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """What was lost of the messages of a variant; ``share`` of those that were sent."""

    sent: int
    missing: int

    @property
    def share(self) -> float:
        return self.missing / self.sent if self.sent else 0.0


def losses(streams: Sequence[Stream]) -> dict[str, Loss]:
    """What was lost by variant: of instances that had one variant only (a page, a phone). Those with several, such as
    servers, tell of the loss as a whole, under the empty name."""
    found: dict[str, Loss] = {}
    for stream in streams:
        name = next(iter(stream.variants)) if len(stream.variants) == 1 else ""
        before = found.get(name, Loss(sent=0, missing=0))
        found[name] = Loss(
            sent=before.sent + stream.received + stream.missing, missing=before.missing + stream.missing
        )
    return found


def telemetry_loss(subject: str, streams: Sequence[Stream], control: str) -> Anomaly | None:
    """Whether messages get lost, and in one variant more than in another: what no sample ratio can see.

    Loss comes in runs, so counts are divided by the design effect of instances before variants are compared.
    """
    found = losses(streams)
    whole = Loss(
        sent=sum(one.sent for one in found.values()), missing=sum(one.missing for one in found.values())
    )
    said = ", ".join(
        f"{name or 'instances with several'} {percent(one.share)}" for name, one in sorted(found.items())
    )
    differing = _differing(streams, sorted(found.keys() - {""}), control)
    if differing is not None:
        what = f"more of {differing[0]}'s messages are lost than of {differing[1]}'s"
    elif whole.share > MOST_LOST:
        what = f"{percent(whole.share)} of the messages are lost"
    else:
        return None
    return Anomaly(
        kind="telemetry_loss", subject=subject, what=what, since=None, said=f"lost: {said}",
        advice="do not read its results as they are: see why clients cannot bring their messages out; what is lost "
               "in one variant only looks like an effect",
        numbers={"share": whole.share, **{f"lost_{name or 'several'}": one.share for name, one in found.items()}},
    )  # fmt: skip


def _differing(streams: Sequence[Stream], names: Sequence[str], control: str) -> tuple[str, str] | None:
    """A pair of variants of which the first loses more."""
    others = [name for name in names if name != control]
    for name in others if control in names else ():
        for worse, better in ((name, control), (control, name)):
            here, there = _effective(streams, worse), _effective(streams, better)
            if here[1] and there[1]:
                p = always_valid.two_rates_p_value(here[0], here[1], there[0], there[1])
                if p < RATIO_LEVEL / (2 * len(others)):
                    return worse, better
    return None


def _effective(streams: Sequence[Stream], variant: str) -> tuple[int, int]:
    """Lost and sent of a variant, as if each were lost for itself."""
    own = [(one.received + one.missing, one.missing) for one in streams if one.variants == {variant}]
    counts = Counts(
        units=len(own), requests=sum(n for n, _ in own), slow=sum(k for _, k in own),
        requests_squared=sum(n * n for n, _ in own), slow_squared=sum(k * k for _, k in own),
        slow_requests=sum(n * k for n, k in own),
    )  # fmt: skip
    effect = design_effect(counts)
    return math.floor(counts.slow / effect), math.ceil(counts.requests / effect)
