"""The table of verdicts, row by row, and its promises over generated analyses."""

import dataclasses
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from upshot.analysis.result import (
    Analysis,
    Check,
    Comparison,
    Fade,
    Guardrail,
    Look,
    MetricResult,
    Progress,
    SegmentResult,
    VariantSummary,
)
from upshot.decide.case import case_of
from upshot.decide.phrases import percent, signed_percent
from upshot.decide.policy import decide
from upshot.decide.table import TABLES
from upshot.errors import DataError
from upshot.model.decision import Note, Situation
from upshot.model.metric import Metric
from upshot.model.plan import Plan

CONTROL = VariantSummary(n=5000, mean=0.1, std=0.3)


def comparison(change, half=0.02, variant="treatment", mean=0.1, **changes) -> Comparison:
    """A comparison as `analyze` would give it: effect and lift from one estimate and one half-width."""
    significant = abs(change) > half
    base = Comparison(
        variant=variant,
        effect=change * mean,
        std_error=half * abs(mean) / 1.96,
        interval=((change - half) * mean, (change + half) * mean),
        interval_unadjusted=((change - half) * mean, (change + half) * mean),
        lift=change,
        lift_interval=(change - half, change + half),
        p_value=0.01 if significant else 0.4,
        p_value_adjusted=0.02 if significant else 0.4,
        tests=2,
        significant=significant,
        method="Welch",
    )
    return dataclasses.replace(base, **changes)


def metric(name="converted", role="primary", better="higher", comparisons=()) -> MetricResult:
    variants = {"control": CONTROL}
    for one in comparisons:
        lift = one.lift or 0.0
        variants[one.variant] = VariantSummary(n=5000, mean=0.1 * (1 + lift), std=0.3)
    return MetricResult(
        name=name, kind="mean", role=role, better=better, variants=variants, comparisons=tuple(comparisons)
    )


def guardrail(state="held", variant="treatment", name="crashed") -> MetricResult:
    rail = Guardrail(
        state=state,
        bound=0.01,
        threshold=0.02,
        p_value=0.3,
        sentence=f"{name} is {state}: +1% of a margin of 2%.",
    )
    lift = 0.8 if state == "harmed" else 0.001
    return metric(name, "guardrail", "lower", [comparison(lift, variant=variant, guardrail=rail)])


def analysis(*metrics: MetricResult, **changes) -> Analysis:
    progress = changes.pop("progress", {})
    base = Analysis(
        unit="user_id",
        control="control",
        monitoring="always_valid",
        alpha=0.05,
        look=Look(number=1, information=0.5, comparisons={}, units={"control": 5000, "treatment": 5000}),
        progress=Progress(units={"control": 5000, "treatment": 5000}, information=0.5, **progress),
        checks=(Check(name="sample_ratio", status="pass", detail="50.1% / 49.9%"),),
        metrics=metrics,
    )
    return dataclasses.replace(base, **changes)


def plan(**changes) -> Plan:
    fields = {"metrics": (Metric(name="converted", column="converted"),), "monitoring": "always_valid"}
    return Plan(**{**fields, **changes})


RUNNING = {"maximum_reached": False, "planned_reached": False}
LATE = {"maximum_reached": False, "planned_reached": True}
FAILED = (Check(name="sample_ratio", status="fail", detail="53% / 47%.", mend="Look at redirects."),)
LIKED = Situation(notes=(Note(sign="positive", text="five of six interviews"),))

