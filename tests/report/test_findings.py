"""Every form of report, on what the analysis and the rule really give."""

import io
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from upshot.analysis.analyze import analyze
from upshot.decide.policy import decide
from upshot.model.decision import Situation
from upshot.model.plan import Plan
from upshot.report import document, notebook, page, terminal
from upshot.report.findings import Findings
from upshot.simulate.demo import STORIES
from upshot.simulate.world import World, evidences


def told(plan: Plan, world: World, seed: int = 20260302) -> Findings:
    """The last day of a made-up world, with its looks, through the whole rule."""
    looks = []
    for day, evidence in evidences(world, plan, np.random.default_rng(seed)):
        analysis = analyze(plan, evidence, looks, day)
        looks.append(analysis.look)
    verdict = decide(plan, analysis, Situation())
    return Findings(plan=plan, evidence=evidence, analysis=analysis, verdict=verdict, looks=tuple(looks[:-1]))


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
@pytest.mark.parametrize("days", [2, 9])
def test_every_story_is_told_whole_in_every_form(story, days: int) -> None:  # type: ignore[no-untyped-def]
    names = dict.fromkeys(story.plan.split, 1.0)
    plan = replace(story.plan, monitoring="always_valid")
    findings = told(plan, World(truths=story.truths, daily_units=800, days=days, cohorts=True, weights=names))
    console = Console(file=io.StringIO(), width=80, color_system=None)
    console.print(terminal.Summary(findings))
    forms = [
        console.file.getvalue(),  # type: ignore[attr-defined]
        document.markdown(findings),
        page.html(findings),
        notebook.repr_html(findings),
    ]
    for text in forms:
        assert findings.verdict.verdict in text
        assert "nan" not in text.lower().replace("finan", "").split()
        assert "inf%" not in text
