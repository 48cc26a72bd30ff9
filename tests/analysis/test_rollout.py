"""Guardrails of a rollout: killed where it harms, never by chance, and each state with its numbers."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from upshot.analysis.phrases import percent
from upshot.analysis.rollout import (
    HELD_LEVEL,
    LEVEL,
    Counts,
    Seen,
    Standing,
    Subject,
    design_effect,
    subject_of,
    watch,
)
from upshot.model.flag import Flag, Monitoring, Prerequisite, Rollout, Rule, Step, Trial
from upshot.stats import always_valid

LIMITS = Monitoring(error_threshold=0.01, latency_threshold=200, auto_kill=True)
ERRORS = Monitoring(error_threshold=0.01)
ALONE = Subject(flag="nav", limits=ERRORS, variants=("on",), control=None)
AGAINST = replace(ALONE, control="off")


def seen(units, failed):
    counts = Counts(units=units, failed=failed)
    return Seen(now=counts, first=counts)


def requests(per_unit, slow_per_unit):
    """Counts of units that made so many requests, so many of them slow."""
    n, k = np.asarray(per_unit), np.asarray(slow_per_unit)
    counts = Counts(
        units=len(n), requests=int(n.sum()), slow=int(k.sum()), requests_squared=int((n * n).sum()),
        slow_squared=int((k * k).sum()), slow_requests=int((k * n).sum()),
    )  # fmt: skip
    return Seen(now=counts, first=counts)


def only(subject, **variants) -> Standing:
    (standing,) = watch(subject, variants)
    return standing


def flag(*rules, **fields):
    given = {"key": "nav", "type": "boolean", "variants": {"on": True, "off": False}, "default": "off",
             "monitoring": LIMITS, "rules": rules}  # fmt: skip
    return Flag(**{**given, **fields})


def test_a_rollout_alone_is_held_to_its_limits():
    harmed = only(ALONE, on=seen(5000, 90))
    assert harmed.state == "harmed"
    assert harmed.p_value == pytest.approx(always_valid.rate_p_value(90, 5000, 0.01))
    assert harmed.bound > 0.01
    assert harmed.sentence.startswith("errors: harmed: 1.8% of 5,000 units failed with on, at least 1.")
    assert harmed.sentence.endswith("1% is allowed")
    held = only(ALONE, on=seen(5000, 20))
    assert held.state == "held"
    most = 1 - always_valid.rate_bound(4980, 5000, HELD_LEVEL)
    assert 0.004 < most < 0.01
    assert f"and more than {percent(most)} is ruled out" in held.sentence
    assert only(ALONE, on=seen(5000, 48)).state == "unproven"


def test_what_is_as_bad_as_control_is_not_killed_and_control_is_warned_of():
    """An outage of the shop hits both variants: turning the flag off would mend nothing."""
    both = only(AGAINST, on=seen(5000, 250), off=seen(5000, 250))
    assert both.state == "unproven"
    assert both.warning.startswith("errors: off itself is at 5% of 5,000 units, above the limit of 1%")
    assert "off has 5% of 5,000 units" in both.sentence
    assert only(ALONE, on=seen(5000, 250)).state == "harmed"


def test_worse_than_control_within_the_limit_is_not_harm():
    standing = only(AGAINST, on=seen(50_000, 300), off=seen(50_000, 50))
    assert standing.state == "held"
    assert standing.warning == ""


def test_beyond_the_limit_and_worse_than_control_is_harm():
    standing = only(AGAINST, on=seen(5000, 150), off=seen(5000, 40))
    beyond = always_valid.rate_p_value(150, 5000, 0.01)
    worse = always_valid.two_rates_p_value(150, 5000, 40, 5000)
    assert standing.p_value == pytest.approx(max(beyond, worse))
    assert standing.state == "harmed"
    assert standing.warning == ""


def test_a_few_failures_are_a_bad_minute():
    assert only(ALONE, on=seen(9, 9)).state == "unproven"
    assert only(ALONE, on=seen(10, 10)).state == "harmed"


def test_nothing_seen_is_told():
    standing = only(AGAINST)
    assert (standing.state, standing.value, standing.p_value, standing.bound) == (
        "unproven",
        None,
        None,
        None,
    )
    assert standing.sentence == "errors: no unit has on yet"
    assert only(AGAINST, on=seen(100, 0)).sentence.endswith("; nothing of off to compare with yet")


def test_no_comparison_yet_is_no_harm():
    assert only(AGAINST, on=seen(5000, 500)).state == "unproven"


@pytest.mark.parametrize(
    ("threshold", "failed", "state"), [(0.0, 0, "unproven"), (0.0, 1, "harmed"), (1.0, 50, "held")]
)
def test_limits_of_nothing_and_of_everything(threshold, failed, state):
    subject = replace(ALONE, limits=Monitoring(error_threshold=threshold))
    assert only(subject, on=seen(50, failed)).state == state


@given(
    st.integers(1, 5000).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))),
    st.integers(1, 5000).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))),
    st.floats(0.001, 0.9),
)
def test_states_and_numbers_agree(here, control, threshold):
    subject = replace(AGAINST, limits=Monitoring(error_threshold=threshold))
    standing = only(subject, on=seen(*here), off=seen(*control))
    if standing.state == "harmed":
        assert standing.value > threshold
        assert standing.bound > threshold
        assert here[0] * control[1] < here[1] * control[0]
    if standing.state == "held":
        assert standing.value < threshold
    assert (
        only(replace(subject, control=None), on=seen(*here)).state == "harmed" or standing.state != "harmed"
    )
    assert (standing.warning != "") == (control[1] / control[0] > threshold and control[1] >= 10)


@given(st.integers(100, 3000), st.integers(0, 100), st.integers(0, 100))
def test_more_failures_never_clear_a_rollout(units, failed, more):
    order = ["held", "unproven", "harmed"]
    few = only(ALONE, on=seen(units, min(failed, units)))
    many = only(ALONE, on=seen(units, min(failed + more, units)))
    assert order.index(few.state) <= order.index(many.state)


def test_the_level_is_divided_over_limits_and_variants():
    subject = Subject(flag="nav", limits=LIMITS, variants=("a", "b", "c"), control=None)
    standings = watch(subject, {})
    assert [(one.limit, one.variant) for one in standings] == [
        (limit, variant) for limit in ("errors", "latency") for variant in "abc"
    ]
    assert {one.level for one in standings} == {LEVEL / 6}


def test_latency_is_the_share_of_slow_requests():
    subject = replace(ALONE, limits=Monitoring(latency_threshold=200))
    fast = only(subject, on=requests([1] * 5000, [1] * 100 + [0] * 4900))
    assert (fast.state, fast.value, fast.allowed) == ("held", 0.02, 0.05)
    assert fast.sentence.startswith("latency: held: 2% of 5,000 requests took longer than 200 ms with on")
    slow = only(subject, on=requests([1] * 5000, [1] * 500 + [0] * 4500))
    assert slow.state == "harmed"
    assert slow.sentence.endswith("5% are allowed")


def test_one_slow_customer_is_not_many():
    """500 slow requests of one customer say less than 500 of as many."""
    subject = replace(ALONE, limits=Monitoring(latency_threshold=200))
    one = only(subject, on=requests([500] + [10] * 450, [500] + [0] * 450))
    assert one.value == pytest.approx(0.1)
    assert one.state == "unproven"
    assert one.p_value is None
    many = only(subject, on=requests([10] * 500, [1] * 500))
    assert many.state == "harmed"


@given(st.lists(st.tuples(st.integers(1, 30), st.integers(0, 30)), min_size=2, max_size=40))
def test_the_design_effect_is_the_ratio_of_two_variances(drawn):
    """Against the delta method's variance of a ratio, in NumPy."""
    n = np.array([many for many, _ in drawn], float)
    k = np.minimum([slow for _, slow in drawn], n)
    effect = design_effect(requests(n.astype(int), k.astype(int)).now)
    share = k.sum() / n.sum()
    if 0 < share < 1:
        clustered = np.var(k - share * n, ddof=1) * len(n) / n.sum() ** 2
        assert effect == pytest.approx(max(clustered / (share * (1 - share) / n.sum()), 1.0))
    else:
        assert effect == 1.0


