"""Families: what is corrected, by what, and what the intervals that go with it hold."""

import math
from dataclasses import replace

import numpy as np
import pytest

from upshot.analysis import comparison
from upshot.analysis.family import comparisons_of, correct, method_of
from upshot.analysis.monitor import Reach, monitor_of
from upshot.model.metric import Metric
from upshot.model.plan import Plan
from upshot.stats.effect import Arm, Effect
from upshot.stats.fixed import p_from_statistic

PLAN = Plan(metrics=(Metric(name="m", column="m"),), final=True)
FIXED = monitor_of(PLAN, 1.0, ())


def judged(z, name="m", variant="b"):
    """A test whose statistic is z, in standard errors."""
    effect = Effect(Arm(100.0, 0.5, 10**7, math.inf), Arm(100.0 + z, 0.5, 10**7, math.inf))
    return comparison.Tested(
        metric=name, variant=variant, effect=effect, reach=Reach(2 * 10**7, math.inf), statistic=z,
        p_value=p_from_statistic(z), std_error=1.0, method="z", reason="", harm_p_value=1.0,
    )  # fmt: skip


def test_what_has_no_test_does_not_count():
    nothing = replace(judged(1.0), p_value=None)
    found = correct([judged(2.5), nothing, judged(2.1)], "bonferroni", FIXED)
    assert found.tests == 2
    assert found.p_values[1] is None
    assert found.p_values[0] == pytest.approx(2 * p_from_statistic(2.5))


def test_one_test_and_no_family_stand_alone():
    for family, tests in (("holm", [judged(2.0)]), (None, [judged(2.0), judged(2.2)])):
        found = correct(tests, family, FIXED)
        assert (found.tests, found.level) == (1, 0.05)
        assert found.p_values == tuple(one.p_value for one in tests)


@pytest.mark.parametrize(
    ("family", "fixed", "looks"),
    [
        ("holm", "holm", "holm"),
        ("bonferroni", "bonferroni", "bonferroni"),
        ("benjamini_hochberg", "benjamini_hochberg", "holm"),
        ("dunnett", "holm", "holm"),
    ],
)
def test_what_holds_for_one_look_gives_way_to_holm(family, fixed, looks):
    under_looks = monitor_of(replace(PLAN, monitoring="always_valid"), 1.0, ())
    assert method_of(family, FIXED) == fixed
    assert method_of(family, under_looks) == looks


def test_dunnett_needs_one_metric():
    variants = [judged(2.3, variant=name) for name in "bcd"]
    assert correct(variants, "dunnett", FIXED).critical == pytest.approx(2.349, abs=0.001)
    assert correct([judged(2.3, "m"), judged(2.3, "other")], "dunnett", FIXED).critical is None


def test_each_interval_holds_its_truth_and_a_family_its_error():
    """8,000 worlds, seed 20260207, 3.5 standard errors: one large effect, one null, one small loss."""
    rng, truth = np.random.default_rng(20260207), np.array([6.0, 0.0, -0.1])
    worlds, held, false = 8000, np.zeros(3), 0
    for z in rng.normal(truth, 1.0, (worlds, 3)):
        found = comparisons_of([judged(value, f"m{i}") for i, value in enumerate(z)], "holm", FIXED)
        held += [one.interval[0] <= true <= one.interval[1] for one, true in zip(found, truth, strict=True)]
        false += found[1].significant or (found[2].significant and found[2].effect > 0)
    band = 3.5 * (0.05 * 0.95 / worlds) ** 0.5
    assert (held / worlds >= 0.95 - band).all()
    assert false / worlds <= 0.05 + band
