"""`upshot flag`: look through flags, ask them, see what an edit does, put it into force."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from upshot.doors.cli.control import who
from upshot.doors.cli.flag_place import DATA, DIRECTORY, STORE, Asked, opened, put_by
from upshot.errors import InputError

if TYPE_CHECKING:
    from upshot.services.flag_answer import Answer
    from upshot.services.flag_diff import Diff
    from upshot.services.flag_lint import Lint

EPILOG = """\b
Examples:
  upshot flag lint
  upshot flag eval new-checkout --unit user-1 --context '{"beta": true}'
  upshot flag diff
  upshot flag apply
  upshot flag kill new-checkout --reason "cards are refused"
  upshot flag apply flags --data upshot-data
"""

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
AT = click.option("--at", metavar="TIME", help="As at this time, such as 2026-12-01T09:00:00Z [now].")


@click.group("flag", epilog=EPILOG)
def command() -> None:
    """Flags in the YAML files of a directory, or in the control store.

    Without a DIRECTORY they are those of the store that --data or --store names, else of the files in ./flags, and
    where there are none, of the store in $UPSHOT_STORE or upshot-data.
    """


@command.command("lint", epilog="Example: upshot flag lint flags")
@DIRECTORY
@DATA
@STORE
@AT
@AS_JSON
def lint_command(
    directory: Path | None, data: Path | None, url: str | None, at: str | None, as_json: bool
) -> None:
    """Say in words what flags mean.

    Every mistake of every file is named at once (exit 2). What is allowed but hardly meant is told: flags that
    expired, rules that are never reached, segments that nothing uses.
    """
    from upshot.bootstrap import new_salt
    from upshot.services.flag_lint import lint

    with opened(directory, data, url) as kept:
        found = lint(kept.flags, new_salt, _moment(at))
    _show(as_json, lambda: _lint_json(found), lambda: _print_lint(found))


@command.command(
    "eval", epilog="Example: upshot flag eval new-checkout flags --unit user-1 --context '{\"beta\": true}'"
)
@click.argument("key")
@DIRECTORY
@DATA
@STORE
@click.option("--unit", metavar="ID", help="The targetingKey of the context.")
@click.option("--context", metavar="JSON", help="Attributes of who asks, as a JSON object.")
@AT
@AS_JSON
def eval_command(
    key: str,
    directory: Path | None,
    data: Path | None,
    url: str | None,
    unit: str | None,
    context: str | None,
    at: str | None,
    as_json: bool,
) -> None:
    """Ask a flag, and why it answers so.

    Its value, variant and reason, the rule that decided, and why those before it did not.
    """
    from upshot.bootstrap import new_salt
    from upshot.services.flag_answer import answer

    with opened(directory, data, url) as kept:
        found = answer(kept.flags, key, _context(unit, context), new_salt, _moment(at))
    _show(as_json, lambda: _answer_json(found), lambda: _print_answer(key, found))


@command.command("diff", epilog="Example: upshot flag diff flags")
@DIRECTORY
@DATA
@STORE
@AS_JSON
@click.pass_context
def diff_command(
    ctx: click.Context, directory: Path | None, data: Path | None, url: str | None, as_json: bool
) -> None:
    """Say what applying would change.

    Each edit with its class (safe, new phase, blocked), and the share of units that get another answer. Exit 2
    where applying would be refused. With a DIRECTORY and a store: what bringing the files into the store would change.
    """
    from upshot.bootstrap import new_salt
    from upshot.services.flag_diff import diff
    from upshot.services.flag_import import compare

    with opened(directory, data, url) as kept:
        revision = None
        if kept.files is not None and kept.store is not None:
            proposed = compare(kept.store, kept.files, new_salt, datetime.now(UTC))
            found, revision = proposed.diff, proposed.revision
        else:
            found = diff(kept.flags, new_salt, datetime.now(UTC))
    plain = _diff_json(found) | ({} if revision is None else {"revision": revision})
    _show(as_json, lambda: plain, lambda: _print_diff(put_by(directory, data, url, revision), found))
    ctx.exit(2 if found.refused else 0)


@command.command("apply", epilog="Example: upshot flag apply flags --data upshot-data")
@DIRECTORY
@DATA
@STORE
@click.option(
    "--since",
    type=click.IntRange(0),
    metavar="REVISION",
    help="Not over what was edited in the store after it.",
)
@click.option("--reason", default="", metavar="TEXT", help="Why, for the audit chain of the store.")
@AS_JSON
def apply_command(
    directory: Path | None, data: Path | None, url: str | None, since: int | None, reason: str, as_json: bool
) -> None:
    """Put flags into force.

    Draws are given out and kept in ledger.json, beside the files, or in the store. Nothing is written where an edit
    would spoil a running experiment. With a DIRECTORY and a store the files are brought into the store: flags of the
    same name are replaced, others stay. --since takes the revision that diff told.
    """
    from upshot.bootstrap import new_salt
    from upshot.services.flag_diff import apply
    from upshot.services.flag_import import bring

    now = datetime.now(UTC)
    with opened(directory, data, url, made=True) as kept:
        if kept.files is not None and kept.store is not None:
            found, published = bring(
                kept.store, kept.files, new_salt, now, actor=who(), reason=reason, since=since
            )
        else:
            found, published = apply(kept.flags, new_salt, now)
    flags = len(published.ruleset.flag_keys)
    where = "ledger.json" if kept.store is None else "the store"
    plain = _diff_json(found) | {"revision": published.revision, "flags": flags}
    _show(as_json, lambda: plain, lambda: _print_applied(found, published.revision, flags, where))


REASON = click.option("--reason", required=True, metavar="TEXT", help="Why; it is kept with who and when.")


@command.command("kill", epilog='Example: upshot flag kill new-checkout flags --reason "cards are refused"')
@click.argument("key")
@DIRECTORY
@DATA
@STORE
@REASON
@AS_JSON
def kill_command(
    key: str, directory: Path | None, data: Path | None, url: str | None, reason: str, as_json: bool
) -> None:
    """Turn a flag off for everybody, whatever is written.

    Servers and the SDK hear it within seconds, also while files hold a mistake. It stays off until it is revived.
    Who, when and why are kept in kills.json, beside the files, and in the audit chain of the store.
    """
    _switch("kill", key, Asked(directory, data, url), reason, as_json)


@command.command("revive", epilog='Example: upshot flag revive new-checkout flags --reason "mended in 1.4.2"')
@click.argument("key")
@DIRECTORY
@DATA
@STORE
@REASON
@AS_JSON
def revive_command(
    key: str, directory: Path | None, data: Path | None, url: str | None, reason: str, as_json: bool
) -> None:
    """Give a flag that was killed back to what is written.

    Its monitoring, where it has any, begins anew: what killed it is not counted again.
    """
    _switch("revive", key, Asked(directory, data, url), reason, as_json)


SWITCHED = {
    ("kill", True): "is off for everybody, whatever is written",
    ("kill", False): "was off already",
    ("revive", True): "is as it is written again",
    ("revive", False): "was not killed: it is as it is written",
}


def _switch(action: Literal["kill", "revive"], key: str, asked: "Asked", reason: str, as_json: bool) -> None:
    """Turn a flag off or back; of files before a store is opened, which might not be there to be asked."""
    from upshot.services.flag_switch import switch
    from upshot.store.kill_file import Switching

    entry = Switching(flag=key, action=action, at=datetime.now(UTC), actor=who(), reason=reason)
    files = asked.files()
    if files is not None:
        changed = switch(files, entry)
        note = asked.recorded(files)
    else:
        with opened(*asked) as kept:
            changed, note = switch(kept.flags, entry), None
    plain = {"flag": key, "action": action, "changed": changed, **({"note": note} if note else {})}
    said = f"{key} {SWITCHED[action, changed]}" + (f"\n  {note}" if note else "")
    _show(as_json, lambda: plain, lambda: click.echo(said))


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


def _print_diff(put_by: str, found: "Diff") -> None:
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
        click.echo(f"\nPut it into force by: {put_by}")


def _print_edits(found: "Diff") -> None:
    for edit in found.edits:
        click.echo(f"  {KINDS[edit.kind]:9}  {edit.sentence}")
    for move in found.moves:
        click.echo(f"  {'units':9}  flag {move.flag}, rule {move.rule}: {_percent(move.share)} of those it is for"
                   " get another answer")  # fmt: skip


def _percent(share: float) -> str:
    return "less than 0.01%" if share < 0.0001 else f"{100 * share:.4g}%"


def _print_applied(found: "Diff", revision: str, flags: int, where: str) -> None:
    _print_edits(found)
    what = "nothing was edited" if not (found.first or found.edits) else f"{where} holds the draws"
    click.echo(f"{flags} {'flag is' if flags == 1 else 'flags are'} in force as revision {revision}; {what}")
