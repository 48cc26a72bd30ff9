"""`upshot demo --files`: six experiments whose truth is known, written as files and analysed as a user would."""

from pathlib import Path
from typing import Any


def analyse_files(folder: Path, seed: int | None) -> int:
    """Write the files, analyse each with `upshot analyze`, and print a table; 1 where a verdict is not as expected."""
    from rich.console import Console
    from rich.table import Table

    from upshot.simulate.demo import SEED, write_demo

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
