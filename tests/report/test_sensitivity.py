"""What a test can find, against worlds in which exactly that is true."""

from dataclasses import replace

import numpy as np
import pytest

from upshot.analysis.result import VariantSummary
from upshot.report.findings import Findings
from upshot.report.sensitivity import sensitivity

SEED, WORLDS = 20260310, 2_000


def test_the_findable_effect_is_found_as_often_as_said(won: Findings) -> None:
    """2,000 worlds, tolerance 3.5 standard errors of a share of 80%."""
    found = sensitivity(won, won.analysis.metrics[0])
    assert found
    rng = np.random.default_rng(SEED)
    n = [won.evidence.total.units[name] for name in ("control", "treatment")]
    control = rng.binomial(n[0], 0.0998, WORLDS)
    treatment = rng.binomial(n[1], 0.0998 * (1 + found.findable), WORLDS)
    pooled = (control + treatment) / sum(n)
    z = (treatment / n[1] - control / n[0]) / np.sqrt(pooled * (1 - pooled) * (1 / n[0] + 1 / n[1]))
    wins = np.mean(z > 1.959964)
    assert wins == pytest.approx(0.8, abs=3.5 * np.sqrt(0.8 * 0.2 / WORLDS))


def test_the_curve_rises_from_alpha_s_half_through_the_power_at_the_findable_effect(won: Findings) -> None:
    found = sensitivity(won, won.analysis.metrics[0])
    assert found
    effects, chances = zip(*found.curve, strict=True)
    assert list(effects) == sorted(effects)
    assert list(chances) == sorted(chances)
    assert chances[0] == pytest.approx(0.025, abs=1e-6)
    assert np.interp(found.findable, effects, chances) == pytest.approx(0.8, abs=0.005)
    assert found.complete
    assert found.units == 82_423


def test_a_running_test_is_told_at_its_maximum(won: Findings) -> None:
    progress = replace(won.analysis.progress, maximum_reached=False)
    running = replace(
        won,
        plan=replace(won.plan, maximum_units=60_000),
        analysis=replace(won.analysis, progress=progress),
    )
    found = sensitivity(running, won.analysis.metrics[0])
    assert found
    assert (found.units, found.complete) == (120_000, False)


def test_without_a_baseline_there_is_no_curve(won: Findings) -> None:
    metric = won.analysis.metrics[0]
    nothing = {**metric.variants, "control": VariantSummary(n=10, mean=0.0, std=0.0)}
    assert sensitivity(won, replace(metric, variants=nothing)) is None
    assert sensitivity(won, replace(metric, kind="quantile")) is None