ROWS = [
    (1, "KILL", "harm", [comparison(0.1)], guardrail("harmed"), RUNNING, {}),
    (1, "KILL", "harm", [comparison(-0.1, harm=True)], None, RUNNING, {"checks": FAILED}),
    (2, "INVESTIGATE", "check", [comparison(0.1)], None, {}, {"checks": FAILED}),
    (3, "CONTINUE", "early", [comparison(0.1)], None, {**RUNNING, "minimum_reached": False}, {}),
    (3, "CONTINUE", "early", [comparison(0.1)], None, {**RUNNING, "floor_reached": False}, {}),
    (3, "CONTINUE", "early", [comparison(0.1)], None, {**RUNNING, "decision_point": False}, {}),
    (5, "KILL", "worse", [comparison(-0.1)], None, RUNNING, {}),
    (6, "SHIP", "better", [comparison(0.1)], guardrail("held"), RUNNING, {}),
    (6, "SHIP", "better", [comparison(0.1)], None, {"floor_reached": False}, {}),
    (7, "EXTEND", "unproven", [comparison(0.1)], guardrail("unproven"), RUNNING, {}),
    (7, "DISCUSS", "unproven", [comparison(0.1)], guardrail("unproven"), {}, {}),
    (8, "DISCUSS", "small", [comparison(0.012, 0.003)], None, RUNNING, {}),
    (8, "DISCUSS", "small", [comparison(0.022, 0.01)], None, {}, {}),
    (13, "CONTINUE", "running", [comparison(0.022, 0.01)], None, RUNNING, {}),
    (10, "KILL", "no_effect", [comparison(0.01, 0.02)], None, RUNNING, {}),
    (11, "KILL", "inconclusive", [comparison(0.01, 0.19)], None, {}, {}),
    (12, "EXTEND", "promising", [comparison(0.04, 0.05, p_value_adjusted=0.08)], None, LATE, {}),
    (13, "CONTINUE", "running", [comparison(0.04, 0.05, p_value_adjusted=0.08)], None, RUNNING, {}),
    (13, "CONTINUE", "running", [comparison(-0.01, 0.07, p_value_adjusted=0.08)], None, LATE, {}),
]


@pytest.mark.parametrize(("row", "verdict", "cause", "primary", "rail", "progress", "changes"), ROWS)
def test_rows(row, verdict, cause, primary, rail, progress, changes) -> None:
    rails = [rail] if rail else []
    given_analysis = analysis(metric(comparisons=primary), *rails, progress=progress, **changes)
    result = decide(plan(), given_analysis)
    assert (result.verdict, result.cause, result.variants[0].row) == (verdict, cause, row)
    assert result.headline
    assert result.reasons
    assert result.would_change


def test_mixed_primaries_wait_for_the_maximum() -> None:
    both = (metric("a", comparisons=[comparison(0.1)]), metric("b", comparisons=[comparison(-0.1)]))
    running = decide(plan(), analysis(*both, progress=RUNNING))
    assert (running.verdict, running.cause) == ("CONTINUE", "mixed")
    final = decide(plan(), analysis(*both))
    assert (final.verdict, final.cause) == ("DISCUSS", "mixed")


def test_futility_ends_what_cannot_succeed_if_the_plan_asks_for_it() -> None:
    flat = analysis(metric(comparisons=[comparison(-0.01, 0.08, tests=1)]), progress=RUNNING)
    going_on = decide(plan(monitoring="group_sequential"), flat)
    assert going_on.verdict == "CONTINUE"
    ended = decide(plan(monitoring="group_sequential", futility=True), flat)
    assert (ended.verdict, ended.cause, ended.variants[0].row) == ("KILL", "inconclusive", 10)
    hopeful = analysis(metric(comparisons=[comparison(0.06, 0.08, tests=1)]), progress=RUNNING)
    assert decide(plan(monitoring="group_sequential", futility=True), hopeful).verdict == "CONTINUE"


def test_a_positive_note_iterates_only_when_the_numbers_are_done() -> None:
    leaning = metric(comparisons=[comparison(0.01, 0.2)])
    assert decide(plan(), analysis(leaning), LIKED).verdict == "ITERATE"
    assert decide(plan(), analysis(leaning, progress=RUNNING), LIKED).verdict == "CONTINUE"
    assert decide(plan(), analysis(metric(comparisons=[comparison(-0.01, 0.2)])), LIKED).verdict == "KILL"
    winner = metric(comparisons=[comparison(0.1)])
    assert decide(plan(), analysis(winner), LIKED).verdict == "SHIP"


