"""The demo's files lead to the verdicts that their truths call for."""

from pathlib import Path

import pytest

from upshot.analysis.analyze import analyze
from upshot.analysis.query import read_evidence
from upshot.analysis.question import Question
from upshot.decide.policy import decide
from upshot.formats.plans import read_plan
from upshot.simulate.demo import SEED, STORIES, write_demo
from upshot.simulate.story import write_story
from upshot.warehouse.sources import open_table


@pytest.mark.parametrize("place", range(len(STORIES)), ids=[story.name for story in STORIES])
def test_a_story_ends_as_its_truth_says(place: int, tmp_path: Path) -> None:
    story = STORIES[place]
    data, path = write_story(story, tmp_path, SEED + place)
    plan = read_plan(path)
    assert plan == story.plan
    question = Question(
        unit="user_id",
        variant="variant",
        control=plan.control,
        metrics=plan.metrics,
        segments=("device",),
        time="first_seen",
        split=plan.split,
    )
    result = decide(plan, analyze(plan, read_evidence(open_table(str(data)), question)))
    assert (result.verdict, result.cause) == (story.verdict, story.cause)
    assert all(reason.endswith(".") for reason in result.reasons)


def test_the_demo_is_the_same_every_time(tmp_path: Path) -> None:
    first, again = (
        {demo.story.name: demo.data.read_bytes() for demo in write_demo(tmp_path / name)}
        for name in ("a", "b")
    )
    assert {story.name for story in STORIES} == set(first)
    assert first == again
