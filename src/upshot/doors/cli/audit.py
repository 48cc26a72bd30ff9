"""`upshot audit`: what was changed by whom and why, and whether anybody changed the past."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from upshot.doors.cli.control import AS_JSON, DATA, STORE, opened, show

if TYPE_CHECKING:
    from upshot.services.audit import Entry, Proof

EPILOG = """\b
Examples:
  upshot audit list --subject key/
  upshot audit verify
"""


@click.group("audit", epilog=EPILOG)
def command() -> None:
    """The audit chain: a row for each change, chained by hash."""


@command.command("list", epilog="Example: upshot audit list --subject experiment/EXP-2026-001")
@click.option(
    "--subject", metavar="NAME", help="Of one thing, as key/7f3a9c1e02b4, or of one kind, as key/ [all]."
)
@click.option(
    "--limit", type=click.IntRange(1), default=20, metavar="N", help="So many of the last ones [20]."
)
@DATA
@STORE
@AS_JSON
def list_command(subject: str | None, limit: int, data: Path, url: str | None, as_json: bool) -> None:
    """Show the last changes: when, who, what and why; with --json also what was before and after."""
    from upshot.services import audit

    with opened(data, url) as store:
        found = audit.entries(store, subject=subject, limit=limit)
    show(as_json, lambda: {"entries": [asdict(entry) for entry in found]}, lambda: _lines(found))


@command.command("verify", epilog="Example: upshot audit verify --head sha256:4f1c...")
@click.option("--head", metavar="HASH", help="A head that was noted earlier: it must be in the chain.")
@DATA
@STORE
@AS_JSON
def verify_command(head: str | None, data: Path, url: str | None, as_json: bool) -> int:
    """Find any edit of the past: of the chain, of looks and of plans. Exit 1 where there is one.

    It prints the head of the chain. Whoever notes it where nobody can change it, and gives it later by --head, also
    finds a chain that was written anew as a whole.
    """
    from upshot.services import audit

    with opened(data, url) as store:
        proof = audit.verify(store, head)
    show(as_json, lambda: asdict(proof), lambda: _told(proof))
    return 1 if proof.problems else 0


def _lines(found: "tuple[Entry, ...]") -> str:
    if not found:
        return "Nothing was changed yet."
    return "\n".join(
        f"{entry.number:>5}  {entry.at[:10]} {entry.at[11:19]}  {entry.actor}: {entry.action} {entry.subject}"
        f"{f' ({entry.reason})' if entry.reason else ''}"
        for entry in found
    )


def _told(proof: "Proof") -> str:
    rows = f"{proof.rows} row{'' if proof.rows == 1 else 's'}"
    if proof.problems:
        return "\n".join(["The past was changed:", *(f"  - {problem}" for problem in proof.problems)])
    return f"The chain is whole: {rows}, nothing was changed afterwards\nhead {proof.head}"
