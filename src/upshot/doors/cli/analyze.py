"""`upshot analyze`: the data of an experiment in, a verdict with its reasons out."""

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from upshot.doors.cli.options import SHARE, parse_reasons, parse_split
from upshot.doors.cli.output import EXIT_CODES, check_report, put_out
from upshot.errors import DataError, InputError

if TYPE_CHECKING:
    from upshot.analysis.identity import Persons
    from upshot.model.metric import Metric
    from upshot.model.plan import Plan
    from upshot.services.analysis import Request

EPILOG = """\b
A metric is a column, then options after commas:
  --metric converted                      share of units (0/1), higher is better
  --metric revenue,mean,covariate=before  mean per unit, CUPED on what it was before
  --metric churned,lower                  lower is better
  --metric spend,per=sessions             ratio of sums
  --metric action,value=click             units that have a row with action click
  --guardrail crashed,max=0.1%            a limit (max= or min=)
  --guardrail load_ms,p95,max=3000        a limit on a quantile
  --guardrail latency_ms,lower,margin=2%  not worse than control by more than 2%
Also name=..., cap=99.9%, and the kinds proportion, mean, count, ratio, p95.

\b
Examples:
  upshot analyze visits.csv --unit user_id --variant group --metric converted
  upshot analyze control=a.csv.gz treatment=b.csv.gz --metric revenue --report out.html
  upshot analyze --counts control=17489/145274 treatment=17264/145310
"""


@click.command("analyze", epilog=EPILOG)
@click.argument("sources", nargs=-1, metavar="DATA...")
@click.option("--unit", metavar="COLUMN", help="What was randomised; without it each row is a unit.")
@click.option("--variant", metavar="COLUMN", help="Which variant a row belongs to.")
@click.option("--control", metavar="NAME", help="The variant that others are compared with [control].")
@click.option(
    "--metric", "metrics", multiple=True, metavar="METRIC", help="A primary metric; may be repeated."
)
@click.option(
    "--secondary", "secondaries", multiple=True, metavar="METRIC", help="A metric that informs only."
)
@click.option("--guardrail", "guardrails", multiple=True, metavar="METRIC", help="A metric that protects.")
@click.option("--segment", "segments", multiple=True, metavar="COLUMN", help="Split the results by a column.")
@click.option("--split", metavar="NAME=WEIGHT,...", help="The shares that variants should have.")
@click.option("--plan", "plan_file", metavar="FILE", help="The plan that was written down beforehand (YAML).")
@click.option(
    "--monitoring", type=click.Choice(["fixed", "group_sequential", "always_valid"]),
    help="How repeated looks are paid for [fixed].",
)  # fmt: skip
@click.option("--alpha", type=SHARE, metavar="SHARE", help="Two-sided level of the primary metrics [0.05].")
@click.option("--minimum-effect", type=SHARE, metavar="SHARE", help="Relative effect that matters [5%].")
@click.option("--ship-threshold", type=SHARE, metavar="SHARE", help="Estimate worth shipping [half of it].")
@click.option("--family", type=click.Choice(["holm", "bonferroni", "benjamini_hochberg", "dunnett"]),
              help="Correction over primaries and variants [holm].")  # fmt: skip
@click.option("--where", metavar="SQL", help="Only rows that meet this condition.")
@click.option("--sep", metavar="CHAR", help="The separator of CSV files, where it is not found by itself.")
@click.option("--table", metavar="NAME", help="The table, where DATA is a database.")
@click.option("--time", metavar="COLUMN", help="The time of a row: days, cohorts, progress.")
@click.option("--count", metavar="COLUMN", help="How many units a row stands for.")
@click.option("--counts", is_flag=True, help="DATA are bare numbers: control=17489/145274 ...")
@click.option("--cluster", metavar="COLUMN", help="What was randomised, where rows are finer.")
@click.option(
    "--links", metavar="FILE", help="Two columns, a pair of ids in each row: units that are one person."
)
@click.option("--qualitative", type=click.Choice(["positive", "negative"]),
              help="What interviews and tickets said, before effects were seen.")  # fmt: skip
