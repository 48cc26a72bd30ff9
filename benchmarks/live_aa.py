"""A/A through the whole path: flags by HTTP, the SDK's exposures and events, the log, looks. How often is it wrong?

Each world is an experiment of its own on the same units: drawn afresh by its flag, with outcomes that no variant has
a part in. A round is one server with some worlds; `python -m benchmarks.live_aa` runs 1,000 of them.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from upshot.bootstrap import open_store
from upshot.formats.event_metrics import metrics_from_yaml
from upshot.model.metric import Metric
from upshot.model.plan import Plan
from upshot.services.live import Asked, live_look
from upshot_sdk import Client

KEYS = {"UPSHOT_SERVER_KEY": "server-key-0123456789", "UPSHOT_CLIENT_KEY": "client-key-0123456789"}
ALPHA = 0.05
SPREAD = 3.5
"""Standard errors of the simulation that are left to chance."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One world: the p-value of its primary, whether it was called significant, which checks failed, units."""

    p_value: float
    significant: bool
    failed: tuple[str, ...]
    units: int


@contextmanager
def serving(directory: Path, data: str = "data") -> Iterator[str]:
    """A server over ``flags`` and the data directory below a directory; gives its URL."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("UPSHOT_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "upshot", "serve", "--flags", str(directory / "flags"), "--data",
         str(directory / data), "--port", "0", "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=clean | KEYS,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["url"]
    finally:
        process.terminate()
        process.communicate()


def flag(world: int) -> str:
    """The flag of a world, as a person writes it."""
    return f"""\
  world-{world}:
    variants: {{control: a, treatment: b}}
    default: control
    rules:
    - id: everybody
      experiment: {{id: EXP-2026-{world:03d}, split: {{control: 50, treatment: 50}}}}
"""


def play(directory: Path, worlds: int, units: int, seed: int) -> None:
    """Expose every unit in every world and let a fifth of them buy in each, by the SDK over HTTP."""
    (directory / "flags").mkdir(parents=True)
    text = "flags:\n" + "".join(flag(world) for world in range(worlds))
    (directory / "flags" / "flags.yaml").write_text(text, encoding="utf-8")
    chance = random.Random(seed)
    with (
        serving(directory) as url,
        Client(url, KEYS["UPSHOT_SERVER_KEY"], start_timeout=30, directory=directory / "sdk") as client,
    ):
        people = [{"targetingKey": f"unit-{seed}-{unit}"} for unit in range(units)]
        for number, person in enumerate(people, 1):
            for world in range(worlds):
                client.evaluate(f"world-{world}", person, "a")
            _sent(client, number == units or not number % 20)
        for number, person in enumerate(
            people, 1
        ):  # once exposures are there: a request may overtake another
            for world in range(worlds):
                if chance.random() < 0.2:
                    client.track(f"Bought {world}", person)
            _sent(client, number == units or not number % 50)


def _sent(client: Client, due: bool) -> None:
    if due and not client.flush(600):
        raise RuntimeError("the server did not take what was sent within ten minutes")


def looked(directory: Path, worlds: int) -> Iterator[Outcome]:
    """The look at each world."""
    as_of = datetime.now(UTC) + timedelta(minutes=1)
    with closing(open_store(directory / "data", made=True)) as store:
        for world in range(worlds):
            name = "bought"
            definitions = metrics_from_yaml(
                f"metrics: {{{name}: {{kind: proportion, event: Bought {world}}}}}"
            )
            plan = Plan(
                metrics=(Metric(name=name, column=name),),
                split={"control": 1.0, "treatment": 1.0},
                alpha=ALPHA,
                minimum_days=1,
                planned_units=1,
                floor=0,
            )
            asked = Asked(
                data=directory / "data",
                experiment=f"EXP-2026-{world:03d}",
                as_of=as_of,
                definitions=definitions,
                plan=plan,
            )
            analysis = live_look(store, asked, "benchmark").findings.analysis
            (one,) = analysis.metrics[0].comparisons
            assert one.p_value is not None
            yield Outcome(
                p_value=one.p_value,
                significant=one.significant,
                failed=tuple(check.name for check in analysis.checks if check.status == "fail"),
                units=sum(analysis.look.units.values()),
            )


def played(worlds: int, units: int, seed: int, size: int = 20) -> list[Outcome]:
    """The outcomes of worlds, in rounds of so many; each round has a server, units and draws of its own."""
    found: list[Outcome] = []
    while len(found) < worlds:
        many = min(size, worlds - len(found))
        with tempfile.TemporaryDirectory() as place:
            play(Path(place), many, units, seed + len(found))
            found += looked(Path(place), many)
    return found


def bound(worlds: int) -> float:
    """The most worlds that may be called significant."""
    return worlds * ALPHA + SPREAD * (worlds * ALPHA * (1 - ALPHA)) ** 0.5


def main() -> int:
    """Play, and say how often it was wrong; 1 where that is more than promised."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=1000)
    parser.add_argument("--units", type=int, default=400)
    parser.add_argument("--seed", type=int, default=20261124)
    options = parser.parse_args()
    found = played(options.worlds, options.units, options.seed)
    wrong = sum(one.significant for one in found)
    lost = sum(one.units != options.units for one in found)
    failed = sum(bool(one.failed) for one in found)
    print(
        f"{len(found):,} A/A worlds of {options.units:,} units by HTTP (seed {options.seed}): {wrong} significant at "
        f"{ALPHA:.0%} ({wrong / len(found):.2%}), {failed} with a failed check, {lost} with a unit missing"
    )
    kept = wrong <= bound(len(found)) and failed <= 0.01 * len(found) + SPREAD and not lost
    print("kept" if kept else "broken")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
