"""Does an effect go away? The slope of the daily lift against statsmodels, and how often it is called."""

from datetime import date, timedelta

import numpy as np
import pytest
from statsmodels.api import WLS, add_constant

from upshot.analysis.analyze import analyze
from upshot.analysis.fade import fade_of
from upshot.model.metric import Metric

START = date(2026, 3, 2)
SHARE = Metric(name="converted", column="converted", kind="proportion")


def days_of(rng, lift, n=2000, days=21, base=0.2):
    return {
        START + timedelta(day): {
            "control": (int(rng.binomial(n, base)), n),
            "treatment": (int(rng.binomial(n, base * (1 + lift(day)))), n),
        }
        for day in range(days)
    }


def whole(days):
    return {
        name: (sum(one[name][0] for one in days.values()), sum(one[name][1] for one in days.values()))
        for name in ("control", "treatment")
    }


def test_the_slope_is_weighted_least_squares(plan, counted):
    days = days_of(np.random.default_rng(5), lambda day: 0.3 - 0.01 * day)
    evidence = counted(days, **whole(days))
    found = fade_of(plan(), SHARE, "treatment", evidence.days)
    base = whole(days)["control"][0] / whole(days)["control"][1]
    p = {
        name: np.array([one[name][0] / one[name][1] for one in days.values()])
        for name in ("control", "treatment")
    }
    variance = sum(share * (1 - share) / 1999 for share in p.values())
    lift = (p["treatment"] - p["control"]) / base
    fit = WLS(lift, add_constant(np.arange(21.0)), weights=base**2 / variance).fit()
    assert found.slope_per_day == pytest.approx(fit.params[1], rel=1e-9)
    late = list(days.values())[-7:]
    rates = {name: sum(one[name][0] for one in late) / (7 * 2000) for name in ("control", "treatment")}
    assert found.last_third_lift == pytest.approx(rates["treatment"] / rates["control"] - 1)


def test_a_novelty_fades_and_a_lasting_gain_does_not(plan, counted):
    rng = np.random.default_rng(6)
    for lift, fading in ((lambda day: 0.4 * 0.5 ** (day / 3), True), (lambda day: 0.15, False)):
        days = days_of(rng, lift, n=8000)
        analysis = analyze(plan(), counted(days, **whole(days)))
        assert [one.fading for one in analysis.fades] == [fading]


def test_only_what_is_better_is_asked(plan, counted):
    days = days_of(np.random.default_rng(7), lambda day: -0.2)
    assert analyze(plan(), counted(days, **whole(days))).fades == ()


def test_few_days_have_no_trend(plan, counted):
    days = days_of(np.random.default_rng(8), lambda day: 0.5, days=5)
    assert fade_of(plan(), SHARE, "treatment", counted(days, **whole(days)).days) is None


def test_a_gain_that_stays_is_rarely_said_to_fade(plan, counted):
    """400 worlds with +15% that stays, seed 20260206: the one-sided level is 1%."""
    rng, called = np.random.default_rng(20260206), 0
    for _ in range(400):
        days = days_of(rng, lambda day: 0.15, n=500, days=14)
        found = fade_of(plan(), SHARE, "treatment", counted(days, **whole(days)).days)
        called += found.slope_p_value < 0.01
    assert called / 400 <= 0.01 + 3.5 * (0.01 * 0.99 / 400) ** 0.5
