"""Findings written by hand: each one a situation that a report must tell well."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest

from upshot.analysis.analyze import analyze
from upshot.analysis.evidence import Evidence, Histogram, Sample, Slice
from upshot.analysis.result import (
    Analysis,
    Check,
    Comparison,
    Guardrail,
    Look,
    MetricResult,
    Progress,
    SegmentResult,
    VariantSummary,
)
from upshot.decide.policy import decide
from upshot.model.decision import ExperimentVerdict, Situation, VariantVerdict
from upshot.model.metric import Metric
from upshot.model.plan import Plan
from upshot.report.findings import Findings
from upshot.simulate.demo import STORIES
from upshot.simulate.world import World, evidences
from upshot.stats.moments import Moments

START = date(2026, 3, 2)
CONVERTED = Metric(name="converted", column="converted", kind="proportion")
REVENUE = Metric(
    name="revenue", column="revenue", kind="mean", role="secondary", covariates=("revenue_before",), cap=0.999
)
CRASHED = Metric(
    name="crashed", column="crashed", kind="proportion", role="guardrail", better="lower", maximum=0.001
)
LATENCY = Metric(
    name="latency", column="latency_ms", kind="mean", role="guardrail", better="lower", margin=0.02
)


def comparison(variant: str = "treatment", **changes: object) -> Comparison:
    base = Comparison(
        variant=variant,
        effect=0.0055,
        std_error=0.0021,
        interval=(0.0014, 0.0096),
        interval_unadjusted=(0.0014, 0.0096),
        lift=0.0551,
        lift_interval=(0.0139, 0.0978),
        p_value=0.0088,
        p_value_adjusted=0.0088,
        tests=1,
        significant=True,
        method="pooled z; Mee and Koopman intervals",
        p_win=0.91,
        shrunken_lift=0.043,
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def result(
    metric: Metric, means: dict[str, float | None], *comparisons: Comparison, n: int = 41_203
) -> MetricResult:
    variants = {
        name: VariantSummary(n=n + 17 * i, mean=mean, std=0.3) for i, (name, mean) in enumerate(means.items())
    }
    assert metric.kind
    return MetricResult(
        name=metric.name,
        kind=metric.kind,
        role=metric.role,
        better=metric.better,
        variants=variants,
        comparisons=comparisons,
    )


def held(state: str, sentence: str, threshold: float = 0.001, bound: float | None = 0.0008) -> Guardrail:
    return Guardrail(state=state, bound=bound, threshold=threshold, p_value=0.42, sentence=sentence)  # type: ignore[arg-type]


def winner_metrics() -> tuple[MetricResult, ...]:
    return (
        result(CONVERTED, {"control": 0.0998, "treatment": 0.1053}, comparison()),
        result(
            REVENUE,
            {"control": 12.3412, "treatment": 12.8109},
            comparison(
                effect=0.4697,
                interval=(-0.11, 1.05),
                lift=0.0381,
                lift_interval=(-0.009, 0.0862),
                p_value=0.112,
                p_value_adjusted=0.112,
                significant=False,
                variance_reduction=0.34,
                method="Welch t with CUPED; Fieller interval",
            ),
        ),
        result(
            CRASHED,
            {"control": 0.00041, "treatment": 0.00044},
            comparison(
                effect=0.00003,
                lift=0.073,
                lift_interval=(-0.4, 0.91),
                p_value_adjusted=0.81,
                significant=False,
                guardrail=held("held", "crashed is 0.044%, below its limit of 0.1% (upper bound 0.08%)"),
            ),
        ),
        result(
            LATENCY,
            {"control": 212.4, "treatment": 214.1},
            comparison(
                effect=1.7,
                lift=0.008,
                lift_interval=(-0.004, 0.0204),
                p_value_adjusted=0.17,
                significant=False,
                guardrail=held(
                    "unproven", "latency may be up to 2.04% worse, beyond its margin of 2%", 0.02, 0.0204
                ),
            ),
        ),
    )


def daily(days: int = 28, per_day: int = 1471) -> dict[date, Slice]:
    """Disjoint cohorts by day of first exposure: 10.0% against 10.5%, revenue about 12."""
    rng = np.random.default_rng(20260302)
    return {START + timedelta(days=i): _cohort(rng, per_day) for i in range(days)}


def _cohort(rng: np.random.Generator, n: int) -> Slice:
    samples: dict[str, dict[str, Sample]] = {"converted": {}, "revenue": {}}
    for variant, rate in (("control", 0.0998), ("treatment", 0.1053)):
        hits = int(rng.binomial(n, rate))
        samples["converted"][variant] = Sample(moments=Moments.from_counts(hits, n))
        before = rng.gamma(2.0, 6.0, n)
        samples["revenue"][variant] = Sample(
            moments=Moments.from_arrays(
                before * 0.6 + rng.gamma(2.0, 2.5 + 0.2 * (variant == "treatment"), n),
                covariates={"revenue_before": before},
            )
        )
    return Slice(units={"control": n, "treatment": n}, samples=samples)


def checks() -> tuple[Check, ...]:
    return (
        Check(
            name="sample_ratio", status="pass", detail="41,203 : 41,220 where 1 : 1 was planned", p_value=0.95
        ),
        Check(name="exposure_conflicts", status="pass", detail="3 of 82,426 units were in several variants"),
        Check(
            name="outliers",
            status="warn",
            detail="One unit carries 4.1% of the revenue; without it the lift is +3.2%",
            mend="Set a cap, for example cap=99.9%",
        ),
        Check(name="duplicate_rows", status="skipped", detail="No unit column was named"),
    )


def verdict(word: str = "SHIP", cause: str = "better", **changes: object) -> ExperimentVerdict:
    headline = str(
        changes.pop("headline", "Ship treatment: converted +5.5% [+1.4%, +9.8%], over your bar of 2.5%")
    )
    reasons = (
        "converted is better: +5.5% [+1.4%, +9.8%], p = 0.0088.",
        "crashed held; latency is not proven.",
    )
    would = "An upper end below +2.5%, or a harmed guardrail."
    one = VariantVerdict(
        variant="treatment",
        verdict=word,  # type: ignore[arg-type]
        cause=cause,  # type: ignore[arg-type]
        row=6,
        headline=headline,
        reasons=reasons,
        would_change=would,
    )
    base = ExperimentVerdict(
        verdict=one.verdict,
        cause=one.cause,
        headline=headline,
        reasons=reasons,
        would_change=would,
        winner="treatment" if word == "SHIP" else None,
        variants=(one,),
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def country(
    a: float, b: float, n: int, lift: float, bounds: tuple[float, float], *, significant: bool
) -> SegmentResult:
    one = comparison(lift=lift, lift_interval=bounds, significant=significant, tests=3)
    return SegmentResult(checks=(), metrics=(result(CONVERTED, {"control": a, "treatment": b}, one, n=n),))


def winner() -> Findings:
    """A clear winner with a covariate, two guardrails, segments and 28 days."""
    metrics = (CONVERTED, REVENUE, CRASHED, LATENCY)
    plan = Plan(
        metrics=metrics,
        split={"control": 1, "treatment": 1},
        id="EXP-2026-001",
        name="Shorter checkout",
        hypothesis="We believe one page will raise conversion because half of the carts are left at step 2",
        owner="mara",
        unit="user_id",
        planned_units=40_000,
        start=START,
        end=START + timedelta(days=27),
    )
    days = daily()
    total = Slice(
        units={"control": 41_203, "treatment": 41_220},
        samples={
            "converted": {
                "control": Sample(moments=Moments.from_counts(4112, 41_203)),
                "treatment": Sample(moments=Moments.from_counts(4340, 41_220)),
            }
        },
    )
    evidence = Evidence(
        unit="user_id",
        control="control",
        variants=("control", "treatment"),
        metrics=metrics,
        total=total,
        days=days,
        rows=82_423,
        histograms={
            "revenue": Histogram(
                edges=tuple(float(5 * i) for i in range(11)),
                counts={
                    "control": (9000, 12000, 9000, 5000, 3000, 1500, 900, 500, 200, 103),
                    "treatment": (8800, 11900, 9100, 5150, 3050, 1550, 950, 520, 190, 10),
                },
            )
        },
        understood=("converted: share of users, higher is better; 10.0% → 10.5% would be +5%",),
        sql="SELECT variant, count(*) FROM visits GROUP BY 1",
    )
    metrics_found = winner_metrics()
    by_country = {
        "Germany": country(0.101, 0.107, 21_034, 0.0594, (0.001, 0.12), significant=True),
        "France": country(0.099, 0.104, 14_022, 0.05, (-0.02, 0.13), significant=False),
        "Spain": country(0.097, 0.097, 6_147, 0.0, (-0.11, 0.12), significant=False),
    }
    analysis = Analysis(
        unit="user_id",
        control="control",
        monitoring="fixed",
        alpha=0.05,
        look=Look(
            number=1, information=1.0, comparisons={}, units=total.units, day=START + timedelta(days=27)
        ),
        progress=Progress(units=total.units, information=1.0, days=28, precision=1.0, days_left=0),
        checks=checks(),
        metrics=metrics_found,
        segments={"country": by_country},
    )
    return Findings(plan=plan, evidence=evidence, analysis=analysis, verdict=verdict())


@pytest.fixture(scope="session")
def won() -> Findings:
    return winner()


@pytest.fixture
def bare(won: Findings) -> Findings:
    """A file without a plan: one metric, no time, no segments, no guardrails, nothing shown."""
    plan = Plan(metrics=(CONVERTED,), final=True)
    evidence = replace(
        won.evidence, metrics=(CONVERTED,), days={}, histograms={}, understood=(), sql="", unit="row"
    )
    found = result(
        CONVERTED,
        {"control": 0.1203863, "treatment": 0.1188081},
        comparison(
            effect=-0.0015782, interval=(-0.0039, 0.0008), lift=-0.01311, lift_interval=(-0.0324, 0.0066),
            p_value=0.18988, p_value_adjusted=0.18988, significant=False,
        ),
    )  # fmt: skip
    analysis = replace(won.analysis, unit="row", metrics=(found,), segments={}, checks=checks()[:1],
        progress=Progress(units=won.analysis.progress.units, information=1.0))  # fmt: skip
    return Findings(
        plan=plan, evidence=evidence, analysis=analysis,
        verdict=verdict("KILL", "no_effect", headline="Keep control: a gain of 5% is ruled out"),
    )  # fmt: skip


@pytest.fixture
def three_arms(won: Findings) -> Findings:
    """Two challengers: one better, one without a lift because control is zero."""
    unbounded = comparison(
        "women", lift=0.4, lift_interval=(0.02, None), tests=2, p_value_adjusted=0.031,
        reasons={"lift_interval.high": "control may be zero, so no upper end can be given"},
    )  # fmt: skip
    found = result(
        CONVERTED, {"control": 0.1061, "men": 0.1828, "women": 0.1514}, comparison("men", tests=2), unbounded
    )
    return replace(
        won,
        evidence=replace(
            won.evidence, variants=("control", "men", "women"), metrics=(CONVERTED,), days={}, histograms={}
        ),
        analysis=replace(won.analysis, metrics=(found,), segments={}),
    )


@pytest.fixture
def remake(won: Findings) -> Callable[..., Findings]:
    """The winner with one comparison of its first metric changed."""

    def change(**changes: object) -> Findings:
        first, *rest = won.analysis.metrics
        altered = replace(first, comparisons=(replace(first.comparisons[0], **changes),))  # type: ignore[arg-type]
        return replace(won, analysis=replace(won.analysis, metrics=(altered, *rest)))

    return change


@pytest.fixture(scope="session")
def simulated() -> Findings:
    """Twelve days of a made-up world through the whole rule: one primary with a covariate, two guardrails."""
    story = STORIES[0]
    plan = replace(story.plan, monitoring="always_valid")
    world = World(truths=story.truths, daily_units=800, days=12, cohorts=True)
    *_, (day, evidence) = evidences(world, plan, np.random.default_rng(20260302))
    analysis = analyze(plan, evidence, (), day)
    return Findings(
        plan=plan, evidence=evidence, analysis=analysis, verdict=decide(plan, analysis, Situation())
    )