def test_requests_of_one_unit_are_one():
    assert design_effect(requests([40], [40]).now) == 40.0
    assert design_effect(Counts(units=1, requests=1, slow=1)) == 1.0
    assert design_effect(Counts()) == 1.0


# What is watched


def test_those_that_one_draw_left_out_are_control():
    subject = subject_of(flag(Rule(id="some", rollout=Rollout(variant="on", percentage=10))))
    assert subject == Subject(flag="nav", limits=LIMITS, variants=("on",), control="off")


@pytest.mark.parametrize(
    "changed",
    [
        {"when": {"attr": "beta", "op": "eq", "value": True}},
        {"segments": ("early-adopters",)},
        {"starts": datetime(2026, 12, 1, tzinfo=UTC)},
        {"rollout": Rollout(variant="on", percentage=10, unit="account")},
    ],
)
def test_other_people_are_no_control(changed):
    rule = replace(Rule(id="some", rollout=Rollout(variant="on", percentage=10)), **changed)
    assert subject_of(flag(rule)).control is None


def test_several_rules_or_a_prerequisite_leave_no_control():
    rule = Rule(id="some", rollout=Rollout(variant="on", percentage=10))
    staff = Rule(id="staff", variant="on", when={"attr": "staff", "op": "eq", "value": True})
    assert subject_of(flag(staff, rule)).control is None
    assert subject_of(flag(rule, prerequisites=(Prerequisite(flag="pay", variants=("on",)),))).control is None
    assert subject_of(flag(rule, default=None)).control is None


