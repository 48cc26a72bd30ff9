"""Every cause and every verdict has steps, and every step is filled."""

from dataclasses import replace
from typing import get_args

import pytest

from upshot.model.decision import Cause, Verdict
from upshot.report.findings import Findings
from upshot.report.next_steps import next_steps


@pytest.mark.parametrize("verdict", get_args(Verdict))
@pytest.mark.parametrize("cause", get_args(Cause))
def test_every_verdict_leads_somewhere(won: Findings, verdict: Verdict, cause: Cause) -> None:
    steps = next_steps(replace(won, verdict=replace(won.verdict, verdict=verdict, cause=cause)))
    assert steps
    assert all(step.endswith(".") and "{" not in step for step in steps)


def test_a_doubt_asks_for_its_mend_last(won: Findings) -> None:
    assert next_steps(won)[-1] == "Set a cap, for example cap=99.9%."
