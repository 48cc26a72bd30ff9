"""What docs/plan.md shows is what the reader does."""

import re
from pathlib import Path

import pytest

from upshot.errors import PlanError
from upshot.formats.plans import plan_from_yaml

TEXT = (Path(__file__).parents[2] / "docs" / "plan.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", TEXT, flags=re.DOTALL)
    assert found is not None
    return found[1]


def test_the_example_is_a_plan() -> None:
    plan = plan_from_yaml(block("yaml"))
    assert [metric.name for metric in plan.metrics] == [
        "converted",
        "revenue",
        "clicked",
        "crashed",
        "latency_ms",
    ]
    assert plan.worth_shipping == 0.025
    assert plan.planned_units == 60_000


def test_the_mistakes_are_named_as_shown() -> None:
    with pytest.raises(PlanError) as error:
        plan_from_yaml(
            "metrics: [a]\nmin_effect: 5%\nalpha: 5\nsplit: {control: 0.5, treatment: 0.4}", "plan.yaml"
        )
    assert str(error.value) == block("text").rstrip()
