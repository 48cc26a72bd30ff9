"""`upshot look`: a running experiment's exposures and events in, a verdict out, and the look kept."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from upshot.doors.cli.control import DATA, STORE, opened, who
from upshot.doors.cli.options import parse_reasons
from upshot.doors.cli.output import EXIT_CODE, EXIT_CODES, check_report, put_out
from upshot.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from upshot.services.live import Asked, Taken

EPILOG = """\b
The plan's metrics name metrics over events: of the folder metrics/, else of the catalogue
(`upshot metric catalogue`). A role and a limit are the plan's; all else is the definition's:
  metrics: {primary: [conversion_rate], guardrail: ["crash_rate,max=0.1%"]}

\b
Examples:
  upshot look EXP-2026-001 --plan plan.yaml
  upshot look EXP-2026-001 --cohorts --report look.html
  upshot look EXP-2026-001 --replay 3
"""


@click.command("look", epilog=EPILOG)
@click.argument("experiment")
@click.option(
    "--plan", "plan_file", metavar="FILE", help="Its plan (YAML); the first look needs it, and it binds."
)
@click.option(
    "--metrics", "directory", metavar="DIR", type=click.Path(path_type=Path),
    help="The folder of metrics over events [metrics].",
)  # fmt: skip
@DATA
@STORE
@click.option(
    "--as-of", metavar="TIME", help="See only what came before: 2026-03-01T12:00 (UTC) or with +01:00 [now]."
)
@click.option(
    "--phase", type=click.IntRange(1), metavar="N", help="Of which phase [the newest that units met]."
)
@click.option(
    "--segment",
    "segments",
    multiple=True,
    metavar="NAME",
    help="Split the results by an attribute of exposures.",
)
@click.option(
    "--cohorts",
    is_flag=True,
    help="Show effects by day of first exposure and by days since, and who comes back.",
)
@click.option("--qualitative", type=click.Choice(["positive", "negative"]),
              help="What interviews and tickets said, before effects were seen.")  # fmt: skip
@click.option(
    "--acknowledge", multiple=True, metavar="CHECK=REASON", help="Accept a failed check, with a reason."
)
@click.option(
    "--replay", "replayed", type=click.IntRange(1), metavar="N", help="Give look N again from what was kept."
)
@click.option("--report", "reports", multiple=True, metavar="FILE", help="Write a report: .html or .md.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@EXIT_CODE
def command(experiment: str, data: Path, url: str | None, replayed: int | None, **options: Any) -> int:
    """Look at a running experiment.

    Reads the exposures and events that `upshot serve` has taken, seconds after their answer, and the tables that the
    metrics are of, where they are. Every look is kept with all that its verdict rests on, and those after it are made
    wider or held back by it as the plan's monitoring asks; a fixed plan shows no effect before its end. Where nothing
    is new, the last look is shown.
    """
    from upshot.services.defined import read_defined
    from upshot.services.live import given_again, live_look

    for file in options["reports"]:
        check_report(file)
    if replayed is not None:
        _refuse_beside_replay(options)
        with opened(data, url) as store:
            taken = given_again(store, experiment, replayed, options["phase"])
    else:
        asked = _asked(experiment, data, options)
        with opened(data, url, made=True) as store:
            defined = read_defined(options["directory"], store)
            asked = replace(asked, definitions=defined.metrics, exposures=defined.exposures)
            taken = live_look(store, asked, who())
    return _put_out(taken, options, is_replay=replayed is not None)


def _refuse_beside_replay(options: dict[str, Any]) -> None:
    """What a replay would ignore is refused instead."""
    named = {"plan_file": "plan", "directory": "metrics", "as_of": "as-of", "segments": "segment"}
    names = (*named, "qualitative", "acknowledge", "cohorts")
    told = [f"--{named.get(name, name)}" for name in names if options[name]]
    if told:
        raise InputError(f"{', '.join(told)} with --replay: a look is given again as it was, leave this out")


def _asked(experiment: str, data: Path, options: dict[str, Any]) -> "Asked":
    """What was typed, and what files define: all of it is read before a store is made."""
    from upshot.formats.plans import read_plan
    from upshot.model.decision import Note, Situation
    from upshot.services.defined import read_defined
    from upshot.services.live import Asked

    defined = read_defined(options["directory"])
    if defined.exposures is not None:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)  # who logs exposures elsewhere may run no server
    elif not data.is_dir():
        raise InputError(
            f"there is no directory {data}: name the one that `upshot serve` keeps events in, with --data"
        )
    as_of = _moment(options["as_of"])
    sign = options["qualitative"]
    notes = (Note(sign=sign, text="given on the command line", dated=as_of.date()),) if sign else ()
    return Asked(
        data=data,
        experiment=experiment,
        as_of=as_of,
        definitions=defined.metrics,
        plan=read_plan(options["plan_file"]) if options["plan_file"] else None,
        phase=options["phase"],
        segments=options["segments"],
        situation=Situation(notes=notes, acknowledged=parse_reasons(options["acknowledge"])),
        histograms=bool(options["reports"]),
        exposures=defined.exposures,
        cohorts=options["cohorts"],
    )


def _moment(text: str | None) -> datetime:
    """A time as people write it, in UTC where it has no offset; now where there is none."""
    now = datetime.now(UTC)
    if text is None:
        return now
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(
            f"as-of {text!r} is no time: write 2026-03-01T12:00 or 2026-03-01T12:00+01:00"
        ) from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if moment > now:
        raise InputError(
            f"as-of {text} is still to come: what units do until then is not known, leave it out for now"
        )
    return moment


def _put_out(taken: "Taken", options: dict[str, Any], *, is_replay: bool) -> int:
    beside = {
        "experiment": taken.experiment,
        "phase": taken.phase,
        "is_new": taken.is_new,
        "is_sealed": taken.is_sealed,
        "differs": list(taken.differs),
        "exploratory": list(taken.course.exploratory),
        "seal_broken_by": taken.course.unsealed.actor if taken.course.unsealed else None,
    }
    put_out(taken.findings, options["reports"], as_json=options["as_json"], beside=beside)
    if not options["as_json"]:
        for line in taken.differs:
            click.echo(f"not the same as it was kept: {line}")
        for line in _what_happened(taken):
            click.echo(line)
        click.echo(_which(taken, is_replay=is_replay))
    if taken.differs:
        return 1
    return EXIT_CODES[taken.findings.verdict.verdict] if options["exit_code"] else 0


def _what_happened(taken: "Taken") -> "Iterator[str]":
    """What makes less of the results than they look."""
    for line in taken.course.exploratory:
        yield f"exploratory: {line}"
    seen = taken.course.unsealed
    if seen is not None:
        yield f"the seal was broken {seen.at:%Y-%m-%d} by {seen.actor}: {seen.reason}"


def _which(taken: "Taken", *, is_replay: bool) -> str:
    name = f"look {taken.number} of {taken.experiment}" + (
        f", phase {taken.phase}" if taken.phase > 1 else ""
    )
    if is_replay:
        same = "other than it was" if taken.differs else "the same as it was"
        return f"{name}, given again from what was kept: {same}"
    return f"{name}, kept" if taken.is_new else f"{name}: nothing is new since, so no other was taken"
