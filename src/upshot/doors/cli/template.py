"""`upshot template`: worked experiments to begin with, one for each type."""

from typing import TYPE_CHECKING, Any

import click

from upshot.doors.cli.control import AS_JSON, show

if TYPE_CHECKING:
    from upshot.formats.templates import Template

EPILOG = """\b
Examples:
  upshot template list
  upshot template show onboarding
  upshot template show viral > experiments/invitations.yaml
"""


@click.group("template", epilog=EPILOG)
def command() -> None:
    """Worked experiments to copy, one for each type: hypothesis, metrics, limits, rollback, and what goes wrong."""


@command.command("list", epilog="Example: upshot template list")
@AS_JSON
def list_command(as_json: bool) -> None:
    """Name every template and say what it answers."""
    from upshot.formats.templates import templates

    known = templates()
    width = max(map(len, known))
    show(
        as_json,
        lambda: {"templates": [_plain(one) for one in known.values()]},
        lambda: "\n".join(f"{name:<{width}}  {one.about}" for name, one in known.items()),
    )


@command.command("show", epilog="Example: upshot template show pricing")
@click.argument("name")
@AS_JSON
def show_command(name: str, as_json: bool) -> None:
    """Print a template as the file of an experiment, with what to watch out for above it."""
    from upshot.formats.templates import filled, template

    worked = template(name)
    show(as_json, lambda: _plain(worked), lambda: filled(worked).rstrip())


def _plain(worked: "Template") -> dict[str, Any]:
    from upshot.formats.experiments import design_to_mapping

    return {
        "name": worked.name,
        "about": worked.about,
        "watch": list(worked.watch),
        "sized": dict(worked.sized),
        "experiment": design_to_mapping(worked.design),
    }
