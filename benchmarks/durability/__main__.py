"""python -m benchmarks.durability [PROOF] [--times N]: every proof, or one of them. Fails where a promise is broken."""

import argparse
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from benchmarks.durability import corruption, full_disk, kills, power_cut, restart, steps, syncs

Proof = Callable[[int, int], Any]

PROOFS: dict[str, tuple[Proof, int]] = {
    "kills": (kills.run, 100),
    "steps": (steps.run, 1_000),
    "corruption": (corruption.run, 40_000),
    "syncs": (syncs.run, 1_000),
    "full_disk": (full_disk.run, 10),
    "power_cut": (power_cut.run, 20),
    "restart": (restart.run, 16),
}
IMPOSSIBLE: dict[str, Callable[[], str | None]] = {
    "syncs": syncs.possible,
    "full_disk": full_disk.possible,
    "power_cut": power_cut.possible,
}


def main() -> int:
    """Run what is asked for; 1 if a promise is broken."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.durability", description=__doc__)
    parser.add_argument("proof", nargs="?", choices=list(PROOFS), help="one proof; without it, all")
    parser.add_argument("--times", type=int, help="how often; without it, as often as is promised")
    parser.add_argument("--seed", type=int, default=20_261, help="of all chance")
    asked = parser.parse_args()
    kept = [_run(name, asked.times, asked.seed) for name in ([asked.proof] if asked.proof else PROOFS)]
    return 0 if all(kept) else 1


def _run(name: str, times: int | None, seed: int) -> bool:
    proof, often = PROOFS[name]
    reason = IMPOSSIBLE.get(name, lambda: None)()
    if reason is not None:
        print(f"{name}: skipped, {reason}", flush=True)
        return True
    found = proof(times or often, seed)
    figures = ", ".join(f"{value:,} {field.replace('_', ' ')}" for field, value in asdict(found).items())
    print(f"{name}: {figures}: {'kept' if found.kept else 'BROKEN'}", flush=True)
    return bool(found.kept)


if __name__ == "__main__":
    sys.exit(main())
