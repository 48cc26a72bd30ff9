"""Write the command reference from the commands themselves: `make docs`. With --check: say whether it is fresh."""

import os
import sys
from pathlib import Path

import click

from upshot.doors.cli.main import COMMANDS, cli

TARGET = Path(__file__).parent / "cli.md"
HEAD = "# Commands\n\nMade by `make docs` from the commands' own help; a test holds it fresh.\n"


def reference() -> str:
    """The help of every command, as Markdown."""
    os.environ["COLUMNS"] = "100"
    parent = click.Context(cli, info_name="upshot", max_content_width=100, terminal_width=100)
    parts = [HEAD]
    for name in COMMANDS:
        command = cli.get_command(parent, name)
        if command is None:
            raise SystemExit(f"{name} is listed and does not exist")
        parts.append(f"## upshot {name}\n\n{COMMANDS[name]}\n\n{_help(command, name, parent)}")
    return "\n".join(parts)


def _help(command: click.Command, name: str, parent: click.Context) -> str:
    """The help of a command, and below it that of its own commands."""
    context = click.Context(command, info_name=name, parent=parent, max_content_width=100, terminal_width=100)
    text = "\n".join(line.rstrip() for line in command.get_help(context).splitlines())
    below = command.commands if isinstance(command, click.Group) else {}
    parts = [f"```text\n{text}\n```\n", *(_help(inner, called, context) for called, inner in below.items())]
    return "\n".join(parts)


def main() -> int:
    """Write the reference, or with --check compare it; 1 where it is stale."""
    text = reference()
    if "--check" in sys.argv[1:]:
        fresh = TARGET.exists() and TARGET.read_text(encoding="utf-8") == text
        print("docs/cli.md is fresh" if fresh else "docs/cli.md is stale: run make docs")
        return 0 if fresh else 1
    TARGET.write_text(text, encoding="utf-8")
    print(f"wrote {TARGET}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
