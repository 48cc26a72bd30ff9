"""Coverage of every 95% interval on data whose truth is known. `python -m benchmarks.coverage [worlds]`.

Each case draws moments (or counts, quantiles, clusters) of two variants and asks each interval whether it holds
the truth. Seeds: (20260101, number of the case, number of the world).
"""

import math
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from upshot.simulate.course import course_of_units
from upshot.simulate.units import Truth, draw_units
from upshot.stats.adjustment import cuped, lin, post_stratify
from upshot.stats.clusters import ClusterTotals, cluster_effect
from upshot.stats.effect import Effect, LiftMethod, difference_interval, effect_of, lift_interval
from upshot.stats.fixed import critical
from upshot.stats.interval import Interval
from upshot.stats.moments import Moments
from upshot.stats.proportions import Counts, koopman, mee, miettinen_nurminen, newcombe, two_proportions
from upshot.stats.quantiles import QuantileSample

SEED = 20260101
ALPHA = 0.05
BAND = 3.5  # standard errors of the simulation that chance is given

Answers = Mapping[str, tuple[Interval, float]]  # interval -> itself and the truth it should hold


@dataclass(frozen=True, slots=True)
class Case:
    """Data of one kind."""

    name: str
    answers: Callable[[np.random.Generator], Answers]


@dataclass(frozen=True, slots=True)
class Coverage:
    """How often an interval held the truth."""

    case: str
    interval: str
    worlds: int
    below: float
    above: float

    @property
    def share(self) -> float:
        """Share of worlds whose interval held the truth."""
        return 1 - self.below - self.above

    @property
    def sound(self) -> bool:
        """Within 3.5 standard errors of 95%."""
        return abs(self.share - (1 - ALPHA)) <= BAND * math.sqrt(ALPHA * (1 - ALPHA) / self.worlds)

    @property
    def why(self) -> str:
        """Why it misses, where that is known."""
        return EXCEPTIONS.get((self.case, self.interval)) or EXCEPTIONS.get((self.case, ""), "")


def measure(case: Case, number: int, worlds: int) -> Iterator[Coverage]:
    """The coverage of every interval of a case. An end that is open holds; one that cannot be given does not count."""
    below: dict[str, int] = {}
    above: dict[str, int] = {}
    given: dict[str, int] = {}
    for world in range(worlds):
        for name, (interval, truth) in case.answers(np.random.default_rng((SEED, number, world))).items():
            if interval.low is None and interval.high is None:
                continue
            given[name] = given.get(name, 0) + 1
            below[name] = below.get(name, 0) + (interval.low is not None and truth < interval.low)
            above[name] = above.get(name, 0) + (interval.high is not None and truth > interval.high)
    for name, n in given.items():
        yield Coverage(case.name, name, n, below[name] / n, above[name] / n)


def of_effect(effect: Effect, difference: float, lift: float) -> dict[str, tuple[Interval, float]]:
    """Welch's interval of the difference and the three of the lift."""
    limit = critical(ALPHA, effect.df)
    answers = {"difference (Welch)": (difference_interval(effect, limit), difference)}
    methods: tuple[LiftMethod, ...] = ("fieller", "log", "delta")
    return answers | {f"lift ({name})": (lift_interval(effect, limit, name), lift) for name in methods}


def units(truth: Truth, n: tuple[int, int], lift: float) -> Callable[[np.random.Generator], Answers]:
    """Unadjusted, and with CUPED (and Lin's regression of a mean) where there is a covariate."""
    names: tuple[str, ...] = ("outcome", "denominator") if truth.shape == "ratio" else ("outcome",)
    names += ("before",) if truth.covariate else ()

    def moments(size: int, gain: float, rng: np.random.Generator) -> Moments:
        return course_of_units(names, draw_units(truth, gain, size, rng), np.array([size])).until(0).moments

    def answers(rng: np.random.Generator) -> Answers:
        control, treatment = moments(n[0], 0.0, rng), moments(n[1], lift, rng)
        difference = truth.baseline * lift
        if not truth.covariate:
            return of_effect(effect_of(control, treatment), difference, lift)
        adjusted = cuped({"control": control, "treatment": treatment}).effect("control", "treatment")
        found = {f"CUPED {name}": answer for name, answer in of_effect(adjusted, difference, lift).items()}
        if truth.shape != "ratio":
            own = lin(control, treatment)
            found["Lin difference"] = (difference_interval(own, critical(ALPHA, own.df)), difference)
        return found

    return answers


def shares(p: float, n: tuple[int, int], lift: float) -> Callable[[np.random.Generator], Answers]:
    """The score intervals of two proportions, which invert the test that is reported, and Newcombe's."""

    def answers(rng: np.random.Generator) -> Answers:
        counts = Counts(int(rng.binomial(n[0], p)), n[0], int(rng.binomial(n[1], p * (1 + lift))), n[1])
        test = two_proportions(counts, ALPHA)
        limit = test.critical if test else critical(ALPHA)
        difference = p * lift
        return {
            "difference (Mee)": (mee(counts, limit), difference),
            "lift (Koopman)": (koopman(counts, limit), lift),
            "difference (Miettinen-Nurminen)": (miettinen_nurminen(counts, ALPHA), difference),
            "difference (Newcombe)": (newcombe(counts, ALPHA), difference),
        }

    return answers


