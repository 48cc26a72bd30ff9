"""What a flag costs in process, beside the engines that others ship: python -m benchmarks.flags.

Peers are installed from PyPI into an environment of their own that is thrown away (or reused: --peers PYTHON).
Each peer and scenario is a process; rounds go from one process to the next, so that whatever else the machine does
falls on all alike. Figures are CPU time of the calling thread, so compare the ratios. Writes benchmarks/flags.md
with --write; fails where a promise of `PROMISES` is broken.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import venv
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.flag_peers import PEERS
from benchmarks.flag_worker import SCENARIOS

HERE = Path(__file__).parent
ROUNDS = 11
ROUND_SECONDS = 0.1
DOCUMENT = HERE / "flags.md"
FIRST, LAST = "<!-- figures: python -m benchmarks.flags --write -->", "<!-- end -->"
MOST = 1.5  # of the time of eppo's Rust engine, each with what an exposure needs, and each without
PROMISES = {"upshot": "eppo", "upshot, without exposures": "eppo, without exposures"}
WANTED = 10  # how many times quicker than every other engine it wants to be; told, not enforced


@dataclass(slots=True)
class Contender:
    """A running peer: what it cost to start, and microseconds of an evaluation, round by round."""

    name: str
    process: subprocess.Popen[str]
    cost: dict[str, float] = field(default_factory=dict)
    each_round: int = 100
    rounds: list[float] = field(default_factory=list)

    def ask(self, evaluations: int) -> float:
        """Microseconds of CPU for one evaluation."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{evaluations}\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline()) / evaluations * 1e6

    @property
    def median(self) -> float:
        return statistics.median(self.rounds)


def peers_python(given: str | None, folder: str) -> str:
    """The interpreter that has the peers; a new environment where none is given."""
    if given:
        return given
    venv.create(folder, with_pip=True)
    python = str(Path(folder) / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "-q", "-r", str(HERE / "flags.requirements")], check=True)
    return python


def start(python: str, name: str, scenario: str) -> Contender:
    sources = os.pathsep.join(map(str, (HERE.parent, HERE.parent / "sdk" / "src")))
    process = subprocess.Popen(
        [python, "-W", "ignore", "-m", "benchmarks.flag_worker", name, scenario],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env=os.environ | {"PYTHONPATH": sources},
    )  # fmt: skip
    assert process.stdout is not None
    contender = Contender(name, process)
    said = process.stdout.readline()
    if not said:
        raise SystemExit(f"{name} cannot be started: run {' '.join(map(str, process.args))}")  # type: ignore[union-attr]
    contender.cost = json.loads(said)
    contender.each_round = max(5, int(ROUND_SECONDS * 1e6 / contender.ask(50)))
    return contender


def race(python: str, scenario: str) -> list[Contender]:
    """All peers on one scenario, round after round."""
    contenders = [start(python, name, scenario) for name in PEERS]
    for _ in range(ROUNDS):
        for contender in contenders:
            contender.rounds.append(contender.ask(contender.each_round))
    for contender in contenders:
        contender.process.communicate()
    return contenders


def table(races: dict[str, list[Contender]]) -> str:
    """A row a peer: the median of its rounds and its ratio to Upshot's, then what starting costs."""
    lines = [
        "| | " + " | ".join(f"{scenario}, µs (best) | ×" for scenario in races)
        + " | import, ms / MB | load 1,000 flags, ms / MB |",
        "|---" * (2 * len(races) + 3) + "|",
    ]  # fmt: skip
    for number, name in enumerate(PEERS):
        cells = [name]
        for contenders in races.values():
            mine, own = contenders[number], contenders[0]
            cells += [f"{mine.median:.2f} ({min(mine.rounds):.2f})", f"{mine.median / own.median:.1f}"]
        cost = list(races.values())[-1][number].cost
        cells += [
            f"{cost['import_ms']:.0f} / {cost['import_mb']:.0f}",
            f"{cost['load_ms']:.0f} / {cost['load_mb']:.0f}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def verdicts(races: dict[str, list[Contender]]) -> tuple[list[str], bool]:
    """What was promised and what was wanted, with the ratios that were measured; whether a promise is broken."""
    said, broken = [], False
    for scenario, contenders in races.items():
        medians = {contender.name: contender.median for contender in contenders}
        for own, peer in PROMISES.items():
            ratio = medians[own] / medians[peer]
            broken |= ratio > MOST
            said.append(
                f"{scenario}: {own} takes {ratio:.2f} times as long as {peer} (at most {MOST} is promised)"
            )
        own_time = medians["upshot, without exposures"]  # theirs are turned off
        others = {
            name: medians[name] / own_time for name in medians if not name.startswith(("upshot", "eppo"))
        }
        slower = [f"{name} {ratio:.1f}" for name, ratio in others.items() if ratio < WANTED]
        listed = ", ".join(slower) or "none"
        said.append(f"{scenario}: without exposures, less than {WANTED} times quicker than: {listed}")
    return said, broken


def report(races: dict[str, list[Contender]]) -> tuple[str, bool]:
    said, broken = verdicts(races)
    machine = f"CPython {platform.python_version()}, {os.cpu_count()} virtual cores, {platform.machine()}"
    how = f"{machine}; medians of {ROUNDS} interleaved rounds of about {ROUND_SECONDS} s, best round in brackets."
    return "\n\n".join([how, table(races), "\n".join(f"- {line}" for line in said)]), broken


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", help="an interpreter that has benchmarks/flags.requirements installed")
    parser.add_argument("--write", action="store_true", help="replace the figures in benchmarks/flags.md")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        python = peers_python(given.peers, folder)
        text, broken = report({scenario: race(python, scenario) for scenario in SCENARIOS})
    print(text)
    if given.write:
        before, _, after = DOCUMENT.read_text("utf-8").partition(FIRST)
        DOCUMENT.write_text(f"{before}{FIRST}\n\n{text}\n\n{LAST}{after.partition(LAST)[2]}", "utf-8")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
