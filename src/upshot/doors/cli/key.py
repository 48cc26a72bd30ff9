"""`upshot key`: API keys of servers, browsers, phones, and programs that use the API."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from upshot.doors.cli.control import AS_JSON, DATA, REASON, STORE, opened, show, who

if TYPE_CHECKING:
    from upshot.services.keys import Key

EPILOG = """\b
Examples:
  upshot key create --role server --source shop
  upshot key create --role agent --source planner
  upshot key list
  upshot key revoke 7f3a9c1e02b4 --reason "it was in a log"
"""


@click.group("key", epilog=EPILOG)
def command() -> None:
    """API keys of programs: each has a role, which says what it opens."""


@command.command("create", epilog="Example: upshot key create --role server --source shop")
@click.option(
    "--role",
    "--kind",
    "kind",
    required=True,
    metavar="ROLE",
    help="server or client (an SDK on servers; in browsers and on phones); viewer, analyst, editor, admin or agent "
    "(opens the API).",
)
@click.option("--source", required=True, metavar="NAME", help="What will come in with it, such as shop.")
@REASON
@DATA
@STORE
@AS_JSON
def create_command(kind: str, source: str, reason: str, data: Path, url: str | None, as_json: bool) -> None:
    """Give out a key. It is shown once; the store keeps only its hash.

    A source may have several keys: create the new one, put it in use, then revoke the old one.
    """
    from upshot.services import keys

    with opened(data, url, made=True) as store:
        key, secret = keys.create(store, kind, source, actor=who(), reason=reason)
    show(as_json, lambda: _plain(key) | {"key": secret}, lambda: _created(key, secret))


@command.command("list", epilog="Example: upshot key list --json")
@DATA
@STORE
@AS_JSON
def list_command(data: Path, url: str | None, as_json: bool) -> None:
    """Show all keys, revoked ones too; never their secrets."""
    from upshot.services import keys

    with opened(data, url) as store:
        found = keys.listed(store)
    show(as_json, lambda: {"keys": [_plain(key) for key in found]}, lambda: _table(found))


@command.command("revoke", epilog='Example: upshot key revoke 7f3a9c1e02b4 --reason "it was in a log"')
@click.argument("key_id", metavar="ID")
@REASON
@DATA
@STORE
@AS_JSON
def revoke_command(key_id: str, reason: str, data: Path, url: str | None, as_json: bool) -> None:
    """Take a key back: it opens nothing from now on."""
    from upshot.services import keys

    with opened(data, url) as store:
        key = keys.revoke(store, key_id, actor=who(), reason=reason)
    show(
        as_json,
        lambda: _plain(key),
        lambda: f"Key {key.id} of {key.source} is revoked: it opens nothing any more",
    )


def _plain(key: "Key") -> dict[str, Any]:
    return {
        "id": key.id,
        "kind": key.kind,
        "source": key.source,
        "created_at": key.created_at.isoformat(),
        "revoked_at": key.revoked_at.isoformat() if key.revoked_at else None,
    }


def _created(key: "Key", secret: str) -> str:
    return (
        f"The {key.kind} key {key.id} of {key.source}:\n\n  {secret}\n\n"
        "It is shown only now: keep it where secrets are kept."
    )


def _table(found: "tuple[Key, ...]") -> str:
    if not found:
        return "There are no keys: upshot key create --role server --source shop"
    width = max(len("source"), *(len(key.source) for key in found))
    lines = [f"{'id':<14}{'role':<9}{'source':<{width + 2}}{'created':<18}revoked"]
    lines += [
        f"{key.id:<14}{key.kind:<9}{key.source:<{width + 2}}{key.created_at:%Y-%m-%d %H:%M}  "
        f"{f'{key.revoked_at:%Y-%m-%d %H:%M}' if key.revoked_at else ''}".rstrip()
        for key in found
    ]
    return "\n".join(lines)