def quantiles(level: float, n: int) -> Callable[[np.random.Generator], Answers]:
    """The difference of two quantiles of log-normal times, in each unit's own time, by their outer intervals."""

    def answers(rng: np.random.Generator) -> Answers:
        samples = [QuantileSample.from_array(np.exp(rng.standard_normal(n)), level) for _ in range(2)]
        effect = Effect(samples[0].arm, samples[1].arm)
        return of_effect(effect, 0.0, 0.0)

    return answers


def clusters(groups: int) -> Callable[[np.random.Generator], Answers]:
    """Shops of 5 to 60 rows with a habit of their own, randomised as wholes."""

    def side(rng: np.random.Generator) -> ClusterTotals:
        sizes = rng.integers(5, 61, groups)
        sums = sizes * (10 + rng.standard_normal(groups)) + np.sqrt(sizes) * 3 * rng.standard_normal(groups)
        return ClusterTotals(sums, sizes.astype(float))

    def answers(rng: np.random.Generator) -> Answers:
        return of_effect(cluster_effect(side(rng), side(rng)), 0.0, 0.0)

    return answers


def strata(rng: np.random.Generator) -> Answers:
    """Three countries with means far apart; the effect is 0.5 in each."""
    pairs = []
    for level, share in ((5.0, 0.5), (10.0, 0.3), (30.0, 0.2)):
        sizes = rng.binomial(400, share, 2)
        pairs.append(
            (
                Moments.from_arrays(rng.normal(level, 3.0, sizes[0])),
                Moments.from_arrays(rng.normal(level + 0.5, 3.0, sizes[1])),
            )
        )
    effect = post_stratify(pairs)
    return {"difference (post-stratified)": (difference_interval(effect, critical(ALPHA, effect.df)), 0.5)}


EXCEPTIONS = {
    ("normal, 30 and 50 units", "lift (log)"): "so few units that the log of the ratio is not yet normal",
    ("revenue, 2,000 units", "lift (delta)"): "symmetric where the ratio is not: there to compare with only",
    (
        "share 1%, 1,000 units (10 events)",
        "difference (Mee)",
    ): "10 events: exact on average over p, not at each p",
    (
        "share 1%, 1,000 units (10 events)",
        "lift (Koopman)",
    ): "10 events: exact on average over p, not at each p",
    ("share 1%, 1,000 units (10 events)", "difference (Miettinen-Nurminen)"): "10 events: as Mee",
    ("p95, 2,000 units", ""): "wider than needed: its ends are the next order statistics outside",
}
"""Known misses, by data and interval ("": every interval); anything else that misses is a fault."""

CASES = (
    Case("normal, 30 and 50 units", units(Truth(shape="normal", baseline=10.0), (30, 50), 0.1)),
    Case("normal, 1,000 units", units(Truth(shape="normal", baseline=10.0), (1000, 1000), 0.1)),
    Case("revenue, 2,000 units", units(Truth(shape="revenue", baseline=8.0), (2000, 2000), 0.1)),
    Case("revenue, 10,000 units", units(Truth(shape="revenue", baseline=8.0), (10_000, 10_000), 0.1)),
    Case("count, 500 units", units(Truth(shape="count", baseline=3.0), (500, 500), 0.1)),
    Case("ratio, 500 units", units(Truth(shape="ratio", baseline=0.3), (500, 500), 0.1)),
    Case("ratio, 200 and 2,000 units", units(Truth(shape="ratio", baseline=0.1), (200, 2000), 0.0)),
    Case(
        "normal with covariate", units(Truth(shape="normal", baseline=10.0, covariate=True), (500, 500), 0.1)
    ),
    Case(
        "share with covariate", units(Truth(shape="binary", baseline=0.2, covariate=True), (1000, 1000), 0.1)
    ),
    Case(
        "revenue with covariate",
        units(Truth(shape="revenue", baseline=8.0, covariate=True), (5000, 5000), 0.1),
    ),
    Case("count with covariate", units(Truth(shape="count", baseline=3.0, covariate=True), (500, 500), 0.1)),
    Case("ratio with covariate", units(Truth(shape="ratio", baseline=0.3, covariate=True), (500, 500), 0.1)),
    Case("share 20%, 500 units", shares(0.2, (500, 500), 0.1)),
    Case("share 2%, 2,500 units (50 events)", shares(0.02, (2500, 2500), 0.0)),
    Case("share 2%, 2,500 and 7,500 units, lift 30%", shares(0.02, (2500, 7500), 0.3)),
    Case("share 1%, 1,000 units (10 events)", shares(0.01, (1000, 1000), 0.0)),
    Case("median, 1,000 units", quantiles(0.5, 1000)),
    Case("p95, 2,000 units", quantiles(0.95, 2000)),
    Case("8 clusters a side (CR2)", clusters(8)),
    Case("30 clusters a side (CR1)", clusters(30)),
    Case("three strata", strata),
)


def main(worlds: int = 10_000) -> int:
    """Print a Markdown table of every interval of every case; 1 if one misses without a known reason."""
    unexpected = 0
    print("| data | interval | coverage | truth below | truth above | within 3.5 s.e. |")
    print("|---|---|---|---|---|---|")
    for number, case in enumerate(CASES):
        for row in measure(case, number, worlds):
            verdict = "yes" if row.sound else f"no: {row.why or 'unexpected'}"
            unexpected += not row.sound and not row.why
            print(
                f"| {row.case} | {row.interval} | {row.share:.2%} | {row.below:.2%} | {row.above:.2%} | {verdict} |",
                flush=True,
            )
    return 1 if unexpected else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000))
