"""`upshot plan`: what to run before it runs."""

import json
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from upshot.doors.cli.options import SHARE, parse_split
from upshot.errors import InputError

if TYPE_CHECKING:
    from upshot.services.history import History
    from upshot.services.planning import Answer, Ask

_GIVEN = click.core.ParameterSource.COMMANDLINE
EPILOG = """\b
Examples:
  upshot plan --baseline 10% --effect 5% --weekly 20000
  upshot plan --baseline 10% --effect 5% --weekly 20000 --by 2026-12-18
  upshot plan --kind mean --baseline 12.5 --std 40 --effect 3% --r2 0.4 --write plan.yaml
  upshot plan --data upshot-data --metric conversion_rate --audience "Page Viewed" --effect 5%
"""


@click.command("plan", epilog=EPILOG)
@click.option(
    "--baseline", type=SHARE, metavar="NUMBER", help="Control's share (10%) or mean; not beside --data."
)
@click.option(
    "--effect", type=SHARE, default=0.05, metavar="SHARE", help="Smallest relative effect that matters [5%]."
)
@click.option("--kind", type=click.Choice(["proportion", "mean", "count", "ratio", "retention", "funnel"]),
              default="proportion", help="Kind of the metric [proportion].")  # fmt: skip
@click.option(
    "--std", type=float, metavar="NUMBER", help="Standard deviation of a unit, for means and ratios."
)
@click.option("--lower", is_flag=True, help="Lower is better.")
@click.option("--split", metavar="NAME=WEIGHT,...", help="Variants, control first [control=1,treatment=1].")
@click.option("--weekly", type=float, metavar="UNITS", help="New units a week, over all variants.")
@click.option("--by", type=click.DateTime(["%Y-%m-%d"]), metavar="DATE", help="What can be seen by this day.")
@click.option("--monitoring", type=click.Choice(["fixed", "group_sequential", "always_valid"]),
              default="group_sequential", help="How looks are paid for [group_sequential].")  # fmt: skip
@click.option("--spending", type=click.Choice(["obrien_fleming", "pocock"]), default="obrien_fleming",
              help="How group_sequential spends alpha [obrien_fleming].")  # fmt: skip
