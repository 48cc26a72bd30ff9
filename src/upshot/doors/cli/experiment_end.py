"""The commands of `upshot experiment` from its running on: notes, the seal, ending, extending, deciding."""

from datetime import datetime
from typing import TYPE_CHECKING, Any, get_args

import click

from upshot.doors.cli.control import REASON, show, who, working
from upshot.doors.cli.experiment_options import ACKNOWLEDGE, keeps, reads
from upshot.doors.cli.experiment_words import advice_words, plain
from upshot.doors.cli.options import parse_named
from upshot.doors.cli.output import put_out
from upshot.errors import InputError
from upshot.model.experiment import Executed

if TYPE_CHECKING:
    from upshot.services.decisions import Choice, Recommendation
    from upshot.store.experiments import Experiment

DAY = click.DateTime(["%Y-%m-%d"])


@click.command(
    "note", epilog="Example: upshot experiment note EXP-2026-001 positive '4 of 5 interviews liked it'"
)
@keeps
@click.argument("sign", type=click.Choice(["positive", "negative"]))
@click.argument("text")
@click.option("--dated", type=DAY, metavar="DATE", help="When it was heard [today].")
def note_command(experiment: str, sign: Any, text: str, dated: datetime | None, **options: Any) -> None:
    """Keep what interviews or tickets said. It counts if it is dated before anybody saw an effect."""
    from upshot.services.notes import add_note

    with working(options["data"], options["url"], flags=options["flags"]) as workspace:
        noted = add_note(
            workspace, experiment, sign, text, who(),
            dated=dated.date() if dated else None, expected=options["expected"],
        )  # fmt: skip
    show(options["as_json"], lambda: plain(noted), lambda: f"{noted.id} has {_notes(noted)}")


def _notes(experiment: "Experiment") -> str:
    count = len(experiment.course.situation.notes)
    return "1 note" if count == 1 else f"{count} notes"


@click.command(
    "acknowledge", epilog="Example: upshot experiment acknowledge EXP-2026-001 sample_ratio='a cache, mended'"
)
@keeps
@click.argument("accepted", nargs=-1, required=True, metavar="NAME=REASON...")
def acknowledge_command(experiment: str, accepted: tuple[str, ...], **options: Any) -> None:
    """Accept a failed check, or a secondary or segment that got worse, with a reason that the report prints."""
    from upshot.services.notes import acknowledge

    with working(options["data"], options["url"], flags=options["flags"]) as workspace:
        done = acknowledge(workspace, experiment, parse_named(accepted), who(), expected=options["expected"])
    names = ", ".join(done.course.situation.acknowledged)
    show(options["as_json"], lambda: plain(done), lambda: f"{done.id}: acknowledged {names}")


@click.command(
    "break-seal", epilog="Example: upshot experiment break-seal EXP-2026-001 --reason 'the press asks'"
)
@keeps
@click.option("--reason", required=True, metavar="TEXT", help="Why; the report prints it with who and when.")
def break_seal_command(experiment: str, reason: str, as_json: bool, **options: Any) -> None:
    """See the effects of a sealed experiment before its decision point; everybody hears of it."""
    from upshot.services.seal import break_seal

    with working(options["data"], options["url"], flags=options["flags"]) as workspace:
        findings = break_seal(workspace, experiment, who(), reason, options["expected"])
    put_out(
        findings,
        (),
        as_json=as_json,
        beside={"experiment": experiment, "unsealed_by": who(), "reason": reason},
    )


@click.command("stop", epilog="Example: upshot experiment stop EXP-2026-001 --reason 'the fair is over'")
@keeps
@REASON
def stop_command(experiment: str, reason: str, **options: Any) -> None:
    """End its running: it is analysed and waits for a decision. Before its decision date this needs a reason."""
    from upshot.services.experiments import stop

    with working(options["data"], options["url"], flags=options["flags"]) as workspace:
        done = stop(workspace, experiment, who(), reason, options["expected"])
    told = f"{done.id} is analysed: decide it by `upshot experiment decide {done.id}`"
    show(options["as_json"], lambda: plain(done), lambda: told)


