"""Next steps: what to do after a verdict. A table from its cause, else its verdict, to sentences."""

from collections.abc import Mapping
from datetime import timedelta

from upshot.report import words
from upshot.report.findings import Findings

KEEP = ("Keep {control} and switch {challengers} off", "Remove the code path and the flag")
STEPS: Mapping[str, tuple[str, ...]] = {
    "harm": (
        "Switch {challengers} off now; do not wait for the planned end",
        "Find the cause with the people who own what was harmed before anything is tried again",
    ),
    "no_effect": (
        *KEEP,
        "If the idea still seems right, try a change bold enough to move {primaries} by more than {minimum}",
    ),
    "inconclusive": (
        *KEEP,
        (
            "To ask again, choose one of four ways: a bolder change, a nearer metric, a do-no-harm plan with "
            "a margin, or a guarded rollout without a test"
        ),
    ),
    "tie": (
        "Choose among the variants that reached the bar by cost and by taste, and write down why",
        "Name a tie-break in the next plan",
    ),
    "healthy": ("Start real experiments on this assignment and these metrics",),
    "unhealthy": ("Start no experiment on this assignment before the difference is explained",),
    "SHIP": (
        "Roll out {winner} in steps{watch}",
        "Keep a holdback of 1 to 5% if the lasting effect on {primaries} matters",
        "Remove the losing code path and the flag",
    ),
    "KILL": KEEP,
    "ITERATE": (
        "Make the next version from what people said, and plan it as an experiment of its own",
        "Keep {control} until then",
    ),
    "EXTEND": (
        "Let it run on {until}; the level is already budgeted for this",
        "Change nothing else meanwhile",
    ),
    "DISCUSS": ("Weigh the evidence for {challengers}{owner}, and write the decision down with its reason",),
    "CONTINUE": ("Let it run{left}, with the same allocation", "Look again at the next planned look"),
    "INVESTIGATE": ("Decide nothing from these numbers until the failed check is explained",),
}


def next_steps(findings: Findings) -> tuple[str, ...]:
    """What people do now, in order: the verdict's own steps, then what the checks ask for."""
    verdict = findings.verdict
    known = _names(findings)
    steps = [step.format_map(known) for step in STEPS.get(verdict.cause, STEPS[verdict.verdict])]
    mends = [check.mend for check in findings.failing_checks() if check.mend]
    return tuple(words.capital(step) for step in (*steps, *mends))


def _names(findings: Findings) -> dict[str, str]:
    """What the sentences speak of."""
    plan, left = findings.plan, findings.analysis.progress.days_left
    challengers = [words.plain(name) for name in findings.challengers]
    guards = words.listing([words.plain(m.name) for m in plan.of_role("guardrail")])
    return {
        "control": words.plain(findings.control),
        "challengers": words.listing(challengers),
        "winner": words.plain(findings.verdict.winner or words.listing(challengers, "or")),
        "primaries": words.listing([words.plain(m.name) for m in plan.of_role("primary")]) or "the goal",
        "minimum": words.percent(plan.minimum_effect),
        "watch": f" and watch {guards} while it grows" if guards else "",
        "owner": f" with {words.plain(plan.owner)}" if plan.owner else "",
        "left": f" for {words.plural(left, 'more day')}" if left else "",
        "until": _latest(findings),
    }


def _latest(findings: Findings) -> str:
    plan = findings.plan
    if plan.start:
        return f"until {words.day(plan.start + timedelta(days=plan.maximum_days - 1))} at the latest"
    return f"up to {words.duration(plan.maximum_days)} in all"
