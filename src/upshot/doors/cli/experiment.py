"""`upshot experiment`: experiments from the idea to the decision."""

from pathlib import Path
from typing import Any

import click

from upshot.doors.cli.control import AS_JSON, DATA, REASON, STORE, show, who, working
from upshot.doors.cli.experiment_end import COMMANDS
from upshot.doors.cli.experiment_options import ACKNOWLEDGE, FLAGS, keeps, reads
from upshot.doors.cli.experiment_words import (
    advice_plain,
    checklist_words,
    experiment_words,
    listed_words,
    plain,
)
from upshot.doors.cli.options import parse_named
from upshot.errors import InputError

STATES = ("planned", "implemented", "running", "analyzing", "decided", "completed", "iterated", "killed")
EPILOG = """\b
Examples:
  upshot experiment new onboarding.yaml
  upshot experiment checklist EXP-2026-001
  upshot experiment start EXP-2026-001 --reason "the campaign begins"
  upshot experiment decide EXP-2026-001
"""


@click.group("experiment", epilog=EPILOG)
def command() -> None:
    """Experiments from the idea to the decision."""


@command.command("new", epilog="Example: upshot experiment new onboarding.yaml --reason 'half of them leave'")
@click.argument("file", required=False)
@click.option("--template", "template_name", metavar="TYPE", help="A worked experiment instead of a file.")
@click.option("--name", default="", metavar="TEXT", help="With --template: what it is called [as there].")
@click.option("--owner", default="", metavar="WHO", help="With --template: who answers for it [you].")
@click.option(
    "--flag", default="", metavar="KEY", help="With --template: the flag that carries it [as there]."
)
@click.option(
    "--write",
    "to_file",
    metavar="FILE",
    help="With --template: write it, to be edited; propose nothing.",
)
@REASON
@DATA
@STORE
@FLAGS
@AS_JSON
def new_command(file: str | None, template_name: str | None, reason: str, **options: Any) -> None:
    """Propose the experiment of a FILE, or of a template; it gets the next id of the year where it has none."""
    from upshot.formats.experiments import design_from_yaml, read_design
    from upshot.services.experiments import propose

    if (file is None) == (template_name is None):
        raise InputError("name a FILE or a --template: `upshot template list` names those that there are")
    text = _from_template(template_name, options)
    if options["to_file"]:
        _write_template(options["to_file"], text)
        return
    design = read_design(file) if file is not None else design_from_yaml(text, str(template_name))
    with working(options["data"], options["url"], flags=options["flags"], made=True) as workspace:
        made = propose(workspace, design, who(), reason)
    told = f"{made.id} is planned: see what is missing by `upshot experiment checklist {made.id}`"
    show(options["as_json"], lambda: plain(made), lambda: told)


def _from_template(name: str | None, options: dict[str, Any]) -> str:
    """The file that a template makes; what only templates take is refused beside a file."""
    from upshot.formats.templates import filled, template

    if name is not None:
        owner = options["owner"] or who()
        return filled(template(name), name=options["name"], owner=owner, flag=options["flag"])
    told = [f"--{option}" for option in ("name", "owner", "flag") if options[option]]
    told += ["--write"] if options["to_file"] else []
    if told:
        raise InputError(f"{', '.join(told)} beside a FILE: it says so itself, edit it there")
    return ""


def _write_template(file: str, text: str) -> None:
    if Path(file).exists():
        raise InputError(f"{file} is there already: give another --write, or remove it")
    try:
        Path(file).write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{file} cannot be written ({error.strerror}): give another --write") from None
    click.echo(f"{file} is written: edit it, then `upshot experiment new {file}`")


@command.command("list", epilog="Example: upshot experiment list --state running")
@click.option("--state", type=click.Choice(STATES), help="Only those in this state [all].")
@DATA
@STORE
@FLAGS
@AS_JSON
def list_command(state: Any, data: Path, url: str | None, flags: Path | None, as_json: bool) -> None:
    """Name every experiment, its state, and when it is or was decided."""
    from upshot.services.experiments import listed

    with working(data, url, flags=flags) as workspace:
        found = listed(workspace, state)
    show(as_json, lambda: {"experiments": [plain(one) for one in found]}, lambda: listed_words(found))


