"""The demo's live world: a real server and the real SDK, in a shop whose days pass in seconds.

One clock, in a file, tells the time to all of them. It stands while ten minutes of the shop happen and their messages
are sent, and goes on when the server has answered them: so the world never outruns the machine, and every run is alike.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import rmtree
from time import monotonic, sleep

from upshot.errors import InputError, UnavailableError
from upshot.formats.plans import read_plan
from upshot.model.decision import ExperimentVerdict
from upshot.model.experiment import Design
from upshot.report.document import markdown
from upshot.report.page import html
from upshot.services.jobs import all_done
from upshot.services.live import Taken, given_again
from upshot.simulate.clock import SharedClock
from upshot.simulate.shop.experiments import DAYS, EXPERIMENTS, VISITORS, Known, write_shop
from upshot.simulate.shop.visitors import SEED, TICKS, Shop
from upshot.store import experiments, jobs, looks
from upshot.store.control import ControlStore
from upshot.store.flag_files import FlagDirectory
from upshot_sdk import Client
from upshot_sdk.evaluation import DISABLED

ACTOR = "upshot demo"
MARK = ".upshot-demo"
"""The file by which a folder of the demo is known."""
PATIENCE = 300.0
"""Seconds in which the server must start, take what is sent, or have looked at a day: for a machine with much to do."""

_LOOKING = ("guardrails", "looks")  # the jobs of the server that are waited for
_OURS = (
    "flags", "metrics", "plans", "data", "reports", "sdk", "clock", "server.log",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Where the demo lives.

    Attributes:
        folder: of all its files. start: the midnight at which its first day begins. days: how many there are.
        visitors: who come in all days together. seed: of all chance. clock: that all its processes share.
    """

    folder: Path
    start: datetime
    days: int
    visitors: int
    seed: int
    clock: SharedClock

    @property
    def data(self) -> Path:
        """The data directory of its server."""
        return self.folder / "data"


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """A server that runs: its address, the key that opens everything, its process."""

    url: str
    key: str
    process: "subprocess.Popen[str]"

    def wait(self) -> None:
        """Until it ends."""
        self.process.wait()


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What was found of an experiment, beside what is known."""

    known: Known
    taken: Taken

    @property
    def is_right(self) -> bool:
        """Whether it is what the truth deserves."""
        verdict = self.taken.findings.verdict
        return (verdict.verdict, verdict.cause) == (self.known.verdict, self.known.cause)


def create_world(folder: Path, now: datetime, seed: int = SEED, visitors: int = VISITORS) -> World:
    """The shop's files in a folder, and a clock at the beginning of its first day. What an earlier demo left goes.

    Its days are the last ones before today, so that its past is the past when its clock is let go.

    Args:
        now: by the system's clock. seed: of all chance. visitors: who come in all days together.

    Raises:
        InputError: the folder holds what is not the demo's, or is no folder.
    """
    claim(folder)
    for name in _OURS:
        path = folder / name
        if path.is_dir():
            rmtree(path)
        else:
            path.unlink(missing_ok=True)
    write_shop(folder)
    (folder / "reports").mkdir()
    settled = now.astimezone(UTC) - timedelta(hours=1)
    midnight = settled.replace(hour=0, minute=0, second=0, microsecond=0)
    start = midnight - timedelta(days=DAYS)
    return World(
        folder=folder,
        start=start,
        days=DAYS,
        visitors=visitors,
        seed=seed,
        clock=SharedClock.create(folder / "clock", start),
    )


def claim(folder: Path) -> None:
    """Make the folder the demo's.

    Raises:
        InputError: it holds what is not the demo's, or is no folder.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()) and not (folder / MARK).exists():
            raise InputError(f"out is {folder}, which holds other things than a demo: name a new folder")
        (folder / MARK).write_text("`upshot demo` may delete what it made here.\n", encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"out is {folder}, where no folder can be ({error.strerror}): name another"
        ) from None


