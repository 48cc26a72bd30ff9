"""`upshot flag`: look through flags, ask them, see what an edit does, put it into force."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from upshot.doors.cli.control import who
from upshot.errors import InputError

if TYPE_CHECKING:
    from upshot.services.flag_answer import Answer
    from upshot.services.flag_diff import Diff
    from upshot.services.flag_lint import Lint
    from upshot.store.flag_files import FlagDirectory

EPILOG = """\b
Examples:
  upshot flag lint
  upshot flag eval new-checkout --unit user-1 --context '{"beta": true}'
  upshot flag diff
  upshot flag apply
  upshot flag kill new-checkout --reason "cards are refused"
"""

DIRECTORY = click.argument("directory", default="flags", type=click.Path(path_type=Path))
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
AT = click.option("--at", metavar="TIME", help="As at this time, such as 2026-12-01T09:00:00Z [now].")


@click.group("flag", epilog=EPILOG)
def command() -> None:
    """Flags in the YAML files of a directory: ./flags where none is named."""


@command.command("lint", epilog="Example: upshot flag lint flags")
@DIRECTORY
@AT
@AS_JSON
def lint_command(directory: Path, at: str | None, as_json: bool) -> None:
    """Say in words what the files mean.

    Every mistake of every file is named at once (exit 2). What is allowed but hardly meant is told: flags that
    expired, rules that are never reached, segments that nothing uses.
    """
    from upshot.services.flag_lint import lint

    store, new_salt = _opened(directory)
    found = lint(store, new_salt, _moment(at))
    _show(as_json, lambda: _lint_json(found), lambda: _print_lint(found))


@command.command(
    "eval", epilog="Example: upshot flag eval new-checkout flags --unit user-1 --context '{\"beta\": true}'"
)
@click.argument("key")
@DIRECTORY
@click.option("--unit", metavar="ID", help="The targetingKey of the context.")
@click.option("--context", metavar="JSON", help="Attributes of who asks, as a JSON object.")
@AT
@AS_JSON
def eval_command(
    key: str, directory: Path, unit: str | None, context: str | None, at: str | None, as_json: bool
) -> None:
    """Ask a flag, and why it answers so.

    Its value, variant and reason, the rule that decided, and why those before it did not.
    """
    from upshot.services.flag_answer import answer

    store, new_salt = _opened(directory)
    found = answer(store, key, _context(unit, context), new_salt, _moment(at))
    _show(as_json, lambda: _answer_json(found), lambda: _print_answer(key, found))


@command.command("diff", epilog="Example: upshot flag diff flags")
@DIRECTORY
@AS_JSON
@click.pass_context
def diff_command(ctx: click.Context, directory: Path, as_json: bool) -> None:
    """Say what applying would change.

    Each edit with its class (safe, new phase, blocked), and the share of units that get another answer. Exit 2
    where applying would be refused.
    """
    from upshot.services.flag_diff import diff

    store, new_salt = _opened(directory)
    found = diff(store, new_salt, datetime.now(UTC))
    _show(as_json, lambda: _diff_json(found), lambda: _print_diff(directory, found))
    ctx.exit(2 if found.refused else 0)


@command.command("apply", epilog="Example: upshot flag apply flags")
@DIRECTORY
@AS_JSON
def apply_command(directory: Path, as_json: bool) -> None:
    """Put the files into force.

    Draws are given out and kept in ledger.json, beside the files. Nothing is written where an edit would spoil a
    running experiment.
    """
    from upshot.services.flag_diff import apply

    store, new_salt = _opened(directory)
    found, published = apply(store, new_salt, datetime.now(UTC))
    flags = len(published.ruleset.flag_keys)
    plain = _diff_json(found) | {"revision": published.revision, "flags": flags}
    _show(as_json, lambda: plain, lambda: _print_applied(found, published.revision, flags))


REASON = click.option("--reason", required=True, metavar="TEXT", help="Why; it is kept with who and when.")


@command.command("kill", epilog='Example: upshot flag kill new-checkout flags --reason "cards are refused"')
@click.argument("key")
@DIRECTORY
@REASON
@AS_JSON
def kill_command(key: str, directory: Path, reason: str, as_json: bool) -> None:
    """Turn a flag off for everybody, whatever the files say.

    Servers and the SDK hear it within seconds, also while the files hold a mistake. It stays off until it is
    revived; who, when and why are kept in kills.json, beside the files.
    """
    _switch("kill", key, directory, reason, as_json)


@command.command("revive", epilog='Example: upshot flag revive new-checkout flags --reason "mended in 1.4.2"')
@click.argument("key")
@DIRECTORY
@REASON
@AS_JSON
def revive_command(key: str, directory: Path, reason: str, as_json: bool) -> None:
    """Give a flag that was killed back to what the files say.

    Its monitoring, where it has any, begins anew: what killed it is not counted again.
    """
    _switch("revive", key, directory, reason, as_json)


SWITCHED = {
    ("kill", True): "is off for everybody, whatever the files say",
    ("kill", False): "was off already",
    ("revive", True): "is as the files say again",
    ("revive", False): "was not killed: it is as the files say",
}


def _switch(action: Literal["kill", "revive"], key: str, directory: Path, reason: str, as_json: bool) -> None:
    from upshot.services.flag_switch import switch
    from upshot.store.kill_file import Switching

    entry = Switching(flag=key, action=action, at=datetime.now(UTC), actor=who(), reason=reason)
    changed = switch(_opened(directory)[0], entry)
    plain = {"flag": key, "action": action, "changed": changed}
    _show(as_json, lambda: plain, lambda: click.echo(f"{key} {SWITCHED[action, changed]}"))


def _opened(directory: Path) -> "tuple[FlagDirectory, Callable[[], str]]":
    from upshot.bootstrap import new_salt
    from upshot.store.flag_files import FlagDirectory

    return FlagDirectory(directory), new_salt


def _moment(text: str | None) -> datetime:
    if text is None:
        return datetime.now(UTC)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = datetime.min  # noqa: DTZ901  -- no offset either
    if at.tzinfo is None:
        raise InputError(f"at is {text!r}: give a time with its offset, such as 2026-12-01T09:00:00Z")
    return at


def _context(unit: str | None, text: str | None) -> dict[str, Any]:
    try:
        context = json.loads(text) if text else {}
    except (ValueError, RecursionError) as error:
        raise InputError(f'context is no JSON ({error}): give an object, such as {{"beta": true}}') from None
    if not isinstance(context, Mapping):
        raise InputError(f'context is {text}: give a JSON object, such as {{"beta": true}}')
    return {**context, **({} if unit is None else {"targetingKey": unit})}


def _show(as_json: bool, plain: Callable[[], Any], print_it: Callable[[], None]) -> None:
    if as_json:
        click.echo(json.dumps(plain(), indent=2, ensure_ascii=False, allow_nan=False))
    else:
        print_it()


def _lint_json(found: "Lint") -> dict[str, Any]:
    return {
        "flags": {key: {"words": list(words)} for key, words in found.words.items()},
        "remarks": [
            {"about": remark.about, "kind": remark.kind, "sentence": remark.sentence}
            for remark in found.remarks
        ],
    }


def _print_lint(found: "Lint") -> None:
    for key, words in found.words.items():
        flag = found.flags.flags[key]
        click.secho(f"{key} ({flag.type})", bold=True)
        for line in words:
            click.echo(f"  {line}")
    if found.remarks:
        click.echo("\nTo look at:" if found.words else "To look at:")
    for remark in found.remarks:
        click.echo(f"  {remark.about}: {remark.sentence}")
    if not found.words:
        click.echo("there are no flags: write one, such as flags: {new-nav: {enabled: true, percentage: 10}}")


def _answer_json(found: "Answer") -> dict[str, Any]:
    evaluation = found.evaluation
    metadata = {
        name: dict(value) if isinstance(value, Mapping) else value
        for name, value in evaluation.metadata.items()
    }
    return {
        "value": evaluation.value,
        "variant": evaluation.variant,
        "reason": evaluation.reason,
        "error_code": evaluation.error_code,
        "error_message": evaluation.error_message,
        "metadata": metadata,
        "because": found.because,
        "passed": dict(found.passed),
        "drawn": found.drawn,
    }


def _print_answer(key: str, found: "Answer") -> None:
    evaluation = found.evaluation
    value = (
        "the caller's default"
        if evaluation.variant is None
        else json.dumps(evaluation.value, ensure_ascii=False)
    )
    click.secho(f"{key}: {value}", bold=True)
    variant = evaluation.variant or "none"
    rule = evaluation.metadata.get("rule")
    click.echo(f"  variant {variant}, reason {evaluation.reason}" + (f", rule {rule}" if rule else ""))
    if evaluation.error_message:
        click.echo(f"  {evaluation.error_code}: {evaluation.error_message}")
    if found.because:
        click.echo(f"  because {found.because}")
    for name, why in found.passed.items():
        click.echo(f"  not {name}: {why}")
    if not found.drawn:
        click.echo("  this draw was not given out yet: another may be when the flags are applied")


def _diff_json(found: "Diff") -> dict[str, Any]:
    return {
        "first": found.first,
        "refused": bool(found.refused),
        "edits": [
            {"flag": edit.flag, "rule": edit.rule, "kind": edit.kind, "sentence": edit.sentence}
            for edit in found.edits
        ],
        "moves": [{"flag": move.flag, "rule": move.rule, "share": move.share} for move in found.moves],
    }


KINDS = {"safe": "safe", "new_phase": "new phase", "blocked": "blocked"}


def _print_diff(directory: Path, found: "Diff") -> None:
    if found.first:
        click.echo("Nothing is in force yet: all of it is new.")
    elif not found.edits:
        click.echo("Nothing was edited since the flags were applied.")
    _print_edits(found)
    if found.refused:
        click.echo(
            f"\n{len(found.refused)} of {len(found.edits)} edits would be refused, and nothing applied."
        )
    elif found.first or found.edits:
        click.echo(f"\nPut it into force by: upshot flag apply {directory}")


def _print_edits(found: "Diff") -> None:
    for edit in found.edits:
        click.echo(f"  {KINDS[edit.kind]:9}  {edit.sentence}")
    for move in found.moves:
        click.echo(f"  {'units':9}  flag {move.flag}, rule {move.rule}: {_percent(move.share)} of those it is for"
                   " get another answer")  # fmt: skip


def _percent(share: float) -> str:
    return "less than 0.01%" if share < 0.0001 else f"{100 * share:.4g}%"


def _print_applied(found: "Diff", revision: str, flags: int) -> None:
    _print_edits(found)
    what = "nothing was edited" if not (found.first or found.edits) else "ledger.json holds the draws"
    click.echo(f"{flags} {'flag is' if flags == 1 else 'flags are'} in force as revision {revision}; {what}")
