"""`upshot demo`: six experiments whose truth is known, written as files and analysed as a user would."""

from pathlib import Path
from typing import Any

import click

from upshot.errors import InputError

EPILOG = """\b
Example:
  upshot demo --out upshot-demo
"""


@click.command("demo", epilog=EPILOG)
@click.option(
    "--out", default="upshot-demo", metavar="FOLDER", help="Where files and reports go [upshot-demo]."
)
@click.option("--seed", type=int, help="Of all chance; another seed, other worlds.")
def command(out: str, seed: int | None) -> int:
    """A small bicycle shop with a winner, a harmful change, lost visitors, a flat test, an A/A and a novelty.

    The exit code is 0 only if every verdict is the one that the truth deserves.
    """
    from rich.console import Console
    from rich.table import Table

    from upshot.simulate.demo import SEED, write_demo

    folder = Path(out)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"out is {out}, which is a file: name a folder")
    console = Console(highlight=False)
    table = Table(box=None, pad_edge=False)
    for name in ("experiment", "what is true", "verdict"):
        table.add_column(name)
    wrong = 0
    for demo in write_demo(folder, SEED if seed is None else seed):
        story = demo.story
        report = demo.data.parent / "report.html"
        arguments = ["analyze", str(demo.data), *story.options, "--plan", str(demo.plan), "--report", str(report),
                     "--report", str(report.with_suffix(".md")), "--no-looks"]  # fmt: skip
        console.print(f"[dim]$ upshot {' '.join(arguments)}[/dim]")
        verdict, cause, headline = _analyze(arguments)
        right = (verdict, cause) == (story.verdict, story.cause)
        wrong += not right
        said = f"{verdict} · {cause.replace('_', ' ')}\n{headline}"
        missed = "" if right else f"\nexpected {story.verdict} · {story.cause}"
        table.add_row(story.name, story.truth, said + missed)
    console.print("\n", table, sep="")
    console.print(
        f"\nData, plans and reports are in {folder}/; open {folder}/1-one-page-checkout/report.html\n"
    )
    return 1 if wrong else 0


def _analyze(arguments: list[str]) -> tuple[str, str, str]:
    """Run the command as a user would, and read its JSON."""
    import io
    import json
    from contextlib import redirect_stdout

    from upshot.doors.cli.main import cli

    text = io.StringIO()
    with redirect_stdout(text):
        cli.main([*arguments, "--json"], standalone_mode=False)
    found: dict[str, Any] = json.loads(text.getvalue())["verdict"]
    return found["verdict"], found["cause"], found["headline"]