def test_a_guardrail_of_the_plan_that_was_not_measured_is_unproven() -> None:
    guarded = plan(
        metrics=(*plan().metrics, Metric(name="crashed", column="crashed", role="guardrail", margin=0.0))
    )
    result = decide(guarded, analysis(metric(comparisons=[comparison(0.1)])))
    assert (result.verdict, result.cause) == ("DISCUSS", "unproven")
    assert any("crashed could not be measured" in reason for reason in result.reasons)


def test_headlines_are_those_of_the_design() -> None:
    def headline(*metrics, **changes):
        return decide(plan(), analysis(*metrics, **changes)).headline

    assert headline(metric(), guardrail("harmed")) == "Turn it off: crashed is 1.8 times control"
    early = {**RUNNING, "minimum_reached": False, "days_left": 11, "precision": 0.62}
    assert "11 days to go, 62% of the precision needed" in headline(
        metric(comparisons=[comparison(0.1)]), progress=early
    )
    small = metric(comparisons=[comparison(0.012, 0.003)])
    assert headline(small) == "Real but small: converted +1.2% [0.9%, 1.5%], under your bar of 2.5%"
    assert headline(metric(comparisons=[comparison(0.0, 0.04)])) == "Keep control: a gain of 5% is ruled out"
    assert (
        headline(metric(comparisons=[comparison(0.0, 0.19)])) == "Keep control: this test could see only ±19%"
    )


def test_a_lower_metric_wins_by_falling() -> None:
    fall = metric("load_ms", better="lower", comparisons=[comparison(-0.1)])
    assert decide(plan(), analysis(fall)).verdict == "SHIP"
    rise = metric("load_ms", better="lower", comparisons=[comparison(0.1)])
    assert decide(plan(), analysis(rise)).verdict == "KILL"


def test_without_a_lift_a_gain_cannot_be_compared_with_the_bar() -> None:
    no_lift = comparison(0.1, lift=None, lift_interval=(None, None), reasons={"lift": "control's mean is 0"})
    final = decide(plan(), analysis(metric(comparisons=[no_lift])))
    assert (final.verdict, final.cause) == ("DISCUSS", "small")
    assert "cannot be compared" in final.headline


def test_fading_turns_ship_into_extend_then_discuss() -> None:
    fade = Fade(
        metric="converted",
        variant="treatment",
        slope_per_day=-0.01,
        slope_p_value=0.001,
        last_third_lift=0.01,
        fading=True,
    )
    winner = metric(comparisons=[comparison(0.1)])
    running = decide(plan(), analysis(winner, fades=(fade,), progress=RUNNING))
    assert (running.verdict, running.cause) == ("EXTEND", "fading")
    final = decide(plan(), analysis(winner, fades=(fade,)))
    assert (final.verdict, final.cause) == ("DISCUSS", "fading")
    assert any("−1%" in reason and "+1%" in reason for reason in final.reasons)


@pytest.mark.parametrize(
    ("slope", "p_value", "days_left", "verdict"),
    [
        (-0.01, 0.001, 14, "EXTEND"),
        (-0.001, 0.001, 14, "SHIP"),
        (-0.01, 0.2, 14, "SHIP"),
        (0.01, 0.001, 14, "SHIP"),
    ],
)
def test_a_gain_on_its_way_below_the_bar_waits_for_the_rest(slope, p_value, days_left, verdict) -> None:
    fade = Fade(
        metric="converted", variant="treatment", slope_per_day=slope, slope_p_value=p_value, last_third_lift=0.05,
        fading=False,
    )  # fmt: skip
    winner = metric(comparisons=[comparison(0.1)])
    running = analysis(winner, fades=(fade,), progress={**RUNNING, "days_left": days_left})
    assert decide(plan(), running).verdict == verdict
    assert decide(plan(), analysis(winner, fades=(fade,))).verdict == "SHIP"