@contextmanager
def serving(world: World, port: int) -> Iterator[Serving]:
    """`upshot serve` over the world's flags and data, by its clock, for as long as the block runs.

    Raises:
        InputError: it does not start; the message is its own.
    """
    clean = {name: value for name, value in os.environ.items() if not name.startswith("UPSHOT_")}
    environment = clean | {"UPSHOT_CLOCK": str(world.folder / "clock")}
    log = world.folder / "server.log"
    with log.open("wb") as errors:
        process = subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-m", "upshot", "serve", *_arguments(world, port)],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=environment,
        )
    try:
        assert process.stdout is not None
        told = process.stdout.readline()
        if not told:
            raise InputError(_last_words(log))
        about = json.loads(told)
        yield Serving(url=about["url"], key=about["server_key"], process=process)
    finally:
        process.terminate()
        try:
            process.communicate(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def _arguments(world: World, port: int) -> list[str]:
    """What the server is told. A day passes in seconds, so logs are sealed and brought into files more often."""
    folder = world.folder
    return [
        "--flags", f"{folder}/flags", "--metrics", f"{folder}/metrics", "--data", f"{world.data}", "--port", f"{port}",
        "--json", "--seal-every", "2", "--compact-every", "1",
    ]  # fmt: skip


def _last_words(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return lines[-1].removeprefix("upshot: ") if lines else f"the server did not start, and {log} is empty"


@contextmanager
def application(world: World, server: Serving) -> Iterator[Client]:
    """The shop's own SDK client, connected.

    Raises:
        UnavailableError: the server gives it no flags.
    """
    client = Client(
        server.url,
        server.key,
        start_timeout=PATIENCE,
        directory=world.folder / "sdk",
        clock=world.clock.seconds,
    )
    try:
        if client.ruleset is None:
            raise UnavailableError(f"the server gives no flags: {client.error}")
        yield client
    finally:
        client.close(1.0)


def live(world: World, client: Client) -> Iterator[datetime]:
    """Let the world's ticks pass, and one more without visitors; gives when each was over and had arrived.

    Raises:
        UnavailableError: the server does not take what is sent.
    """
    shop = Shop(client, world.visitors, world.days, world.seed)
    for tick in range(world.days * TICKS + 1):
        shop.happen(tick)
        if not client.flush(PATIENCE):
            raise UnavailableError(f"the server does not take events: {world.folder}/server.log says why")
        over = world.start + timedelta(days=(tick + 1) / TICKS)
        world.clock.move(over)
        yield over


def is_over(moment: datetime) -> bool:
    """Whether it is the tick after midnight, in which a server looks at the day before."""
    return moment.hour == 0 and 0 < moment.minute <= 10


def start_experiments(world: World, store: ControlStore) -> None:
    """Take the experiments up with their plans, which bind from now on."""
    with store.changing(ACTOR, "the shop opens") as change:
        for known in EXPERIMENTS:
            plan = read_plan(world.folder / "plans" / f"{known.flag}.yaml")
            made = experiments.create(change, Design(plan=plan, flag=known.flag, segments=("device",)))
            experiments.move(change, made.id, "running")


def settle(world: World, store: ControlStore, client: Client) -> None:
    """Wait until the server has looked at what is due now, and the SDK has heard of flags that were turned off.

    Raises:
        UnavailableError: it was not, in good time.
    """
    _wait(
        lambda: _is_looked_at(store, world.clock.now()),
        f"the server does not look at the experiments: {world.folder}/server.log says why",
    )
    off = killed(world)
    _wait(
        lambda: all(client.peek(key).reason == DISABLED for key in off),
        "the SDK does not hear that a flag is off",
    )


def _is_looked_at(store: ControlStore, now: datetime) -> bool:
    with store.reading() as connection:
        runs = [run for run in jobs.listed(connection) if run.name in _LOOKING]
    return len(runs) == len(_LOOKING) and all_done(runs, now)


def _wait(condition: Callable[[], bool], failed: str) -> None:
    deadline = monotonic() + PATIENCE
    while not condition():
        if monotonic() > deadline:
            raise UnavailableError(failed)
        sleep(0.1)


def standing(store: ControlStore) -> dict[str, ExperimentVerdict]:
    """What the last look at each experiment said, by its flag; those that were not looked at are left out."""
    with store.reading() as connection:
        last = {known.flag: looks.last(connection, known.id) for known in EXPERIMENTS}
    return {flag: look.verdict for flag, look in last.items() if look is not None}


def killed(world: World) -> dict[str, str]:
    """The flags that were turned off, each with who did it and why."""
    off = FlagDirectory(world.folder / "flags").read().kills.off
    return {key: f"{entry.actor}: {entry.reason}" for key, entry in off.items()}


def verdicts(world: World, store: ControlStore) -> Iterator[Found]:
    """What was found of each experiment, and a report of it in the folder."""
    for known in EXPERIMENTS:
        found = Found(known=known, taken=_last_look(store, known))
        for ending, written in ((".html", html), (".md", markdown)):
            path = world.folder / "reports" / f"{known.flag}{ending}"
            path.write_text(written(found.taken.findings), encoding="utf-8")
        yield found


def _last_look(store: ControlStore, known: Known) -> Taken:
    """The last look at an experiment, given again of what was kept.

    Raises:
        UnavailableError: the server took none.
    """
    with store.reading() as connection:
        last = looks.last(connection, known.id)
    if last is None:
        raise UnavailableError(f"the server did not look at {known.id}")
    return given_again(store, known.id, last.number, last.phase)
