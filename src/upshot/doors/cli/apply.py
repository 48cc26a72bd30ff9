"""`upshot apply`: what files declare, shown as a difference and put into the control store."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from upshot.doors.cli.control import AS_JSON, DATA, REASON, STORE, show, who
from upshot.errors import InputError

if TYPE_CHECKING:
    from upshot.services.as_code import Step

EPILOG = """\b
Sections of files: flags, segments, layers, holdouts, metrics, tables, exposures, standards, alerts.
A file with plan: is an experiment.

\b
Examples:
  upshot apply workspace --dry-run
  upshot apply workspace --yes --reason "review 41"
"""
_SIGNS = {"create": "+", "change": "~", "remove": "-", "drift": "!", "extra": " "}
_SAID = {
    "drift": "changed in the store since files said it",
    "extra": "only in the store",
    "remove": "no longer in the files",
}


@click.command("apply", epilog=EPILOG)
@click.argument("directory", type=click.Path(path_type=Path))
@DATA
@STORE
@click.option("--dry-run", is_flag=True, help="Show what would be done, and do nothing.")
@click.option("--yes", is_flag=True, help="Do it without asking.")
@click.option("--overwrite", is_flag=True, help="Undo what was changed in the store since files said it.")
@click.option("--prune", is_flag=True, help="Remove what the files no longer declare.")
@REASON
@AS_JSON
def command(
    directory: Path, data: Path, url: str | None, dry_run: bool, yes: bool, overwrite: bool, prune: bool, reason: str,
    as_json: bool,
) -> None:  # fmt: skip
    """Make the control store what the files of a directory declare.

    All mistakes of all files are named at once. The difference is shown, then applied as one change, or not at all.
    What somebody changed in the store since is drift: it is shown and not undone unless you say so.
    """
    from upshot.bootstrap import open_workspace
    from upshot.services.as_code import apply, compare, read_directory

    workspace = open_workspace(data, url, made=True)
    try:
        declared = read_directory(directory)
        steps = compare(workspace, declared)
        if dry_run or not _does(steps, overwrite, prune):
            show(as_json, lambda: _plain(steps, []), lambda: _words(steps))
            return
        if not as_json:
            click.echo(_words(steps))
        _confirm(yes)
        done = apply(workspace, declared, who(), reason, overwrite=overwrite, prune=prune)
    finally:
        workspace.close()
    show(as_json, lambda: _plain(steps, done), lambda: f"applied: {len(done)} of {len(steps)}")


def _does(steps: "tuple[Step, ...]", overwrite: bool, prune: bool) -> bool:
    """Whether there is anything to do, or to refuse."""
    wanted = {"create", "change", "drift", *(["remove"] if prune else [])}
    return overwrite or any(one.kind in wanted for one in steps)


def _confirm(yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise InputError("nobody is here to be asked: give --yes to apply, or --dry-run to only look")
    click.confirm("Apply?", abort=True)


def _plain(steps: Any, done: Any) -> dict[str, Any]:
    told = [
        {"section": one.section, "name": one.name, "kind": one.kind, "details": list(one.details)}
        for one in steps
    ]
    return {"steps": told, "applied": [f"{one.section}/{one.name}" for one in done]}


def _words(steps: "tuple[Step, ...]") -> str:
    if not steps:
        return "the store is what the files declare"
    lines = []
    for one in steps:
        said = f" ({_SAID[one.kind]})" if one.kind in _SAID else ""
        lines.append(f"{_SIGNS[one.kind]} {one.section}/{one.name}{said}")
        if one.kind in ("change", "drift"):
            lines += [f"    {detail}" for detail in one.details]
    return "\n".join(lines)