def test_losses_elsewhere_must_be_acknowledged_before_shipping() -> None:
    winner = metric(comparisons=[comparison(0.1)])
    returns = metric("returns", "secondary", "lower", [comparison(0.2)])
    germany = SegmentResult(checks=(), metrics=(metric(comparisons=[comparison(-0.3)]),))
    found = analysis(winner, returns, segments={"country": {"DE": germany}})
    open_ = decide(plan(), found)
    assert (open_.verdict, open_.cause) == ("SHIP", "acknowledge")
    assert any("returns" in reason and "+20%" in reason for reason in open_.reasons)
    assert any("country=DE" in reason and "−30%" in reason for reason in open_.reasons)
    half = decide(plan(), found, Situation(acknowledged={"returns": "priced in"}))
    assert half.cause == "acknowledge"
    done = decide(plan(), found, Situation(acknowledged={"returns": "priced in", "country=DE": "leaving DE"}))
    assert done.cause == "better"
    assert any("priced in" in reason for reason in done.reasons)


def test_an_acknowledged_check_lets_the_table_go_on_and_is_named() -> None:
    found = analysis(metric(comparisons=[comparison(0.1)]), checks=FAILED)
    assert decide(plan(), found, Situation(acknowledged={"sample_ratio": " "})).verdict == "INVESTIGATE"
    accepted = decide(plan(), found, Situation(acknowledged={"sample_ratio": "bots, removed"}))
    assert accepted.verdict == "SHIP"
    assert any("bots, removed" in reason for reason in accepted.reasons)


def arms(*lifts: float, **changes) -> Analysis:
    names = ["b", "c", "d"][: len(lifts)]
    return analysis(
        metric(comparisons=[comparison(lift, variant=name) for name, lift in zip(names, lifts, strict=True)]),
        **changes,
    )


def test_killed_variants_drop_out_and_one_winner_ships() -> None:
    result = decide(plan(), arms(-0.1, 0.1))
    assert (result.verdict, result.winner) == ("SHIP", "c")
    assert [one.verdict for one in result.variants] == ["KILL", "SHIP"]
    assert any(reason.startswith("b: Keep control") for reason in result.reasons)


def test_several_winners_need_a_tie_break() -> None:
    both = arms(0.1, 0.12)
    open_ = decide(plan(), both)
    assert (open_.verdict, open_.cause, open_.winner) == ("DISCUSS", "tie", None)
    assert decide(plan(tie_break="largest_lift"), both).winner == "c"
    assert decide(plan(tie_break="converted"), both).winner == "c"
    first = decide(plan(tie_break="first"), both)
    assert first.winner == "b"
    assert "tie-break, first" in first.reasons[0]


def test_the_others_go_on_when_one_harms() -> None:
    both = metric(
        comparisons=[comparison(0.0, 0.2, variant="b", harm=True), comparison(0.0, 0.2, variant="c")]
    )
    result = decide(plan(), analysis(both, progress=RUNNING))
    assert (result.verdict, result.cause) == ("CONTINUE", "running")
    assert result.headline.startswith("Turn b off.")


def test_all_killed_is_killed_for_the_gravest_cause() -> None:
    assert decide(plan(), arms(0.0, -0.1)).cause == "worse"


def test_no_variant_is_an_error() -> None:
    with pytest.raises(DataError, match="no variant was compared"):
        decide(plan(), analysis())


SAFE = plan(policy="do_no_harm", metrics=(Metric(name="converted", column="converted", margin=0.05),))


@pytest.mark.parametrize(
    ("lift", "half", "rail", "progress", "verdict", "cause"),
    [
        (-0.01, 0.02, "held", {}, "SHIP", "no_harm"),
        (-0.03, 0.01, "held", {}, "SHIP", "no_harm"),
        (-0.03, 0.03, "held", {}, "DISCUSS", "unproven"),
        (-0.03, 0.03, "held", LATE, "EXTEND", "unproven"),
        (-0.03, 0.03, "held", RUNNING, "CONTINUE", "running"),
        (0.1, 0.02, "unproven", {}, "DISCUSS", "unproven"),
        (-0.1, 0.02, "held", {}, "KILL", "worse"),
        (0.1, 0.02, "harmed", RUNNING, "KILL", "harm"),
    ],
)
def test_do_no_harm(lift, half, rail, progress, verdict, cause) -> None:
    found = analysis(metric(comparisons=[comparison(lift, half)]), guardrail(rail), progress=progress)
    result = decide(SAFE, found)
    assert (result.verdict, result.cause) == (verdict, cause)


