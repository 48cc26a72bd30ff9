"""Every benchmark, one after another: `make bench`. Each can be run alone, as `python -m benchmarks.NAME`."""

import subprocess
import sys

BENCHMARKS = (
    "analysis",
    "coverage",
    "flags",
    "ofrep",
    "ingest",
    "durability",
    "replay",
    "decisions",
    "live",
    "live_aa",
    "monitoring",
    "harm",
    "calibration",
)


def main() -> int:
    """Run each in a process of its own, so that no measurement warms another; 1 if one breaks its promise."""
    failed = []
    for name in BENCHMARKS:
        print(f"\n== {name}", flush=True)
        if subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode:
            failed.append(name)
    print(f"\nBroken: {', '.join(failed)}" if failed else "\nEvery promise is kept.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