@click.option("--looks", type=click.IntRange(1, 366), default=28, help="Looks up to the maximum [28].")
@click.option("--alpha", type=SHARE, default=0.05, metavar="SHARE", help="Two-sided level [0.05].")
@click.option("--power", type=SHARE, default=0.8, metavar="SHARE", help="Chance to see the effect [80%].")
@click.option(
    "--ship-threshold", type=SHARE, metavar="SHARE", help="Estimate worth shipping [half of the effect]."
)
@click.option(
    "--r2", type=SHARE, default=0.0, metavar="SHARE", help="Variance that covariates explain (CUPED) [0]."
)
@click.option(
    "--tests", type=click.IntRange(1), help="Tests in the family [one for each variant but control]."
)
@click.option(
    "--metric", "metric_text", metavar="METRIC",
    help="The metric's column, for --write [converted]; with --data a metric over events.",
)  # fmt: skip
@click.option(
    "--data", metavar="DIR", type=click.Path(path_type=Path),
    help="Take baseline, spread, covariates and traffic from the events of this folder.",
)  # fmt: skip
@click.option(
    "--audience", metavar="EVENT", help="With --data: only who does this event will be in it [any]."
)
@click.option(
    "--metrics", "directory", metavar="DIR", type=click.Path(path_type=Path),
    help="With --data: the folder of metrics over events [metrics].",
)  # fmt: skip
@click.option("--write", "file", metavar="FILE", help="Write the plan as YAML.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def command(**options: Any) -> None:
    """How many units, how long, what can be seen in time, and how it will probably end."""
    from upshot.services.planning import plan_experiment

    ask = _ask_of_past(options) if options["data"] else _ask(options)
    answer = plan_experiment(ask)
    if options["file"]:
        _write(options, ask, answer)
    if options["as_json"]:
        click.echo(json.dumps(_to_dict(answer), indent=2, allow_nan=False))
        return
    _print(ask, answer)
    if options["file"]:
        click.echo(f"plan: {options['file']}")


def _ask_of_past(options: dict[str, Any]) -> "Ask":
    """What is asked where the past says the rest."""
    from dataclasses import replace
    from datetime import UTC, datetime

    from upshot.services.defined import read_defined
    from upshot.services.history import Wanted, history

    told = [name for name in ("baseline", "std", "weekly", "r2") if options[name]]
    told += [
        name for name in ("kind", "lower") if click.get_current_context().get_parameter_source(name) == _GIVEN
    ]
    if told:
        raise InputError(
            f"{', '.join('--' + name for name in told)} beside --data: the past says it, leave it out"
        )
    if not options["metric_text"]:
        raise InputError("--data needs --metric: name a metric over events, such as conversion_rate")
    found = history(
        Wanted(
            data=options["data"],
            definitions=read_defined(options["directory"]).metrics,
            metric=options["metric_text"],
            as_of=datetime.now(UTC),
            audience=options["audience"],
        )
    )
    click.echo(_past_words(found), err=options["as_json"])
    metric = found.metric
    share = metric.kind in ("proportion", "retention", "funnel")
    given = {"baseline": found.baseline, "std": None if share else found.std, "kind": metric.kind or "mean",
             "lower": metric.better == "lower", "r2": found.r_squared}  # fmt: skip
    return replace(_ask(options | given), arrivals=found.arrivals, window=found.window)


def _past_words(found: "History") -> str:
    from upshot.analysis.phrases import units
    from upshot.report.words import percent

    arrivals = found.arrivals
    explained = f", of which covariates explain {percent(found.r_squared)}" if found.r_squared else ""
    curve = ", ".join(f"{arrivals.units(days):,.0f} in {days // 7} wk" for days in (7, 14, 21, 28))
    return (
        f"Of {found.units:,} units that came from {found.since:%Y-%m-%d} to {found.until:%Y-%m-%d}: "
        f"{found.metric.name} {found.baseline:.4g}, standard deviation {found.std:.4g}{explained}.\n"
        f"Different units, by {units(arrivals.days, 'day')} of the past: {curve}; "
        f"an outcome takes {units(found.window, 'day')}."
    )


def _ask(options: dict[str, Any]) -> "Ask":
    from upshot.services.planning import Ask
    from upshot.stats.design import Design

    if options["baseline"] is None:
        raise InputError(
            "baseline is missing: give --baseline, or --data with --metric to take it from the past"
        )
    split = parse_split(options["split"]) or {"control": 1.0, "treatment": 1.0}
    design = Design(
        kind=options["kind"], baseline=options["baseline"], std=options["std"], effect=options["effect"],
        better="lower" if options["lower"] else "higher", weights=tuple(split.values()), alpha=options["alpha"],
        power=options["power"], monitoring=options["monitoring"], spending=options["spending"],
        looks=1 if options["monitoring"] == "fixed" else options["looks"], tests=options["tests"],
        r_squared=options["r2"],
    )  # fmt: skip
    threshold = options["ship_threshold"]
    return Ask(
        design=design,
        ship_threshold=options["effect"] / 2 if threshold is None else threshold,
        names=tuple(split),
        today=date.today(),  # noqa: DTZ011  -- the calendar day where the person is
        weekly=options["weekly"],
        by=options["by"].date() if options["by"] else None,
    )


def _write(options: dict[str, Any], ask: "Ask", answer: "Answer") -> None:
    from dataclasses import replace

    from upshot.formats.metric_text import parse_metric
    from upshot.formats.plans import plan_to_yaml
    from upshot.services.analysis import check_plan
    from upshot.services.planning import plan_of

    file = Path(options["file"])
    if not file.parent.is_dir():
        raise InputError(f"write {file}: there is no folder {file.parent}: make it first")
    metric = parse_metric(options["metric_text"] or "converted")
    if ask.arrivals is None:  # else its definition over events says them
        metric = replace(metric, kind=metric.kind or options["kind"], better=ask.design.better)
    plan = check_plan(plan_of(ask, answer, metric), "plan")
    file.write_text(plan_to_yaml(plan), encoding="utf-8")


def _to_dict(answer: "Answer") -> dict[str, Any]:
    return {
        "units": answer.units,
        "total": answer.total,
        "days": answer.days,
        "end": answer.end.isoformat() if answer.end else None,
        "in_time": [
            {"days": days, "units": units, "effect": effect} for days, units, effect in answer.in_time
        ],
        "prospects": [{"effect": one.effect, **asdict(one.chances)} for one in answer.prospects],
        "curve": [{"effect": effect, "power": power} for effect, power in answer.curve],
        "remarks": list(answer.remarks),
        "ways_out": list(answer.ways_out),
    }


def _print(ask: "Ask", answer: "Answer") -> None:
    from rich.console import Console

    from upshot.analysis.phrases import units
    from upshot.report.words import percent

    console = Console(highlight=False)
    design = ask.design
    goal = design.baseline * (1 + design.sign * design.effect)
    shown = (
        f"{percent(design.baseline)} → {percent(goal)}"
        if design.is_share
        else f"{design.baseline:g} → {goal:.4g}"
    )
    console.print(
        f"\nTo see {percent(design.effect)} ({shown}) with {percent(design.power)} power, {design.monitoring}:"
    )
    console.print(
        "  " + ", ".join(f"[bold]{units:,}[/bold] units in {name}" for name, units in answer.units.items())
    )
    if answer.days is not None and answer.end is not None:
        weeks = units(answer.days // 7, "week")
        console.print(f"  {answer.days} days ({weeks}) {_pace(ask)}, to {answer.end}")
    for remark in answer.remarks:
        console.print(f"  {remark}")
    _print_tables(console, answer)
    if answer.ways_out:
        console.print("\nThis takes longer than 4 weeks. Four ways out:")
        for number, way in enumerate(answer.ways_out, start=1):
            console.print(f"  {number}. {way}")
    console.print()


def _pace(ask: "Ask") -> str:
    return "as units came in the past" if ask.weekly is None else f"at {ask.weekly:,.0f} units a week"


def _print_tables(console: Any, answer: "Answer") -> None:
    from rich.table import Table

    from upshot.report.words import percent

    if answer.in_time:
        table = Table(title="What can be seen in time", title_justify="left", box=None, pad_edge=False)
        for name in ("days", "units", "smallest effect"):
            table.add_column(name, justify="right")
        for days, units, effect in answer.in_time:
            table.add_row(str(days), f"{units:,}", "none" if effect is None else percent(effect))
        console.print("\n", table, sep="")
    table = Table(title="How it ends, if this is true", title_justify="left", box=None, pad_edge=False)
    names = (
        "true effect",
        "SHIP",
        "DISCUSS (small)",
        "KILL (no effect)",
        "KILL (worse)",
        "KILL (inconclusive)",
    )
    for name in names:
        table.add_column(name, justify="right")
    for one in answer.prospects:
        found = one.chances
        shares = (found.ship, found.small + found.unproven, found.no_effect, found.worse, found.inconclusive)
        table.add_row(percent(one.effect, signed=True), *(_chance(share) for share in shares))
    console.print("\n", table, sep="")
    table = Table(title="Power at these units", title_justify="left", box=None, pad_edge=False)
    for effect, _ in answer.curve:
        table.add_column(percent(effect), justify="right")
    table.add_row(*(percent(power) for _, power in answer.curve))
    console.print("\n", table, sep="")


def _chance(share: float) -> str:
    """A chance in whole tenths of a percent; tiny ones are told apart from none by nobody."""
    return "< 0.1%" if 0 < share < 0.001 else f"{100 * share:.1f}%"