def test_superiority_needs_no_bar_but_every_guardrail() -> None:
    strict = plan(policy="superiority_with_guardrails")
    win = metric(comparisons=[comparison(0.012, 0.003)])
    assert decide(strict, analysis(win, guardrail("held"))).verdict == "SHIP"
    assert decide(strict, analysis(win, guardrail("unproven"))).cause == "unproven"
    assert decide(strict, analysis(metric(comparisons=[comparison(0.0, 0.2)]))).cause == "inconclusive"


@pytest.mark.parametrize(
    ("lift", "progress", "checks", "verdict", "cause"),
    [
        (0.0, {}, (), "CONTINUE", "healthy"),
        (0.1, {}, (), "INVESTIGATE", "unhealthy"),
        (-0.1, RUNNING, (), "INVESTIGATE", "unhealthy"),
        (0.0, {}, FAILED, "INVESTIGATE", "unhealthy"),
        (0.1, {**RUNNING, "floor_reached": False}, (), "CONTINUE", "early"),
    ],
)
def test_aa(lift, progress, checks, verdict, cause) -> None:
    like = analysis(metric(comparisons=[comparison(lift)]), progress=progress, checks=checks)
    result = decide(plan(purpose="aa"), like)
    assert (result.verdict, result.cause) == (verdict, cause)


# every state of the world that the dataclasses allow, within reason

lifts = st.none() | st.floats(-0.5, 0.5).map(lambda value: round(value, 4))
ends = st.tuples(st.floats(0.001, 0.4), st.booleans(), st.booleans())


@st.composite
def comparisons(draw, variant: str, role: str) -> Comparison:
    lift, (half, low_open, high_open) = draw(lifts), draw(ends)
    flags = {"harm": draw(st.booleans()) and draw(st.booleans()) and role == "primary"}
    if role == "guardrail" and draw(st.integers(0, 5)):
        state = draw(st.sampled_from(["harmed", "held", "held", "unproven"]))
        flags["guardrail"] = Guardrail(
            state=state, bound=0.01, threshold=0.02, p_value=None, sentence=f"The guardrail is {state}."
        )
    if lift is None:
        return comparison(
            0.0,
            half,
            variant,
            effect=None,
            lift=None,
            interval=(None, None),
            lift_interval=(None, None),
            **flags,
        )
    base = comparison(lift, half, variant, **flags)
    low, high = base.lift_interval
    opened = (None if low_open else low, None if high_open else high)
    return dataclasses.replace(
        base, lift_interval=opened, p_value_adjusted=draw(st.sampled_from([0.001, 0.08, 0.5]))
    )


@st.composite
def analyses(draw) -> Analysis:
    names = draw(st.sampled_from([["treatment"], ["b", "c"]]))
    metrics = []
    for place, role in enumerate(
        ["primary", *draw(st.lists(st.sampled_from(["primary", "secondary", "guardrail"]), max_size=3))]
    ):
        better = draw(st.sampled_from(["higher", "lower"]))
        rows = [draw(comparisons(name, role)) for name in names]
        metrics.append(metric(f"{role}{place}", role, better, rows))
    progress = {
        name: draw(st.booleans())
        for name in (
            "floor_reached",
            "minimum_reached",
            "planned_reached",
            "maximum_reached",
            "decision_point",
        )
    }
    status = draw(st.sampled_from(["pass", "pass", "warn", "fail"]))
    checks = (Check(name="sample_ratio", status=status, detail="Units are missing."),)
    fades = tuple(
        Fade(
            metric="primary0",
            variant=name,
            slope_per_day=-0.01,
            slope_p_value=0.01,
            last_third_lift=0.0,
            fading=True,
        )
        for name in names
        if draw(st.booleans())
    )
    return analysis(*metrics, progress=progress, checks=checks, fades=fades)


