"""How commands give out findings: in the terminal, as JSON, as reports, and by an exit code."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from upshot.errors import InputError

if TYPE_CHECKING:
    from upshot.report.findings import Findings

EXIT_CODES = {
    "SHIP": 10, "KILL": 11, "ITERATE": 12, "EXTEND": 13, "DISCUSS": 14, "INVESTIGATE": 15, "CONTINUE": 16,
}  # fmt: skip
EXIT_CODE = click.option(
    "--exit-code", is_flag=True,
    help="10 SHIP, 11 KILL, 12 ITERATE, 13 EXTEND, 14 DISCUSS, 15 INVESTIGATE, 16 CONTINUE.",
)  # fmt: skip


def check_report(file: str) -> None:
    """Refuse a report that could not be written, before anything is done.

    Raises:
        InputError: its name has no known ending, or its folder is not there.
    """
    if not file.endswith((".html", ".md")):
        raise InputError(f"report {file}: give a name that ends in .html or .md")
    if not Path(file).parent.is_dir():
        raise InputError(f"report {file}: there is no folder {Path(file).parent}: make it first")


def put_out(
    findings: "Findings",
    reports: Sequence[str],
    *,
    as_json: bool,
    explained: bool = False,
    beside: Mapping[str, Any] | None = None,
) -> None:
    """Reports first: if one cannot be written nothing has been claimed yet.

    Args:
        beside: what stands beside the findings in JSON.
    """
    for file in reports:
        _write_report(file, findings)
    if as_json:
        from upshot.services.analysis import findings_to_dict

        plain = findings_to_dict(findings) | dict(beside or {})
        click.echo(json.dumps(plain, indent=2, allow_nan=False, ensure_ascii=False))
        return
    from rich.console import Console

    from upshot.report.terminal import Summary

    Console(highlight=False).print(Summary(findings))
    if explained:
        from upshot.report.explain import explain

        click.echo(explain(findings))
    for file in reports:
        click.echo(f"report: {file}")


def _write_report(file: str, findings: "Findings") -> None:
    from upshot.report.document import markdown
    from upshot.report.page import html

    text = html(findings) if file.endswith(".html") else markdown(findings)
    Path(file).write_text(text, encoding="utf-8")
