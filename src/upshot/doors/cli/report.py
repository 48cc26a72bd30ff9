"""`upshot report`: the document of an experiment, the week, and the whole programme."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from upshot.doors.cli.control import DATA, STORE, opened
from upshot.errors import InputError

if TYPE_CHECKING:
    from upshot.report.paper import Paper
    from upshot.store.control import ControlStore

EARLIEST = 2000
"""The first year of which a week can be told."""
EPILOG = """\b
Examples:
  upshot report EXP-2026-001 --out EXP-2026-001.html
  upshot report --weekly
  upshot report --weekly --as-of 2026-11-30 --send
  upshot report --programme
"""


@click.command("report", epilog=EPILOG)
@click.argument("experiment", required=False)
@click.option(
    "--weekly", is_flag=True, help="The last seven days: running, decided, killed, alerts, learnings."
)
@click.option(
    "--programme", is_flag=True, help="All experiments together: rates, velocity, what they brought."
)
@click.option(
    "--as-of", type=click.DateTime(["%Y-%m-%d"]), metavar="DATE",
    help="With --weekly: the seven days before this one, as things stood then, in UTC [until now].",
)  # fmt: skip
@click.option(
    "--send", "sent", is_flag=True, help="With --weekly: send it where alerts go, by UPSHOT_ALERTS."
)
@click.option("--format", "form", type=click.Choice(["md", "html"]), help="Of the text [by --out, else md].")
@click.option("--out", metavar="FILE", type=click.Path(path_type=Path), help="Write it to a file [print it].")
@DATA
@STORE
def command(
    experiment: str | None,
    weekly: bool,
    programme: bool,
    as_of: datetime | None,
    sent: bool,
    form: str | None,
    out: Path | None,
    data: Path,
    url: str | None,
) -> None:
    """Write the document of an EXPERIMENT, of the week, or of the programme.

    Made of what is kept alone. A sealed experiment shows no effect in any of them; what runs is told by its progress.
    """
    if (experiment is not None) + weekly + programme != 1:
        raise InputError(
            "one thing is reported at a time: name an experiment, or give --weekly or --programme"
        )
    if not weekly and (as_of is not None or sent):
        raise InputError("--as-of and --send belong to --weekly: give it, or leave them out")
    if as_of is not None and as_of.year < EARLIEST:
        raise InputError(f"--as-of is {as_of:%Y-%m-%d}: give a day from {EARLIEST} on")
    until = as_of.replace(tzinfo=UTC) if as_of else datetime.now(UTC)
    with opened(data, url) as store:
        paper = _paper(store, experiment, until, is_weekly=weekly)
    if sent:
        _send(paper, until)
    if out is not None or not sent:
        _put_out(paper, form, out)


def _paper(store: "ControlStore", experiment: str | None, until: datetime, *, is_weekly: bool) -> "Paper":
    from upshot.services import documents, programme, weekly

    if experiment is not None:
        return documents.document(store, experiment)
    return weekly.weekly(store, until) if is_weekly else programme.programme(store)


def _send(paper: "Paper", until: datetime) -> None:
    from upshot.services.addresses import read_allowed
    from upshot.services.channels import read_channels
    from upshot.services.weekly_letter import send
    from upshot.settings import read_settings

    settings = read_settings(os.environ)
    channels = read_channels(settings.alerts, settings.alert_secret, read_allowed(settings.alerts_allow))
    for name in send(paper, until, channels):
        click.echo(f"sent to {name}")


def _put_out(paper: "Paper", form: str | None, out: Path | None) -> None:
    from upshot.report.paper import markdown
    from upshot.report.paper_page import html

    is_page = (form or (out.suffix.removeprefix(".") if out else "md")) in ("html", "htm")
    text = html(paper) if is_page else markdown(paper)
    if out is None:
        click.echo(text, nl=False)
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{out} cannot be written ({error.strerror}): give another --out") from None
    click.echo(f"report: {out}")