def test_a_split_holds_its_own_control():
    rollout = Rollout(split={"off": 1, "on": 1}, percentage=10)
    subject = subject_of(flag(Rule(id="some", rollout=rollout, segments=("beta",))))
    assert (subject.control, subject.drawn_only, subject.variants) == ("off", True, ("on",))
    trial = Trial(id="EXP-1", split={"control": 1, "treatment": 1})
    variants = {"control": "a", "treatment": "b"}
    rule = Rule(id="exp", experiment=trial, segments=("beta",))
    subject = subject_of(flag(rule, type="string", variants=variants, default=None))
    assert (subject.control, subject.drawn_only, subject.variants) == ("control", True, ("treatment",))


def test_nothing_to_watch():
    rule = Rule(id="some", rollout=Rollout(variant="on"))
    assert subject_of(flag(rule, monitoring=None)) is None
    assert subject_of(flag(rule, monitoring=Monitoring())) is None
    assert subject_of(flag()) is None
    assert subject_of(flag(Rule(id="all", variant="off"))) is None


def test_a_scheduled_rollout_keeps_its_control():
    steps = (Step(at=datetime(2026, 12, 1, tzinfo=UTC), percentage=25),)
    rule = Rule(id="some", rollout=Rollout(variant="on", percentage=0, schedule=steps))
    assert subject_of(flag(rule)).control == "off"


# How often it errs: the size of the simulation is small here, benchmarks/monitoring.py runs 10,000 of each


def looks(rng, rate, units, every):
    """Failures of each batch of units, cumulated."""
    return np.cumsum(rng.binomial(every, rate, units // every))


def ever_harmed(subject, on, off, every):
    for batch, failed in enumerate(on, 1):
        variants = {"on": seen(batch * every, int(failed))}
        if off is not None:
            variants["off"] = seen(batch * every, int(off[batch - 1]))
        if only(subject, **variants).state == "harmed":
            return batch * every
    return None


@pytest.mark.parametrize("rate", [0.01, 0.03])
def test_an_a_a_rollout_is_hardly_ever_killed(rate):
    """Seed 4; 300 worlds of 5,000 units a variant, looked at after each 50: at the limit and, with both variants
    alike, beyond it. At most 1% may be killed: 300 worlds exceed 8 kills with a chance of 0.4% at exactly that."""
    rng = np.random.default_rng(4)
    subject = ALONE if rate == 0.01 else AGAINST
    killed = 0
    for _ in range(300):
        on = looks(rng, rate, 5000, 50)
        off = None if subject is ALONE else looks(rng, rate, 5000, 50)
        killed += ever_harmed(subject, on, off, 50) is not None
    assert stats.binom.sf(8, 300, 0.01) < 0.005
    assert killed <= 8


def test_a_doubled_crash_rate_is_found():
    """Seed 5; 100 worlds, limit 1%, control at 1%, the rollout at 2%: the median delay in units of the variant."""
    rng = np.random.default_rng(5)
    delays = [
        ever_harmed(AGAINST, looks(rng, 0.02, 20_000, 100), looks(rng, 0.01, 20_000, 100), 100) or 20_000
        for _ in range(100)
    ]
    assert max(delays) < 20_000
    assert 800 < np.median(delays) < 4000
