"""`upshot tick`: what a server would do by itself, done once, for who runs no server or has cron call it."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from upshot.doors.cli.control import AS_JSON, DATA, STORE, show

if TYPE_CHECKING:
    from upshot.services.lease import Lease
    from upshot.store.control import ControlStore

EPILOG = """\b
Jobs:
  guardrails     experiments that are proven to harm are turned off
  looks          each running experiment is looked at once for each day, after its end in UTC
  anomalies      what goes wrong beside the numbers is told
  stale flags    flags that could go are told
  new flags      flags that ask no question get a drafted experiment
  weekly report  the week that is over is told on Monday morning
  decisions      what designs leave to the rule is decided, rollouts are completed
  alerts         what was found is sent where UPSHOT_ALERTS says

\b
Examples:
  upshot tick --flags flags
  upshot tick --list --json
  */10 * * * *  cd /srv/shop && upshot tick --flags flags
"""


@click.command("tick", epilog=EPILOG)
@click.option(
    "--flags",
    "flags",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Folder of flags as YAML files [the flags of the store].",
)
@click.option(
    "--metrics",
    "metrics",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="The folder of metrics over events [metrics].",
)
@DATA
@STORE
@click.option("--list", "only_list", is_flag=True, help="Show when each job ran last, and run none.")
@AS_JSON
def command(
    flags: Path | None, metrics: Path | None, data: Path, url: str | None, only_list: bool, as_json: bool
) -> int:
    """Run the jobs that are due, once.

    `upshot serve` runs them all the time. One process does it at a time: while a server runs them, this says so and
    runs none. It ends with 1 where a job failed; what is wrong is said, and the job is tried again the next time.
    """
    from upshot.bootstrap import open_clock, open_store
    from upshot.settings import read_settings

    settings = read_settings(os.environ)
    clock = open_clock(settings)
    store = open_store(data, url, clock=clock)
    try:
        if only_list:
            return _list(store, as_json)
        from upshot.bootstrap import open_flag_store, open_jobs

        with open_jobs(store, open_flag_store(flags, store), data, settings, metrics, clock) as jobs:
            ran = jobs.run_due()
            return _told(store, jobs.lease, [run.name for run in ran], as_json)
    finally:
        store.close()


def _told(store: "ControlStore", lease: "Lease", ran: list[str], as_json: bool) -> int:
    runs, other = _runs(store), None if lease.is_held else _holder(store)
    faults = {run["name"]: run["fault"] for run in runs if run["fault"] and run["name"] in ran}

    def words() -> str:
        if not lease.is_held:
            return f"the jobs are run by {other or 'another process'}: nothing was run here"
        lines = [f"{name}: {faults.get(name, 'done')}" for name in ran]
        return "\n".join(lines) if lines else "nothing is due"

    show(as_json, lambda: {"ran": ran, "held_by": other, "jobs": runs}, words)
    return 1 if faults else 0


def _list(store: "ControlStore", as_json: bool) -> int:
    runs, other = _runs(store), _holder(store)

    def words() -> str:
        head = f"the jobs are run by {other}" if other else "no process runs the jobs now"
        return "\n".join([head, *(_line(run) for run in runs)])

    show(as_json, lambda: {"held_by": other, "jobs": runs}, words)
    return 0


def _line(run: dict[str, Any]) -> str:
    if run["began"] is None:
        return f"{run['name']}: never run"
    fault = f"; failed: {run['fault']}" if run["fault"] else ""
    return f"{run['name']}: last run {run['began'][:16]}, due again {(run['due'] or 'at once')[:16]}{fault}"


def _runs(store: "ControlStore") -> list[dict[str, Any]]:
    from upshot.services.jobs import told
    from upshot.store import jobs

    with store.reading() as connection:
        return [dict(run) for run in told(jobs.listed(connection))]


def _holder(store: "ControlStore") -> str | None:
    from upshot.services.lease import holder

    return holder(store)