plans = st.builds(
    plan,
    policy=st.sampled_from(["standard", "do_no_harm", "superiority_with_guardrails"]),
    purpose=st.sampled_from(["ab", "ab", "aa"]),
    monitoring=st.sampled_from(["fixed", "group_sequential", "always_valid"]),
    tie_break=st.sampled_from([None, "largest_lift", "first"]),
)
situations = st.sampled_from([Situation(), LIKED, Situation(acknowledged={"sample_ratio": "known"})])


@given(plans, analyses(), situations)
@settings(max_examples=400)
def test_every_state_meets_exactly_one_row(drawn_plan, drawn, situation) -> None:
    result = decide(drawn_plan, drawn, situation)
    assert len(result.variants) == len({one.variant for one in result.variants})
    for one in result.variants:
        assert all((one.headline, one.reasons, one.would_change))
        if drawn_plan.purpose == "ab":
            case = case_of(drawn_plan, drawn, situation, one.variant)
            first = next(row.number for row in TABLES[drawn_plan.policy] if row.applies(case))
            assert first == one.row
    assert decide(drawn_plan, drawn, situation) == result


@given(plans, analyses(), situations)
@settings(max_examples=400)
def test_harm_never_ships(drawn_plan, drawn, situation) -> None:
    result = decide(drawn_plan, drawn, situation)
    for one in result.variants:
        case = case_of(drawn_plan, drawn, situation, one.variant)
        if case.harmed_guardrails:
            assert one.verdict in ("KILL", "INVESTIGATE")
            assert result.winner != one.variant
        if one.verdict == "SHIP" and drawn_plan.policy != "do_no_harm":
            assert not case.harmed
            assert not case.worse
            assert any(reading.leans_well for reading in case.primaries)


@given(plans, analyses(), situations)
@settings(max_examples=400)
def test_a_failed_check_never_claims_a_benefit(drawn_plan, drawn, situation) -> None:
    unbelievable = dataclasses.replace(drawn, checks=(*FAILED, *drawn.checks))
    result = decide(drawn_plan, unbelievable, dataclasses.replace(situation, acknowledged={}))
    assert result.verdict in ("INVESTIGATE", "KILL")
    assert result.winner is None
    assert result.verdict == "INVESTIGATE" or result.cause == "harm"


@given(plans, analyses(), situations)
@settings(max_examples=400)
def test_the_reasons_name_the_numbers_used(drawn_plan, drawn, situation) -> None:
    for one in decide(drawn_plan, drawn, situation).variants:
        said = " ".join((one.headline, *one.reasons))
        case = case_of(drawn_plan, drawn, situation, one.variant)
        if one.cause in ("better", "worse", "mixed", "small", "no_effect", "promising", "fading", "no_harm"):
            used = (
                {"worse": case.worse, "better": case.better}.get(one.cause) or case.better or case.primaries
            )
            for reading in used:
                if reading.comparison.lift is not None and not (
                    one.cause == "fading" and reading not in case.worth
                ):
                    assert signed_percent(reading.comparison.lift) in said
        if one.cause == "small":
            assert percent(drawn_plan.worth_shipping) in said


@given(plans, analyses(), situations)
@settings(max_examples=300)
def test_early_verdicts_leak_no_effect(drawn_plan, drawn, situation) -> None:
    for one in decide(drawn_plan, drawn, situation).variants:
        if one.cause in ("early", "check"):
            said = " ".join((one.headline, *one.reasons))
            for result in drawn.metrics:
                for compared in result.comparisons:
                    if compared.lift and math.fabs(compared.lift) > 0.001:
                        assert signed_percent(compared.lift) not in said
