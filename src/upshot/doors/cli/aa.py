"""`upshot aa`: whether a metric's tests hold their level on its own past."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from upshot.doors.cli.control import AS_JSON, DATA, show
from upshot.doors.cli.options import SHARE

if TYPE_CHECKING:
    from upshot.simulate.past_aa import PastAA


@click.command("aa", epilog="Example: upshot aa revenue_per_user --splits 2000")
@click.argument("metric")
@click.option(
    "--metrics", "directory", metavar="DIR", type=click.Path(path_type=Path),
    help="The folder of metrics over events [metrics].",
)  # fmt: skip
@DATA
@click.option("--audience", metavar="EVENT", help="Only units that did this event [any].")
@click.option("--splits", type=click.IntRange(100, 100_000), default=1000, help="Random halves [1000].")
@click.option("--seed", type=click.IntRange(0), default=0, help="Of the splits [0].")
@click.option("--alpha", type=SHARE, default=0.05, metavar="SHARE", help="Two-sided level [0.05].")
@AS_JSON
def command(
    metric: str, directory: Path | None, data: Path, audience: str | None, splits: int, seed: int, alpha: float,
    as_json: bool,
) -> int:  # fmt: skip
    """Test a metric on its own past, where there is nothing to find.

    Units of the last four weeks are split at random, again and again, and each split is analysed as an experiment is.
    A metric that is found "significant" more often than alpha allows (few units, wild outliers) would ship noise: cap
    it, or take another. Exits with 1 where the level does not hold.
    """
    from upshot.services.defined import read_defined
    from upshot.services.history import Wanted, own_aa

    definitions = read_defined(directory).metrics
    wanted = Wanted(
        data=data, definitions=definitions, metric=metric, as_of=datetime.now(UTC), audience=audience
    )
    found = own_aa(wanted, splits=splits, seed=seed, alpha=alpha)
    show(as_json, lambda: _plain(found), lambda: _words(metric, found))
    return 0 if found.holds else 1


def _plain(found: "PastAA") -> dict[str, object]:
    return {
        "units": found.units,
        "splits": found.splits,
        "alpha": found.alpha,
        "significant": found.significant,
        "rate": found.rate,
        "interval": list(found.interval),
        "uniform_p_value": found.uniform_p_value if found.splits > found.untested else None,
        "untested": found.untested,
        "holds": found.holds,
    }


def _words(metric: str, found: "PastAA") -> str:
    low, high = (f"{100 * bound:.1f}%" for bound in found.interval)
    hits = (
        f"{found.significant:,} of {found.splits:,} random splits of {found.units:,} units were significant"
    )
    lines = [
        f"{metric}: {hits}: {100 * found.rate:.1f}% [{low}, {high}], where {100 * found.alpha:g}% is promised."
    ]
    if found.untested:
        lines.append(
            f"{found.untested:,} splits could not be tested: too few units have an outcome other than 0."
        )
    lines.append(
        "The level holds."
        if found.holds
        else "The level does not hold: give the metric a cap (cap: 99.9%), take a share instead of a sum, or wait for "
        "more units."
    )
    return "\n".join(lines)
