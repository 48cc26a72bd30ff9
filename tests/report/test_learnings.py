"""What was learned: each sentence with its numbers, and nothing where the data cannot be believed."""

from collections.abc import Callable
from dataclasses import replace

from upshot.analysis.result import Check, Fade
from upshot.report.findings import Findings
from upshot.report.learnings import learnings


def text(findings: Findings) -> str:
    return " ".join(learnings(findings))


def test_a_gain_is_told_with_its_shrunken_size(won: Findings) -> None:
    assert "treatment improved converted from 9.98% to 10.53%: +5.5%, 95% interval [+1.4%, +9.8%]." in text(
        won
    )
    assert "The chance that the lift of converted is beyond +2.5% is 91% (prior: normal around 0" in text(won)
    assert "expect about +4.3% rather than +5.5% once treatment is everywhere." in text(won)


def test_a_gain_that_goes_nowhere_promises_nothing(won: Findings) -> None:
    killed = replace(won, verdict=replace(won.verdict, verdict="KILL", cause="harm", winner=None))
    assert "Winners are overestimated" not in text(killed)


def test_no_difference_says_what_is_still_possible(remake: Callable[..., Findings]) -> None:
    wide = remake(significant=False, lift=0.02, lift_interval=(-0.03, 0.07))
    assert "an effect of +5% is still possible (interval [−3.0%, +7.0%])" in text(wide)
    narrow = remake(significant=False, lift=0.01, lift_interval=(-0.01, 0.03))
    assert "an effect of +5% is ruled out (interval [−1.0%, +3.0%])" in text(narrow)


def test_for_lower_is_better_the_other_end_decides(remake: Callable[..., Findings]) -> None:
    findings = remake(significant=False, lift=0.01, lift_interval=(-0.03, 0.20))
    first, *others = findings.analysis.metrics
    metrics = (replace(first, better="lower"), *others)
    turned = replace(findings, analysis=replace(findings.analysis, metrics=metrics))
    assert "an effect of −5% is ruled out" in text(turned)


def test_a_failed_check_leaves_no_effect_to_learn(won: Findings) -> None:
    failed = Check(name="sample_ratio", status="fail", detail="50,000 : 40,000 where 1 : 1 was planned")
    doubtful = replace(won, analysis=replace(won.analysis, checks=(failed,)))
    told = learnings(doubtful)
    assert told[0] == "Nothing can be learned of the effect from these numbers: sample ratio failed."
    assert not any("improved" in line or "better" in line for line in told)
    assert "50,000 : 40,000" in told[-1]


def test_guardrails_are_told_by_state(won: Findings) -> None:
    assert "With treatment, latency may be up to 2.04% worse, beyond its margin of 2%." in text(won)
    assert "Held, with proof: crashed." in text(won)


def test_a_fading_effect_is_told(won: Findings) -> None:
    fade = Fade(
        metric="converted", variant="treatment", slope_per_day=-0.004, slope_p_value=0.002,
        last_third_lift=0.012, fading=True,
    )  # fmt: skip
    told = text(replace(won, analysis=replace(won.analysis, fades=(fade,))))
    assert "fades: +1.2% in the last third of the days since exposure (p = 0.0020 for the trend)." in told
