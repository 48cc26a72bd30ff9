"""`upshot simulate`: what a plan's rule does to many made-up worlds whose truth is known."""

import json
from typing import TYPE_CHECKING, Any

import click

from upshot.doors.cli.options import percent_or_number
from upshot.errors import DataError, InputError

if TYPE_CHECKING:
    from upshot.model.metric import Metric
    from upshot.model.plan import Plan
    from upshot.simulate.outcomes import Outcomes
    from upshot.simulate.world import World

SHAPES = {"proportion": "binary", "retention": "binary", "funnel": "binary", "mean": "normal", "count": "count",
          "ratio": "ratio"}  # fmt: skip
USUAL = {"binary": 0.1, "normal": 100.0, "count": 3.0, "ratio": 0.2}
"""Baselines where none is named."""

EPILOG = """\b
Examples:
  upshot simulate plan.yaml --worlds 500
  upshot simulate plan.yaml --effect 0 --effect 5% --weekly 20000 --baseline converted=10%
"""


@click.command("simulate", epilog=EPILOG)
@click.argument("plan_file", metavar="PLAN")
@click.option("--effect", "effects", multiple=True, metavar="SHARE",
              help="True relative effect on the primaries; may be repeated [0 and the minimum effect].")  # fmt: skip
@click.option(
    "--baseline", "baselines", multiple=True, metavar="NAME=NUMBER", help="A metric's mean in control."
)
@click.option(
    "--weekly", type=float, metavar="UNITS", help="New units a week [what reaches the maximum in time]."
)
@click.option(
    "--worlds", type=click.IntRange(10, 1_000_000), default=1000, help="Worlds for each effect [1000]."
)
@click.option("--seed", type=int, default=1, help="Of all chance [1].")
@click.option("--processes", type=click.IntRange(1, 64), default=1, help="Processes that share the work [1].")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def command(plan_file: str, **options: Any) -> None:
    """Run a plan's whole rule, with a look every day, on worlds whose truth is known.

    At effect 0 it shows false positives and false ships, at the minimum effect power, false kills and runtime.
    """
    from upshot.formats.plans import read_plan

    plan = read_plan(plan_file)
    world = _world(plan, options)
    effects = [percent_or_number(text) for text in options["effects"]] or [0.0, plan.minimum_effect]
    results = {effect: _run(plan, world, effect, options) for effect in effects}
    if options["as_json"]:
        click.echo(json.dumps([_to_dict(effect, found) for effect, found in results.items()], indent=2))
        return
    _print(results, options["worlds"])


def _world(plan: "Plan", options: dict[str, Any]) -> "World":
    from upshot.simulate.world import World

    given = {}
    for text in options["baselines"]:
        name, equals, value = text.partition("=")
        if not equals or name not in {metric.name for metric in plan.metrics}:
            known = ", ".join(metric.name for metric in plan.metrics)
            raise DataError(f"baseline {text!r}: write NAME=NUMBER with a metric of the plan ({known})")
        given[name] = percent_or_number(value)
    variants = len(plan.split) or 2
    most = plan.maximum_units or plan.planned_units
    if options["weekly"] is None and most is None:
        raise InputError(
            "weekly: the plan names no units, so say how many new units come a week with --weekly"
        )
    daily = options["weekly"] / 7 if options["weekly"] else 1.02 * (most or 0) * variants / plan.maximum_days
    truths = {metric.name: _truth(metric, given.get(metric.name)) for metric in plan.metrics}
    weights = (
        {plan.control: plan.split.get(plan.control, 1.0)}
        if plan.split
        else {"control": 1.0, "treatment": 1.0}
    )
    weights |= plan.split
    return World(truths=truths, daily_units=daily, days=plan.maximum_days, weights=weights)


def _truth(metric: "Metric", baseline: float | None) -> Any:
    from upshot.simulate.units import Truth

    shape = SHAPES.get(metric.kind or "proportion")
    if shape is None:
        raise DataError(
            f"metric {metric.name} is a {metric.kind}, of which no world can be made: leave it out"
        )
    usual = metric.maximum / 2 if metric.maximum else USUAL[shape]
    value = usual if baseline is None else baseline
    return Truth(shape=shape, baseline=value, std=0.5, covariate=bool(metric.covariates))  # type: ignore[arg-type]


def _run(plan: "Plan", world: "World", effect: float, options: dict[str, Any]) -> "Outcomes":
    from rich.progress import Progress

    from upshot.simulate.rule import run

    for metric in plan.of_role("primary"):
        world = world.lifted(metric.sign * effect, metric.name)
    with Progress(transient=True, disable=options["as_json"]) as bar:
        task = bar.add_task(f"effect {100 * effect:g}%", total=options["worlds"])
        return run(
            plan, world, options["worlds"], options["seed"], options["processes"],
            progress=lambda done: bar.update(task, completed=done),
        )  # fmt: skip


def _to_dict(effect: float, found: "Outcomes") -> dict[str, Any]:
    rates = {
        "significant": found.significant, "shipped": found.shipped, "killed_as_bad": found.killed_as_bad,
        "guardrail_harmed": found.guardrail_harmed,
    }  # fmt: skip
    return {
        "effect": effect,
        "days": found.days,
        "verdicts": [
            {"verdict": verdict, "cause": cause, "share": share}
            for (verdict, cause), share in found.verdicts().items()
        ],
        **{name: {"share": rate.share, "std_error": rate.std_error} for name, rate in rates.items()},
    }


def _print(results: "dict[float, Outcomes]", worlds: int) -> None:
    from rich.console import Console
    from rich.table import Table

    from upshot.report.words import percent

    table = Table(
        title=f"{worlds:,} worlds for each effect, a look every day", title_justify="left", box=None
    )
    table.add_column("")
    rows: dict[str, list[str]] = {
        name: []
        for name in (
            "any primary significant",
            "SHIP",
            "KILL as harmful or worse",
            "a guardrail harmed",
            "days, on average",
        )
    }
    for effect, found in results.items():
        table.add_column(f"effect {percent(effect, signed=True)}", justify="right")
        cells = (
            str(found.significant),
            str(found.shipped),
            str(found.killed_as_bad),
            str(found.guardrail_harmed),
        )
        for name, cell in zip(rows, (*cells, f"{found.days:.1f}"), strict=True):
            rows[name].append(cell)
    for name, cells_ in rows.items():
        table.add_row(name, *cells_)
    console = Console(highlight=False)
    console.print("\n", table, sep="")
    for effect, found in results.items():
        said = ", ".join(
            f"{verdict} · {cause.replace('_', ' ')} {percent(share)}"
            for (verdict, cause), share in found.verdicts().items()
        )
        console.print(f"\nAt {percent(effect, signed=True)}: {said}")
    console.print()
