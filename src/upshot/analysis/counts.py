"""Evidence from bare numbers: successes and trials of each variant."""

from collections.abc import Mapping
from dataclasses import replace

from upshot.analysis.evidence import Evidence, Sample, Slice
from upshot.errors import DataError
from upshot.model.metric import Metric
from upshot.stats.moments import Moments


def evidence_from_counts(counts: Mapping[str, tuple[int, int]], control: str, metric: Metric) -> Evidence:
    """Evidence of one proportion.

    Args:
        counts: variant -> (successes, trials).

    Raises:
        DataError: control is not among the variants, there is no other, or counts are impossible.
    """
    if control not in counts:
        raise DataError(
            f"control is {control!r}, which is not among {', '.join(counts)}: name it with --control"
        )
    if len(counts) < 2:
        raise DataError(f"only {control} was given: a comparison needs a second variant")
    names = (control, *(name for name in counts if name != control))
    samples = {name: Sample(moments=_moments(name, *counts[name])) for name in names}
    return Evidence(
        unit="row",
        control=control,
        variants=names,
        metrics=(replace(metric, kind="proportion"),),
        total=Slice(units={name: counts[name][1] for name in names}, samples={metric.name: samples}),
        rows=len(counts),
        counts=True,
        unseen=tuple(name for name in names if not counts[name][1]),
        understood=(
            f"{len(counts)} counts, successes of trials",
            f"{metric.name}: share, {metric.better} is better",
        ),
    )


def _moments(name: str, successes: int, trials: int) -> Moments:
    try:
        return Moments.from_counts(successes, trials)
    except DataError as error:
        raise DataError(f"{name}={error}") from None


def parse_counts(texts: tuple[str, ...]) -> dict[str, tuple[int, int]]:
    """Read ``control=17489/145274``.

    Raises:
        DataError: one does not read so, or a name comes twice.

    >>> parse_counts(("control=1/10", "treatment=2/10"))
    {'control': (1, 10), 'treatment': (2, 10)}
    """
    found: dict[str, tuple[int, int]] = {}
    for text in texts:
        name, _, numbers = text.partition("=")
        successes, _, trials = numbers.replace(",", "").partition("/")
        try:
            pair = (int(successes), int(trials))
        except ValueError:
            raise DataError(
                f"counts {text!r}: write NAME=SUCCESSES/TRIALS, such as control=17489/145274"
            ) from None
        if not name or name in found:
            raise DataError(f"counts {text!r}: give each variant a name of its own")
        found[name] = pair
    return found
