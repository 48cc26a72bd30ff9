"""The command `upshot`: its commands are loaded when they are called, so `--help` costs what click costs."""

import sys
import tempfile
import traceback
from importlib import import_module
from typing import Any

import click

from upshot.errors import UpshotError

COMMANDS = {
    "analyze": "Analyse the data of an experiment: effects, intervals, checks, a verdict with its reasons.",
    "plan": "What to run: units, days, the smallest effect in time, the chance of each verdict.",
    "template": "Worked experiments to begin with, one for each type, and what goes wrong with them.",
    "flag": "Flags in files: look through them, ask them, see what an edit does, put them into force.",
    "metric": "Metrics over events in files: look through them, and copy worked ones.",
    "aa": "Whether tests of a metric hold their level on its own past, where there is nothing to find.",
    "experiment": "Experiments: propose, check, start, stop, extend, decide; what each needs and what follows.",
    "look": "Look at a running experiment: its exposures and events, a verdict, and the look kept.",
    "report": "The document of an experiment, of the week, or of the whole programme; Markdown or HTML.",
    "replay": "Every look at an experiment given again from what was kept of it, identical or not.",
    "learnings": "What experiments taught: search it, list it, add to it, and see what to ask next.",
    "bots": "Programs among an experiment's units, and its result with and without them.",
    "serve": "Serve flags to servers and browsers, by OFREP and to the SDK, and take their events.",
    "tick": "What a server does by itself, done once: looks, guardrails, alerts; for cron.",
    "events": "Events that were taken: look at them, replay what was rejected, delete a person's, export.",
    "key": "API keys of servers, browsers and programs, each with its role: give them out, take them back.",
    "user": "Users with passwords, each with a role: make them, disable them, give another password.",
    "apply": "Files that declare a workspace: show the difference to the store, and put it in.",
    "export": "What the control store holds, as files that apply reads.",
    "audit": "Who changed what, when and why; and whether anybody changed the past.",
    "backup": "A data directory in one file, taken while servers go on.",
    "restore": "A data directory out of a backup, with every checksum compared.",
    "doctor": "Whether a data directory is as it should be: place, space, and every file in it.",
    "assign": "A table of ids: which variant each gets, in SQL where ids are enough, else row by row.",
    "simulate": "Made-up worlds under a plan: false positives, power, runtime, false ships and kills.",
    "demo": "Six experiments of a made-up shop, whose truth is known, live: server, SDK, two weeks in minutes.",
}
"""Each command and its line in the help; the module of its name in this package holds it."""


class _Lazy(click.Group):
    """Commands that are imported when they run."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"upshot.doors.cli.{cmd_name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(args[0], COMMANDS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(COMMANDS)}"
            raise click.UsageError(f"there is no command {args[0]}: {hint}", ctx)
        return super().resolve_command(ctx, args)


@click.group(
    cls=_Lazy,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Example: upshot analyze visits.csv --unit user_id --variant group --metric converted",
)
@click.version_option(package_name="upshot", message="upshot %(version)s")
def cli() -> None:
    """From hypothesis to decision: experiments that a team can defend."""


def main(args: list[str] | None = None) -> Any:
    """Run the command line; what is raised on purpose is one sentence and an exit code, never a traceback."""
    try:
        result = cli.main(args=args, prog_name="upshot", standalone_mode=False)
    except click.exceptions.Exit as ended:
        sys.exit(ended.exit_code)
    except click.Abort:
        click.echo("upshot: stopped", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except UpshotError as error:
        click.echo(f"upshot: {error}", err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.exit(0)
    except Exception as error:
        click.echo(f"upshot: a fault of ours ({type(error).__name__}: {error}); {_kept()}", err=True)
        sys.exit(1)
    sys.exit(result if isinstance(result, int) else 0)


def _kept() -> str:
    """Keep the traceback in a file, for the report of the fault."""
    with tempfile.NamedTemporaryFile("w", prefix="upshot-fault-", suffix=".txt", delete=False) as file:
        traceback.print_exc(file=file)
    return f"please report it with {file.name}"