@click.command(
    "extend", epilog="Example: upshot experiment extend EXP-2026-001 --to 2026-12-21 --reason 'a slow week'"
)
@keeps
@click.option("--to", "end", type=DAY, required=True, metavar="DATE", help="The new decision date.")
@click.option("--reason", required=True, metavar="TEXT", help="Why; it is kept with who and when.")
def extend_command(experiment: str, end: datetime, reason: str, **options: Any) -> None:
    """Move its decision date: whole weeks, a working day, within the plan's maximum."""
    from upshot.services.experiments import extend

    with working(options["data"], options["url"], flags=options["flags"]) as workspace:
        done = extend(workspace, experiment, end.date(), who(), reason, options["expected"])
    show(options["as_json"], lambda: plain(done), lambda: f"{done.id} is to be decided on {done.plan.end}")


@click.command("outlook", epilog="Example: upshot experiment outlook EXP-2026-001 --by 2026-12-21")
@reads
@click.option("--by", type=DAY, metavar="DATE", help="Until when [its decision date].")
def outlook_command(experiment: str, by: datetime | None, **options: Any) -> None:
    """Say what can be concluded by a day, without looking at any effect."""
    from dataclasses import asdict

    from upshot.services.outlook import outlook

    with working(options["data"], options["url"], flags=options["flags"]) as workspace:
        seen = outlook(workspace, experiment, by.date() if by else None)
    show(options["as_json"], lambda: {**asdict(seen), "by": seen.by.isoformat()}, lambda: seen.sentence)


@click.command(
    "decide",
    epilog="""\b
Examples:
  upshot experiment decide EXP-2026-001
  upshot experiment decide EXP-2026-001 KILL --reason "the law changed"
  upshot experiment decide EXP-2026-001 SHIP --acknowledge returns="they cost less than it brings"
""",
)
@keeps
@click.argument("verdict", required=False, type=click.Choice(get_args(Executed)))
@click.option("--variant", metavar="NAME", help="Of SHIP: which variant [the recommended one].")
@click.option(
    "--to", "end", type=DAY, metavar="DATE", help="Of EXTEND: the new decision date [a week later]."
)
@REASON
@ACKNOWLEDGE
def decide_command(experiment: str, verdict: Any, **options: Any) -> None:
    """Decide an experiment; without a VERDICT as the last look recommends.

    The flag follows: SHIP gives the winner to everybody by the steps of the design, KILL and ITERATE give control.
    Against the recommendation a reason is needed; what got worse must be acknowledged.
    """
    from upshot.services.decisions import decide, recommendation

    with working(options["data"], options["url"], flags=options["flags"]) as workspace:
        advice = recommendation(workspace, experiment)
        done = decide(workspace, experiment, _choice(verdict, advice, options), who(), options["expected"])
    show(options["as_json"], lambda: plain(done), lambda: _decided(done))


def _choice(verdict: Any, advice: "Recommendation", options: dict[str, Any]) -> "Choice":
    from upshot.services.decisions import Choice

    chosen: Any = verdict or advice.verdict
    if chosen not in get_args(Executed):
        raise InputError(
            f"nothing is recommended that can be done; name SHIP, KILL, ITERATE or EXTEND and a --reason.\n"
            f"{advice_words(advice)}"
        )
    end = options["end"]
    return Choice(
        verdict=chosen,
        variant=options["variant"],
        reason=options["reason"],
        acknowledged=parse_named(options["accepted"]),
        end=end.date() if end else None,
    )


def _decided(experiment: "Experiment") -> str:
    decision = experiment.course.decision
    if decision is None or experiment.state == "running":
        return f"{experiment.id} goes on, and is to be decided on {experiment.plan.end}"
    told = f"{experiment.id} is {experiment.state}: {decision.verdict}"
    told += f", everybody gets {decision.variant or experiment.plan.control}"
    told += f"; the last step is taken {decision.done_at:%Y-%m-%d %H:%M} UTC" if decision.done_at else ""
    return f"{told}\nto do: {decision.edit}".rstrip() if decision.edit else told


@click.command(
    "complete", epilog="Example: upshot experiment complete EXP-2026-001 --reason 'checkout.yaml is edited'"
)
@keeps
@REASON
def complete_command(experiment: str, reason: str, **options: Any) -> None:
    """Say that its decision is carried out; a rollout's last step says so by itself."""
    from upshot.services.automatic import complete

    with working(options["data"], options["url"], flags=options["flags"]) as workspace:
        done = complete(workspace, experiment, who(), reason)
    show(options["as_json"], lambda: plain(done), lambda: f"{done.id} is completed")


COMMANDS = (
    note_command, acknowledge_command, break_seal_command, outlook_command, stop_command, extend_command,
    decide_command, complete_command,
)  # fmt: skip
