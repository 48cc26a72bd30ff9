"""`upshot user`: people who come in with a password."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from upshot.doors.cli.control import AS_JSON, DATA, REASON, STORE, opened, show, who

if TYPE_CHECKING:
    from upshot.services.users import User

EPILOG = """\b
Examples:
  upshot user create ann@example.org --role admin
  upshot user list
  upshot user disable bob@example.org --reason "he left"
"""

ROLE = "viewer (reads), analyst (also looks and notes), editor (also starts and decides), admin (also gives access)."


@click.group("user", epilog=EPILOG)
def command() -> None:
    """Users: people who come in with a name and a password. There is none before you create one."""


@command.command("create", epilog="Example: upshot user create ann@example.org --role admin")
@click.argument("name")
@click.option("--role", required=True, metavar="ROLE", help=ROLE)
@REASON
@DATA
@STORE
@AS_JSON
def create_command(name: str, role: str, reason: str, data: Path, url: str | None, as_json: bool) -> None:
    """Make a user with a random password, which is shown once. The first one should be an admin."""
    from upshot.services import users

    with opened(data, url, made=True) as store:
        user, password = users.create(store, name, role, actor=who(), reason=reason)
    show(as_json, lambda: _plain(user) | {"password": password}, lambda: _shown(user, password))


@command.command("list", epilog="Example: upshot user list --json")
@DATA
@STORE
@AS_JSON
def list_command(data: Path, url: str | None, as_json: bool) -> None:
    """Show all users, disabled ones too."""
    from upshot.services import users

    with opened(data, url) as store:
        found = users.listed(store)
    show(as_json, lambda: {"users": [_plain(user) for user in found]}, lambda: _table(found))


@command.command("password", epilog="Example: upshot user password ann@example.org")
@click.argument("name")
@REASON
@DATA
@STORE
@AS_JSON
def password_command(name: str, reason: str, data: Path, url: str | None, as_json: bool) -> None:
    """Give a user another random password, shown once; their sessions end, and a lock is lifted."""
    from upshot.services import users

    with opened(data, url) as store:
        user, password = users.set_password(store, name, actor=who(), reason=reason)
    show(as_json, lambda: _plain(user) | {"password": password}, lambda: _shown(user, password))


@command.command("role", epilog="Example: upshot user role ann@example.org editor")
@click.argument("name")
@click.argument("role")
@REASON
@DATA
@STORE
@AS_JSON
def role_command(name: str, role: str, reason: str, data: Path, url: str | None, as_json: bool) -> None:
    """Give a user another role."""
    from upshot.services import users

    with opened(data, url) as store:
        user = users.set_role(store, name, role, actor=who(), reason=reason)
    show(as_json, lambda: _plain(user), lambda: f"{user.name} is {user.role} now")


@command.command("disable", epilog='Example: upshot user disable bob@example.org --reason "he left"')
@click.argument("name")
@REASON
@DATA
@STORE
@AS_JSON
def disable_command(name: str, reason: str, data: Path, url: str | None, as_json: bool) -> None:
    """Let a user in no more; their sessions end at once."""
    from upshot.services import users

    with opened(data, url) as store:
        user = users.disable(store, name, actor=who(), reason=reason)
    show(as_json, lambda: _plain(user), lambda: f"{user.name} is disabled, and what they had open has ended")


@command.command("enable", epilog="Example: upshot user enable bob@example.org")
@click.argument("name")
@REASON
@DATA
@STORE
@AS_JSON
def enable_command(name: str, reason: str, data: Path, url: str | None, as_json: bool) -> None:
    """Let a disabled user in again, with the password from before."""
    from upshot.services import users

    with opened(data, url) as store:
        user = users.enable(store, name, actor=who(), reason=reason)
    show(as_json, lambda: _plain(user), lambda: f"{user.name} may come in again")


def _plain(user: "User") -> dict[str, Any]:
    return {
        "name": user.name,
        "role": user.role,
        "created_at": user.created_at.isoformat(),
        "disabled_at": user.disabled_at.isoformat() if user.disabled_at else None,
    }


def _shown(user: "User", password: str) -> str:
    return (
        f"The password of {user.name} ({user.role}):\n\n  {password}\n\n"
        "It is shown only now; they can change it by the API, and you by upshot user password."
    )


def _table(found: "tuple[User, ...]") -> str:
    if not found:
        return "There are no users: upshot user create NAME --role admin"
    width = max(len("name"), *(len(user.name) for user in found))
    lines = [f"{'name':<{width + 2}}{'role':<9}{'created':<18}disabled"]
    lines += [
        f"{user.name:<{width + 2}}{user.role:<9}{user.created_at:%Y-%m-%d %H:%M}  "
        f"{f'{user.disabled_at:%Y-%m-%d %H:%M}' if user.disabled_at else ''}".rstrip()
        for user in found
    ]
    return "\n".join(lines)
