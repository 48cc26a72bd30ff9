"""`upshot demo`: a shop whose truth is known, live: a real server, the real SDK, two weeks in minutes."""

import signal
import sys
from contextlib import closing
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from upshot.model.decision import ExperimentVerdict
    from upshot.services.demo import Found, Serving, World
    from upshot.store.control import ControlStore

EPILOG = """\b
Examples:
  upshot demo
  upshot demo --exit --port 0 --out /tmp/shop
  upshot demo --files
"""


@click.command("demo", epilog=EPILOG)
@click.option(
    "--out",
    default="upshot-demo",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Where all its files go [upshot-demo].",
)
@click.option(
    "--exit", "ends", is_flag=True, help="End after the verdicts: 0 if all are the expected ones, else 1."
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8790,
    help="Of its server; 0 takes any that is free [8790].",
)
@click.option("--files", is_flag=True, help="Without a server: six data files, analysed by `upshot analyze`.")
@click.option("--seed", type=int, help="Of all chance; another seed, other visitors.")
def command(out: Path, ends: bool, port: int, files: bool, seed: int | None) -> int:
    """Six experiments of a made-up bicycle shop, whose truth is known.

    A server is started and driven over HTTP by the SDK: a winner, a harmful change that a guardrail turns off, visitors
    that get lost, a flat test, an A/A and a novelty that fades. One clock, which server and SDK share, lets 14 days
    pass in a minute or so. Then the verdicts are printed beside those that the truth deserves, and the server stays up
    until Ctrl-C. What an earlier demo left in the folder is replaced.
    """
    from upshot.services.demo import claim

    if files:
        from upshot.doors.cli.demo_files import analyse_files

        claim(out)
        return analyse_files(out, seed)
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, _leave)
    return _live(out, port, seed, ends)


def _leave(number: int, _: FrameType | None) -> None:
    """End as on an error, so that the server ends, too."""
    sys.exit(128 + number)


def _live(out: Path, port: int, seed: int | None, ends: bool) -> int:
    from rich.console import Console

    from upshot.bootstrap import open_store, system_clock
    from upshot.services.demo import create_world, serving, start_experiments, verdicts
    from upshot.simulate.shop.visitors import SEED

    console = Console(highlight=False)
    world = create_world(out, system_clock(), SEED if seed is None else seed)
    with (
        serving(world, port) as server,
        closing(open_store(world.data, made=True, clock=world.clock.now)) as store,
    ):
        console.print(
            f"A bicycle shop with six experiments, at {server.url}; its files are in {out}/\n", soft_wrap=True
        )
        start_experiments(world, store)
        _pass_days(world, server, store, console)
        found = tuple(verdicts(world, store))
        console.print(_table(found))
        wrong = [one.known.flag for one in found if not one.is_right]
        console.print(_summed_up(wrong, len(found)), soft_wrap=True)
        if not ends:
            world.clock.let_go()
            _stay(world, server, console)
    return 1 if wrong else 0


def _pass_days(world: "World", server: "Serving", store: "ControlStore", console: "Console") -> None:
    """Let the days pass, with a look at each midnight, and tell what happens."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from upshot.services.demo import application, is_over, killed, live, settle, standing
    from upshot.simulate.shop.visitors import TICKS

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    before: dict[str, str] = {}
    with application(world, server) as client, Progress(*columns, console=console) as progress:
        passing = progress.add_task(f"day 1 of {world.days}", total=world.days * TICKS + 1)
        for over in live(world, client):
            progress.advance(passing)
            day = (over - world.start).days
            if not day or not is_over(over):
                continue
            settle(world, store, client)
            now = _news(standing(store), killed(world))
            for flag, said in now.items():
                if said[0] != before.get(flag):
                    progress.console.print(f"day {day:>2}  {flag}: {': '.join(said)}", soft_wrap=True)
            before = {flag: said[0] for flag, said in now.items()}
            progress.update(passing, description=f"day {min(day + 1, world.days)} of {world.days}")


def _news(verdicts: "dict[str, ExperimentVerdict]", off: dict[str, str]) -> dict[str, tuple[str, str]]:
    """What is new when it is another than before, by experiment, and its sentence; flags that were turned off first."""
    kills = {
        f"{flag}, turned off": (f"by {why.partition(': ')[0]}", why.partition(": ")[2])
        for flag, why in off.items()
    }
    return kills | {flag: (_words(one.verdict, one.cause), one.headline) for flag, one in verdicts.items()}


def _table(found: "tuple[Found, ...]") -> "Table":
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 1, 0))
    for name in ("experiment", "what is true", "expected", "found"):
        table.add_column(name)
    for one in found:
        verdict = one.taken.findings.verdict
        told = f"{_words(verdict.verdict, verdict.cause)}\n{verdict.headline}"
        table.add_row(one.known.flag, one.known.truth, _words(one.known.verdict, one.known.cause), told)
    return table


def _summed_up(wrong: list[str], count: int) -> str:
    if not wrong:
        return "All verdicts are the expected ones."
    are = "is not the expected one" if len(wrong) == 1 else "are not the expected ones"
    return f"{len(wrong)} of {count} verdicts {are}: {', '.join(wrong)}"


def _words(verdict: str, cause: str) -> str:
    return f"{verdict} · {cause.replace('_', ' ')}"


def _stay(world: "World", server: "Serving", console: "Console") -> None:
    """Serve on until Ctrl-C."""
    folder = world.folder
    console.print(
        f"\nThe server goes on at {server.url}, with the key {server.key}; Ctrl-C ends it. In another terminal:\n"
        f"  upshot look EXP-2026-001 --data {folder}/data --metrics {folder}/metrics\n"
        f"  upshot events stats --data {folder}/data\n"
        f"  upshot audit list --data {folder}/data\n"
        f"Reports are in {folder}/reports/, such as {folder}/reports/checkout.html",
        soft_wrap=True,
    )
    try:
        server.wait()
    except KeyboardInterrupt:
        console.print("\nended")
