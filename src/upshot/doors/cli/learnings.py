"""`upshot learnings`: what experiments taught: found by words, listed, added to, and what to ask next."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from upshot.doors.cli.control import AS_JSON, DATA, STORE, opened, show, who, working
from upshot.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from upshot.services.follow_ups import FollowUp
    from upshot.services.learnings import Found

EPILOG = """\b
Examples:
  upshot learnings search "onboarding retention"
  upshot learnings list --experiment EXP-2026-001
  upshot learnings add "People ask for invoices before they pay" --tag billing
  upshot learnings suggest --write experiments
"""


@click.group("learnings", epilog=EPILOG)
def command() -> None:
    """What experiments taught. Each decision writes down its own; people add what they know beside."""


@command.command("search", epilog='Example: upshot learnings search "shorter forms"')
@click.argument("text", nargs=-1, required=True)
@click.option("--limit", type=click.IntRange(1), default=20, metavar="N", help="So many at most [20].")
@DATA
@STORE
@AS_JSON
def search_command(text: tuple[str, ...], limit: int, data: Path, url: str | None, as_json: bool) -> None:
    """Find the learnings that have all of these words, in any form of them, the best first."""
    from upshot.services.learnings import search

    with working(data, url) as workspace:
        found = search(workspace, " ".join(text), limit)
    _show(found, as_json, "Nothing was learnt yet that has these words.")


@command.command("list", epilog="Example: upshot learnings list --experiment EXP-2026-001")
@click.option("--experiment", metavar="ID", help="Only those of one experiment.")
@DATA
@STORE
@AS_JSON
def list_command(experiment: str | None, data: Path, url: str | None, as_json: bool) -> None:
    """Show all learnings, the newest first, each with what supports and what contradicts it."""
    from upshot.services.learnings import listed

    with working(data, url) as workspace:
        found = listed(workspace, experiment)
    _show(found, as_json, "Nothing was learnt yet: each decision writes down what its experiment taught.")


@command.command("add", epilog='Example: upshot learnings add "Teams of one never invite" --tag viral')
@click.argument("text")
@click.option("--experiment", default="", metavar="ID", help="The experiment that it is of [none].")
@click.option("--tag", "tags", multiple=True, metavar="WORD", help="A word to find it by; again for more.")
@DATA
@STORE
def add_command(text: str, experiment: str, tags: tuple[str, ...], data: Path, url: str | None) -> None:
    """Write down what was learnt elsewhere, or of an experiment."""
    from upshot.services.learnings import add

    with working(data, url, made=True) as workspace:
        made = add(workspace, text, who(), experiment_id=experiment, tags=tags)
    click.echo(f"learning {made.id}, kept")


@command.command("suggest", epilog="Example: upshot learnings suggest --write experiments")
@click.option(
    "--write", "directory", metavar="DIR", type=click.Path(path_type=Path),
    help="Write each draft as a file of an experiment into this folder; files that are there stay.",
)  # fmt: skip
@DATA
@STORE
@AS_JSON
def suggest_command(directory: Path | None, data: Path, url: str | None, as_json: bool) -> None:
    """Say what to ask next: near misses, iterations, segments that differ, metrics that moved unasked.

    Each with its evidence and a drafted experiment, which needs a flag of its own. What an experiment follows already
    (by its tag, as drafts have it) is left out.
    """
    from upshot.services.follow_ups import follow_ups

    with opened(data, url) as store:
        found = follow_ups(store)
    written = [] if directory is None else _written(found, directory)
    show(
        as_json,
        lambda: {"follow_ups": [_plain_follow_up(one) for one in found]},
        lambda: "\n\n".join(map(_follow_up_words, found)) or "Nothing asks for a follow-up yet.",
    )
    for file in written:
        click.echo(f"draft: {file}", err=as_json)


def _written(found: "Sequence[FollowUp]", directory: Path) -> list[Path]:
    from upshot.services.follow_ups import draft_text

    files = []
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for one in found:
            file = directory / one.file
            if not file.exists():
                file.write_text(draft_text(one), encoding="utf-8")
                files.append(file)
    except OSError as error:
        raise InputError(
            f"drafts cannot be written to {directory} ({error.strerror}): give another --write"
        ) from None
    return files


def _plain_follow_up(found: "FollowUp") -> dict[str, Any]:
    from upshot.formats.experiments import design_to_mapping

    told = {
        "kind": found.kind,
        "experiment": found.experiment,
        "evidence": found.evidence,
        "idea": found.idea,
    }
    return {**told, "draft": design_to_mapping(found.draft)}


def _follow_up_words(found: "FollowUp") -> str:
    head = click.style(f"{found.experiment} · {found.kind}", bold=True)
    return f"{head}\n  {found.evidence}\n  {found.idea}"


def _show(found: "Sequence[Found]", as_json: bool, nothing: str) -> None:
    show(
        as_json,
        lambda: {"learnings": [_plain(one) for one in found]},
        lambda: "\n\n".join(map(_words, found)) or nothing,
    )


def _plain(found: "Found") -> dict[str, Any]:
    import json

    from upshot.formats.values import write_value

    links = [
        {"learning": link.learning.id, "experiment": link.learning.experiment, "metric": link.metric,
         "supports": link.supports}
        for link in found.links
    ]  # fmt: skip
    return {**json.loads(write_value(found.learning)), "links": links}


def _words(found: "Found") -> str:
    from upshot.report.learning_words import head, link_lines

    learning = found.learning
    return "\n".join(
        [click.style(head(learning), bold=True), *(f"  {line}" for line in learning.text.splitlines()),
         *(f"  {line}" for line in link_lines(found.links))]
    )  # fmt: skip