@click.option(
    "--acknowledge", multiple=True, metavar="CHECK=REASON", help="Accept a failed check, with a reason."
)
@click.option("--report", "reports", multiple=True, metavar="FILE", help="Write a report: .html or .md.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.option("--sql", "as_sql", is_flag=True, help="Print the query and stop.")
@click.option("--explain", is_flag=True, help="Print lines of scipy that give the same digits.")
@click.option("--no-looks", is_flag=True, help="Do not remember this look beside the data.")
@click.option("--exit-code", is_flag=True, help="10 SHIP, 11 KILL, 12 ITERATE, 13 EXTEND, 14 DISCUSS, "
              "15 INVESTIGATE, 16 CONTINUE.")  # fmt: skip
def command(sources: tuple[str, ...], **options: Any) -> int:
    """Analyse the data of an experiment.

    DATA is a CSV (gzip too) or Parquet file, a DuckDB or SQLite file, any Ibis URL, or several files as
    NAME=FILE. One row per unit or many. Without --plan the data are taken as final.
    """
    from upshot.services.analysis import analyze_counts, analyze_table

    if not sources:
        raise InputError("no data: name a file, or give --counts with control=SUCCESSES/TRIALS ...")
    for file in options["reports"]:
        check_report(file)
    if options["counts"]:
        from upshot.analysis.counts import parse_counts

        _refuse(options, _OF_A_TABLE, "--counts: bare numbers have no columns")
        counts = parse_counts(sources)
        request = _request(options, ("converted",), "variant", tuple(counts), None)
        findings = analyze_counts(counts, request)
    else:
        from upshot.warehouse.sources import open_files

        table, named = open_files(sources, options["sep"], options["table"])
        names = tuple(source.partition("=")[0] for source in sources) if named else ()
        memory = None if options["no_looks"] or len(sources) > 1 or "://" in sources[0] else Path(sources[0])
        request = _request(options, (), "variant" if named else None, names, memory)
        request = replace(request, persons=_persons(options["links"]))
        if options["as_sql"]:
            return _print_sql(table, request)
        findings = analyze_table(table, request)
    put_out(findings, options["reports"], as_json=options["as_json"], explained=options["explain"])
    return EXIT_CODES[findings.verdict.verdict] if options["exit_code"] else 0


def _request(
    options: dict[str, Any],
    default: tuple[str, ...],
    variant: str | None,
    names: tuple[str, ...],
    memory: Path | None,
) -> "Request":
    from upshot.analysis.question import Question
    from upshot.model.decision import Note, Situation
    from upshot.services.analysis import Request

    plan = _plan(options, default, names)
    column = options["variant"] or variant
    if column is None:
        raise DataError("variant: name the column that says which variant a row belongs to, with --variant")
    question = Question(
        variant=column, control=plan.control, metrics=plan.metrics, unit=options["unit"],
        segments=options["segments"], time=options["time"], cluster=options["cluster"], count=options["count"],
        where=options["where"], split=plan.split, histograms=bool(options["reports"]),
    )  # fmt: skip
    sign = options["qualitative"]
    notes = (Note(sign=sign, text="given on the command line"),) if sign else ()
    return Request(
        plan=plan,
        question=question,
        situation=Situation(notes=notes, acknowledged=parse_reasons(options["acknowledge"])),
        today=date.today(),  # noqa: DTZ011  -- the calendar day where the person is
        memory=memory,
        table=options["table"],
        planned=options["plan_file"] is not None,
    )


def _plan(options: dict[str, Any], default: tuple[str, ...], names: tuple[str, ...]) -> "Plan":
    """The plan of a file, or one made of options, for which the data are complete."""
    from upshot.formats.plans import read_plan
    from upshot.services.analysis import check_plan

    if options["plan_file"]:
        _refuse(options, _OF_THE_PLAN, "--plan: the plan decides that")
        return read_plan(options["plan_file"])
    from upshot.model.plan import Plan

    control = options["control"] or ("control" if not names or "control" in names else names[0])
    given: dict[str, Any] = {
        name: options[name]
        for name in ("alpha", "monitoring", "minimum_effect", "ship_threshold", "family")
        if options[name] is not None
    }
    plan = Plan(
        metrics=_metrics(options, default),
        control=control,
        split=parse_split(options["split"]),
        final=True,
        **given,
    )
    return check_plan(plan, "options")


def _refuse(options: dict[str, Any], names: tuple[str, ...], beside: str) -> None:
    """An option that would be ignored is refused instead."""
    told = [f"--{_SPELT.get(name, name.replace('_', '-'))}" for name in names if options[name]]
    if told:
        raise InputError(f"{', '.join(told)} with {beside}, leave {'it' if len(told) == 1 else 'them'} out")


_SPELT = {"metrics": "metric", "secondaries": "secondary", "guardrails": "guardrail", "segments": "segment",
          "as_sql": "sql"}  # fmt: skip
_OF_A_TABLE = (
    "unit", "variant", "segments", "where", "sep", "table", "time", "count", "cluster", "links", "as_sql",
)  # fmt: skip
_OF_THE_PLAN = (
    "control", "metrics", "secondaries", "guardrails", "split", "monitoring", "alpha", "minimum_effect",
    "ship_threshold", "family",
)  # fmt: skip


def _metrics(options: dict[str, Any], default: tuple[str, ...]) -> "tuple[Metric, ...]":
    from upshot.formats.metric_text import parse_metric

    primaries = options["metrics"] or default
    if not primaries:
        raise InputError("metric: name at least one outcome, such as --metric converted")
    roles = (
        ("primary", primaries),
        ("secondary", options["secondaries"]),
        ("guardrail", options["guardrails"]),
    )
    return tuple(parse_metric(text, role) for role, texts in roles for text in texts)  # type: ignore[arg-type]


def _print_sql(table: Any, request: "Request") -> int:
    import ibis

    from upshot.analysis.query import expression
    from upshot.services.analysis import joined

    asked = joined(table, request.question, request.persons)
    click.echo(str(ibis.to_sql(expression(asked, request.question))))
    return 0


def _persons(file: str | None) -> "Persons | None":
    from upshot.warehouse.links import read_links

    return read_links(file) if file else None
