"""`upshot bots`: programs among an experiment's units, and whether its result stands without them."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from upshot.doors.cli.control import AS_JSON, DATA, STORE, opened, show

if TYPE_CHECKING:
    from upshot.analysis.bots import Outcome
    from upshot.services.bot_results import BotResults


@click.command("bots", epilog="Example: upshot bots EXP-2026-001")
@click.argument("experiment")
@click.option(
    "--metrics", "directory", metavar="DIR", type=click.Path(path_type=Path),
    help="The folder of metrics over events [metrics].",
)  # fmt: skip
@DATA
@STORE
@AS_JSON
def command(experiment: str, directory: Path | None, data: Path, url: str | None, as_json: bool) -> None:
    """Judge the last look at an experiment without the units that look like programs.

    A unit looks like one by its browser's name, by more events in a minute than a person makes, or by a clock's
    regularity. Both results are shown; no look is taken, and nothing is shown that the last look did not see.
    """
    from upshot.services.bot_results import bot_results
    from upshot.services.defined import read_defined

    with opened(data, url) as store:
        defined = read_defined(directory, store)
        found = bot_results(store, data, experiment, defined.metrics, defined.exposures)
    show(as_json, lambda: _plain(found), lambda: _words(found))


def _plain(found: "BotResults") -> dict[str, Any]:
    return {
        "flagged": dict(found.flagged),
        "whole": _outcome(found.whole),
        "without": _outcome(found.without),
        "differs": found.anomaly is not None,
    }


def _outcome(outcome: "Outcome") -> dict[str, Any]:
    return {"units": outcome.units, "verdict": outcome.verdict, "lift": outcome.lift}


def _words(found: "BotResults") -> str:
    if not found.flagged:
        return f"none of {found.whole.units:,} units looks like a program"
    lines = [f"{len(found.flagged):,} units look like programs:"]
    lines += [f"  {many:,}: {reason}" for reason, many in Counter(found.flagged.values()).most_common(5)]
    lines += [f"with them:    {_said(found.whole)}", f"without them: {_said(found.without)}"]
    stands = "The verdict stands without them."
    lines.append(stands if found.anomaly is None else f"They decide the verdict: {found.anomaly.advice}.")
    return "\n".join(lines)


def _said(outcome: "Outcome") -> str:
    lift = "" if outcome.lift is None else f", lift {100 * outcome.lift:.2f}%"
    return f"{outcome.verdict}, {outcome.units:,} units{lift}"
