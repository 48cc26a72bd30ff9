"""Error rates of the whole decision rule, on worlds whose truth is known.

    python -m benchmarks.calibration                 all cells of which benchmarks/calibration.json holds fewer worlds
    python -m benchmarks.calibration --worlds 500 --out /tmp/quick.json
    python -m benchmarks.calibration --tables        print the tables of what was measured

Every cell is one plan on one world, followed through daily looks over 28 days by `analyze` and `decide`. World i
of a cell draws from the generator of (seed of the cell, i); seeds are fixed here, before any figure was seen.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.cells import Cell, all_cells
from upshot.simulate.outcomes import Outcomes, Rate
from upshot.simulate.rule import run

OUT = Path(__file__).with_name("calibration.json")
BAND = 3.5


@dataclass(frozen=True, slots=True)
class Promise:
    """A bound that a rate must keep, chance allowed for."""

    rate: str
    most: float | None = None
    least: float | None = None

    def kept(self, share: float, std_error: float) -> bool:
        """Whether the rate is within its bound, give or take 3.5 standard errors of the simulation."""
        room = BAND * std_error
        over = self.most is not None and share > self.most + room
        under = self.least is not None and share < self.least - room
        return not over and not under


def figures(cell: Cell, outcomes: Outcomes) -> dict[str, Any]:
    """What is kept of a cell: its rates with their standard errors, its verdicts, its runtime."""
    rates = {
        "significant": outcomes.significant,
        "shipped": outcomes.shipped,
        "killed_as_bad": outcomes.killed_as_bad,
        "guardrail_harmed": outcomes.guardrail_harmed,
        "covered": outcomes.covered,
        "always_covered": outcomes.always_covered,
    }
    return {
        "group": cell.group,
        "seed": cell.seed,
        "worlds": len(outcomes.endings),
        "rates": {name: [rate.share, rate.std_error] for name, rate in rates.items() if rate.worlds},
        "verdicts": {
            f"{verdict} · {cause}": share for (verdict, cause), share in outcomes.verdicts().items()
        },
        "days": outcomes.days,
        "units": cell.plan.planned_units,
    }


def broken_promises(cell: Cell, found: dict[str, Any]) -> list[str]:
    """A sentence for each promise that a cell's figures break."""
    sentences = []
    for name, most, least in cell.promises:
        share, std_error = found["rates"][name]
        if not Promise(name, most, least).kept(share, std_error):
            bound = f"at most {most:.1%}" if most is not None else f"at least {least:.1%}"
            sentences.append(
                f"{cell.name}: {name} is {Rate(share, std_error, found['worlds'])}, promised {bound}"
            )
    return sentences


def measure(
    cells: tuple[Cell, ...], worlds: int, processes: int, out: Path
) -> Iterator[tuple[Cell, dict[str, Any]]]:
    """Run the cells of which the file holds fewer worlds, and keep each as soon as it is done."""
    kept: dict[str, Any] = json.loads(out.read_text(encoding="utf-8")) if out.exists() else {}
    for cell in cells:
        if kept.get(cell.name, {}).get("worlds", 0) < worlds:
            begun = time.perf_counter()
            outcomes = run(cell.plan, cell.world, worlds, cell.seed, processes, whole=cell.whole)
            kept[cell.name] = {**figures(cell, outcomes), "seconds": round(time.perf_counter() - begun)}
            out.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        yield cell, kept[cell.name]


def table(group: str, found: dict[str, Any]) -> str:
    """A Markdown table of one group of cells."""
    rows = {name: entry for name, entry in found.items() if entry["group"] == group}
    if group == "truths":
        return _truth_table(rows)
    columns = list(dict.fromkeys(rate for entry in rows.values() for rate in entry["rates"]))
    lines = [f"| {group} | {' | '.join(columns)} | days | worlds |", "|---" * (len(columns) + 3) + "|"]
    for name, entry in rows.items():
        cells = [_percent(entry["rates"].get(column)) for column in columns]
        lines.append(f"| {name} | {' | '.join(cells)} | {entry['days']:.1f} | {entry['worlds']:,} |")
    return "\n".join(lines)


def _truth_table(rows: dict[str, Any]) -> str:
    lines = ["| truth | verdicts, the commonest first | days | worlds |", "|---|---|---|---|"]
    for name, entry in rows.items():
        shares = [f"{verdict} {share:.1%}" for verdict, share in entry["verdicts"].items() if share >= 0.005]
        lines.append(f"| {name} | {', '.join(shares)} | {entry['days']:.1f} | {entry['worlds']:,} |")
    return "\n".join(lines)


def _percent(rate: list[float] | None) -> str:
    return "" if rate is None else f"{rate[0]:.2%} ± {rate[1]:.2%}"


def main(arguments: list[str]) -> int:
    """Measure, print the tables, and exit with 1 if a promise is broken."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.calibration", description=__doc__)
    parser.add_argument("--worlds", type=int, default=10_000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--only", default="", help="cells whose name holds this text")
    parser.add_argument("--tables", action="store_true", help="print what was measured, run nothing")
    asked = parser.parse_args(arguments)
    cells = tuple(cell for cell in all_cells() if asked.only in cell.name)
    if not asked.tables:
        for cell, kept in measure(cells, asked.worlds, asked.processes, asked.out):
            print(f"{cell.name}: {kept['rates']} {kept['verdicts']} ({kept['seconds']} s)", flush=True)
    found = json.loads(asked.out.read_text(encoding="utf-8"))
    for group in dict.fromkeys(entry["group"] for entry in found.values()):
        print(f"\n{table(group, found)}")
    broken = [
        text for cell in all_cells() if cell.name in found for text in broken_promises(cell, found[cell.name])
    ]
    print("\n" + ("\n".join(broken) or "Every promise is kept."))
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