@command.command("show", epilog="Example: upshot experiment show EXP-2026-001")
@reads
def show_command(experiment: str, data: Path, url: str | None, flags: Path | None, as_json: bool) -> None:
    """Print what was agreed, what happened since, and what is recommended."""
    from upshot.services.decisions import recommendation
    from upshot.services.experiments import found

    with working(data, url, flags=flags) as workspace:
        seen = found(workspace, experiment)
        advice = recommendation(workspace, experiment) if seen.started_at else None
    show(
        as_json,
        lambda: plain(seen) | {"recommendation": None if advice is None else advice_plain(advice)},
        lambda: experiment_words(seen, advice),
    )


@command.command("edit", epilog="Example: upshot experiment edit EXP-2026-001 onboarding.yaml --version 3")
@keeps
@click.argument("file")
@REASON
@click.option("--knowingly", is_flag=True, help="Change what binds: results are exploratory from then on.")
def edit_command(experiment: str, file: str, reason: str, knowingly: bool, **options: Any) -> None:
    """Give an experiment the design of a FILE. After its start only what decides nothing can be changed."""
    from upshot.formats.experiments import read_design
    from upshot.services.experiments import edit

    design = read_design(file)
    with working(options["data"], options["url"], flags=options["flags"]) as workspace:
        changed = edit(workspace, experiment, design, who(), reason, options["expected"], knowingly=knowingly)
    told = [f"{changed.id} has version {changed.version}"]
    told += [f"exploratory: {one}" for one in changed.course.exploratory]
    show(options["as_json"], lambda: plain(changed), lambda: "\n".join(told))


@command.command("checklist", epilog="Example: upshot experiment checklist EXP-2026-001")
@reads
def checklist_command(experiment: str, data: Path, url: str | None, flags: Path | None, as_json: bool) -> int:
    """Say what is there and what is missing before the start. Exit 2 where something fails."""
    from dataclasses import asdict

    from upshot.services.checklist import checklist

    with working(data, url, flags=flags) as workspace:
        items = checklist(workspace, experiment)
    show(as_json, lambda: {"items": [asdict(item) for item in items]}, lambda: checklist_words(items))
    return 2 if any(item.status == "fail" for item in items) else 0


@command.command("implement", epilog="Example: upshot experiment implement EXP-2026-001")
@keeps
@REASON
def implement_command(experiment: str, reason: str, **options: Any) -> None:
    """Say that the variants are in the code; the flag must have them all."""
    from upshot.services.experiments import implement

    with working(options["data"], options["url"], flags=options["flags"]) as workspace:
        done = implement(workspace, experiment, who(), reason, options["expected"])
    show(options["as_json"], lambda: plain(done), lambda: f"{done.id} is implemented")


@command.command("start", epilog="Example: upshot experiment start EXP-2026-001 --reason 'all is there'")
@keeps
@REASON
@ACKNOWLEDGE
def start_command(experiment: str, reason: str, accepted: tuple[str, ...], **options: Any) -> None:
    """Start an experiment: its plan is fixed, and its flag gives units its variants.

    What fails on the checklist stops it, unless it is accepted with a reason.
    """
    from upshot.services.enrolment import to_write
    from upshot.services.experiments import start

    with working(options["data"], options["url"], flags=options["flags"]) as workspace:
        started = start(
            workspace, experiment, who(), reason, accepted=parse_named(accepted), expected=options["expected"]
        )
        rule = to_write(workspace, started)
    told = f"{started.id} runs, phase {started.phase}, and is to be decided on {started.plan.end}"
    told += f"\nwrite into flag {started.design.flag}, and put it into force:\n{rule}" if rule else ""
    show(options["as_json"], lambda: plain(started) | {"rule": rule}, told.rstrip)


for ending in COMMANDS:
    command.add_command(ending)
