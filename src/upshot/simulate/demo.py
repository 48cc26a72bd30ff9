"""The demo: six experiments of a small bicycle shop whose truth is known, written as files."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from upshot.formats.metric_text import parse_metric
from upshot.model.metric import Metric
from upshot.model.plan import Plan
from upshot.simulate.story import Story, write_story
from upshot.simulate.units import Truth

SEED = 20260105
SPLIT = {"control": 1.0, "treatment": 1.0}

CONVERTED = Truth(shape="binary", baseline=0.2, covariate=True)
CRASHED = Truth(shape="binary", baseline=0.004)
LOAD = Truth(shape="normal", baseline=1400.0, std=0.35)


@dataclass(frozen=True, slots=True)
class Demo:
    """A story on disk: its data and its plan."""

    story: Story
    data: Path
    plan: Path


def write_demo(directory: Path, seed: int = SEED) -> Iterator[Demo]:
    """Write every story into its own directory below this one, and hand each over when it is written."""
    for place, story in enumerate(STORIES):
        data, plan = write_story(story, directory / story.name, seed + place)
        yield Demo(story, data, plan)


def _metrics(primary: str, *guardrails: str) -> tuple[Metric, ...]:
    return (parse_metric(primary), *(parse_metric(text, "guardrail") for text in guardrails))


def _lifted(truth: Truth, lift: float, half_life: float | None = None) -> Truth:
    return replace(truth, lifts={"treatment": lift}, half_life=half_life)


def _plan(number: int, name: str, hypothesis: str, metrics: tuple[Metric, ...], **changes: object) -> Plan:
    fields: dict[str, object] = {
        "metrics": metrics,
        "split": SPLIT,
        "id": f"EXP-2026-{number:03d}",
        "name": name,
        "hypothesis": hypothesis,
        "owner": "growth",
        "unit": "user_id",
        "minimum_effect": 0.1,
        "planned_units": 11_000,
        "start": date(2026, 1, 5),
        **changes,
    }
    return Plan(**fields)  # type: ignore[arg-type]


STORIES = (
    Story(
        name="1-one-page-checkout",
        file="visitors.csv",
        truth="one page raises conversion by 12%, and nothing else changes",
        plan=_plan(
            1,
            "Checkout on one page",
            "We believe that a checkout on one page will raise conversion because a third leave on page two",
            _metrics(
                "converted,proportion,covariate=visits_before",
                "crashed,max=1%",
                "load_ms,mean,lower,margin=2%",
            ),
        ),
        truths={
            "converted": _lifted(CONVERTED, 0.12),
            "crashed": _lifted(CRASHED, 0.0),
            "load_ms": _lifted(LOAD, 0.0),
        },
        verdict="SHIP",
        cause="better",
    ),
    Story(
        name="2-live-stock-widget",
        file="visitors.parquet",
        truth="the widget sells 8% more, and makes the app crash five times as often",
        plan=_plan(
            2,
            "Live stock in the product page",
            "We believe that showing live stock will raise conversion because scarcity hurries people",
            _metrics("converted,proportion,covariate=visits_before", "crashed,max=1%"),
        ),
        truths={"converted": _lifted(CONVERTED, 0.08), "crashed": _lifted(CRASHED, 4.0)},
        verdict="KILL",
        cause="harm",
    ),
    Story(
        name="3-new-landing-page",
        file="visitors.csv.gz",
        truth="no effect, but a broken redirect loses one in eight mobile visitors of the new page",
        plan=_plan(
            3,
            "New landing page",
            "We believe that a lighter landing page will raise conversion because it loads sooner",
            _metrics("converted,proportion,covariate=visits_before"),
        ),
        truths={"converted": _lifted(CONVERTED, 0.0)},
        lost=0.125,
        verdict="INVESTIGATE",
        cause="check",
    ),
    Story(
        name="4-green-button",
        file="visitors.csv",
        truth="the colour of the button changes nothing",
        plan=_plan(
            4,
            "Green button",
            "We believe that a green button will raise conversion because green means go",
            _metrics("converted,proportion,covariate=visits_before"),
        ),
        truths={"converted": _lifted(CONVERTED, 0.0)},
        verdict="KILL",
        cause="no_effect",
    ),
    Story(
        name="5-aa",
        file="visitors.csv",
        truth="like is compared with like",
        plan=_plan(
            5,
            "A/A before the season",
            "We believe that assignment and logging are sound because nothing was changed",
            _metrics("converted,proportion,covariate=visits_before", "load_ms,mean,lower,margin=2%"),
            purpose="aa",
        ),
        truths={"converted": _lifted(CONVERTED, 0.0), "load_ms": _lifted(LOAD, 0.0)},
        verdict="CONTINUE",
        cause="healthy",
    ),
    Story(
        name="6-riding-streaks",
        file="riders.csv",
        truth="streaks raise rides by 30% at first, and the gain halves every four days",
        plan=_plan(
            6,
            "Riding streaks",
            "We believe that streaks will raise logged rides because people do not break a chain",
            _metrics("rides,count,covariate=rides_before"),
            minimum_effect=0.08,
        ),
        truths={"rides": _lifted(Truth(shape="count", baseline=3.0, covariate=True), 0.3, half_life=4.0)},
        verdict="DISCUSS",
        cause="fading",
    ),
)
