"""The chance of each verdict against the rule itself, run look by look on binomial counts."""

from dataclasses import astuple, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from upshot.errors import InputError
from upshot.stats.chances import chance_to_ship, chances
from upshot.stats.design import Design
from upshot.stats.power import power, sample_size

LOOKS, FIRST, MINIMUM, BAR = 14, 4, 0.1, 0.05
DESIGN = Design(baseline=0.2, effect=0.1, monitoring="group_sequential", looks=LOOKS)
WORLDS = 8_000


def _run(design, total, seed):
    """Shares of verdicts when the rows of the table are applied to counts, as `chances` says in words."""
    rng = np.random.default_rng(seed)
    step = round(total / 2 / LOOKS)
    base = design.baseline
    c, t = (
        np.cumsum(rng.binomial(step, p, (WORLDS, LOOKS)), axis=1) / (step * np.arange(1, LOOKS + 1))
        for p in (base, base * (1 + design.effect))
    )
    n = step * np.arange(1, LOOKS + 1)

    def z(against):
        return (t - (1 + against) * c) / np.sqrt((t * (1 - t) + (1 + against) ** 2 * c * (1 - c)) / n)

    _, critical = design.schedule
    verdicts = dict.fromkeys(("ship", "small", "no_effect", "worse", "inconclusive"), 0)
    z0, z_bar, z_least = z(0.0), z(BAR), z(MINIMUM)
    for world in range(WORLDS):
        better = False
        for k in range(LOOKS):
            last, limit = k == LOOKS - 1, critical[k]
            better = better or z0[world, k] > limit
            verdict = None
            if not better and z0[world, k] < -limit:
                verdict = "worse"
            elif k + 1 >= FIRST:
                if better and t[world, k] >= (1 + BAR) * c[world, k]:
                    verdict = "ship"
                elif better and (last or z_bar[world, k] < -limit):
                    verdict = "small"
                elif z_least[world, k] < -limit:
                    verdict = "no_effect"
                elif last:
                    verdict = "inconclusive"
            if verdict:
                verdicts[verdict] += 1
                break
    return {name: count / WORLDS for name, count in verdicts.items()}


@pytest.mark.parametrize("monitoring", ["group_sequential", "always_valid"])
@pytest.mark.parametrize("truth", [-0.05, 0.0, 0.04, 0.1])
@pytest.mark.parametrize("factor", [1.0, 4.0])
def test_chances_by_running_the_rule(monitoring, truth, factor):
    # 8,000 worlds a case, seed 51: 4 standard errors are at most 0.0224
    design = replace(DESIGN, monitoring=monitoring)
    total = factor * sample_size(design).total
    found = chances(replace(design, effect=truth), total, MINIMUM, BAR, first_look=FIRST)
    for name, share in _run(replace(design, effect=truth), total, 51).items():
        assert getattr(found, name) == pytest.approx(share, abs=0.0224), name


@given(
    st.floats(-0.3, 0.3),
    st.floats(0.0, 0.2),
    st.floats(0.01, 0.2),
    st.integers(1, 7),
    st.sampled_from(["fixed", "group_sequential", "always_valid"]),
    st.sampled_from(["higher", "lower"]),
    st.floats(100, 1e6),
)
@settings(max_examples=60, deadline=None)
def test_the_chances_sum_to_one(truth, bar, minimum, first, monitoring, better, total):
    design = Design(baseline=0.2, effect=truth, monitoring=monitoring, looks=7, better=better)
    found = astuple(chances(design, total, minimum, bar, first_look=first))
    assert sum(found) == pytest.approx(1, abs=1e-6)
    assert all(0 <= chance <= 1 + 1e-9 for chance in found)


def test_with_one_look_and_no_bar_ship_is_power():
    design = replace(DESIGN, monitoring="fixed")
    assert chance_to_ship(design, 4_000, 0.0) == pytest.approx(power(design, 4_000), abs=1e-9)


def test_one_bar_for_both_ships_half_of_the_true_winners():
    design = Design(baseline=0.1, effect=0.05)
    total = sample_size(design).total
    assert chance_to_ship(design, total, 0.05) == pytest.approx(0.5, abs=1e-6)
    assert chance_to_ship(design, total, 0.025) == pytest.approx(0.8, abs=0.001)


def test_guardrails_multiply_and_what_they_miss_is_unproven():
    total = sample_size(DESIGN).total
    guardrail = Design(baseline=0.3, effect=0.0, margin=0.1, better="lower")
    alone = chances(DESIGN, total, MINIMUM, BAR)
    guarded = chances(DESIGN, total, MINIMUM, BAR, [guardrail, guardrail])
    assert guarded.ship == pytest.approx(alone.ship * power(guardrail, total) ** 2)
    assert guarded.ship + guarded.unproven == pytest.approx(alone.ship)


@pytest.mark.parametrize(
    ("call", "names"),
    [
        (lambda: chances(DESIGN, 1000, 0.1, 0.05, first_look=15), "first_look is 15"),
        (lambda: chances(DESIGN, 1000, 0.1, 0.05, [DESIGN]), "margin of a guardrail is missing"),
    ],
)
def test_bad_input_is_named(call, names):
    with pytest.raises(InputError, match=names):
        call()
