"""Looking for what goes wrong beside the numbers: in the exposures and events of the experiments that flags run.

It reads all exposures of an experiment each time, so it looks every few minutes and not every few seconds.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

import duckdb
import ibis
import pyarrow as pa

from upshot.analysis.anomalies import (
    Anomaly,
    exposures_stopped,
    jump,
    sample_ratio_drift,
    silent_variant,
    volume,
)
from upshot.analysis.bots import Behaviour, why_bot
from upshot.analysis.day_values import day_values
from upshot.analysis.overlap import dependence, overlaps
from upshot.analysis.telemetry import Stream, telemetry_loss
from upshot.errors import InputError
from upshot.events.reader import connect
from upshot.model.event_metric import EXPOSURE
from upshot.model.flag import Trial
from upshot.services.alerts import Alerts
from upshot.services.rollout_tally import VIEWED
from upshot.store import experiments, looks
from upshot.store.alerts import Finding
from upshot.store.control import ControlStore
from upshot.store.flag_store import Stored

EVERY = 300.0
"""Seconds between two looks."""
SCOPE = "anomaly/"
PAST = timedelta(days=14)
"""What is usual is what was so for as long."""
STREAMED = timedelta(days=1)
"""The messages of so long are looked through for numbers that are missing, and for programs."""
ARRIVED = timedelta(minutes=10)
"""A message whose number is missing for so long is lost."""
NAMES = 50
"""Event names whose volume is watched, those with the most events."""
STANDS = timedelta(days=3)
"""A look that is older says nothing about now."""
MOST_BOTS = 0.05
"""The share of an experiment's units that look like programs from which on it is told."""

_log = logging.getLogger("upshot.anomalies")


class FlagSource(Protocol):
    """A store of flags that can be read."""

    def read(self) -> Stored:
        """Everything in it. Raises InputError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """An experiment that a flag runs, and the variant that the others are compared with."""

    trial: Trial
    control: str

    @property
    def subject(self) -> str:
        """What anomalies call it."""
        return f"experiment/{self.trial.id}"


class AnomalyWatch:
    """The watch over the experiments of a store. One thread calls `look`, again and again."""

    def __init__(
        self,
        store: FlagSource,
        directory: Path,
        alerts: Alerts,
        clock: Callable[[], datetime],
        control: ControlStore | None = None,
    ) -> None:
        """
        Args:
            store: of the flags. directory: the data directory. alerts: what people are told by. clock: gives now.
            control: of the looks, whose metrics are watched for jumps; None: they are not.
        """
        self._store, self._directory, self._alerts, self._clock = store, directory, alerts, clock
        self._control = control

    def look(self) -> None:
        """Find what is wrong now, and tell; what is not wrong any more is on its way out."""
        try:
            running = running_in(self._store.read())
        except InputError as error:
            _log.error("experiments are not looked at: %s", error)
            return
        now = self._clock()
        with connect(self._directory, threads=1, locked=False) as database:
            found = [*anomalies(database, running, now)]
        if self._control is not None:
            found += jumps(self._control, now)
        self._alerts.report(SCOPE, [_finding(anomaly, now) for anomaly in found])


def running_in(stored: Stored) -> tuple[Running, ...]:
    """The experiments of flags that are in force and on."""
    flags = stored.applied.flags if stored.applied else {}
    return tuple(
        Running(trial=rule.experiment, control=_control(rule.experiment, flag.default))
        for key, flag in flags.items()
        if flag.enabled and key not in stored.kills.off
        for rule in flag.rules
        if rule.experiment is not None
    )


def _control(trial: Trial, default: str | None) -> str:
    return next((name for name in ("control", default) if name in trial.split), next(iter(trial.split)))  # type: ignore[return-value]  # a default that is in the split is a name


def anomalies(
    database: duckdb.DuckDBPyConnection, running: tuple[Running, ...], now: datetime
) -> Iterator[Anomaly]:
    """What is wrong with these experiments, and with the events as a whole.

    Args:
        database: with the views of `events.reader`.
        running: the experiments that are looked at. now: with its offset from UTC.
    """
    for one in running:
        gather(database, one.trial.id, one.trial.phase)
        questions = (
            sample_ratio_drift(one.subject, _by_day(database), one.trial.split),
            _stopped(database, one.subject, now),
            silent_variant(one.subject, _heard_of(database)),
            telemetry_loss(one.subject, _streams(database, now), one.control),
            _programs(database, one.subject, now),
        )
        yield from (found for found in questions if found is not None)
    yield from _dependences(database, running)
    yield from _volumes(database, now)


def _dependences(database: duckdb.DuckDBPyConnection, running: tuple[Running, ...]) -> Iterator[Anomaly]:
    """Pairs of experiments that share units and do not draw them apart from each other, in the phases that run."""
    if len(running) < 2:
        return
    phases = pa.table(
        {"id": [one.trial.id for one in running], "phase": [one.trial.phase for one in running]}
    )
    database.register("running_phases", phases)
    database.execute(
        "CREATE OR REPLACE TEMP TABLE running_exposures AS SELECT experiment_id, unit_id, variant FROM exposures "
        "JOIN running_phases ON experiment_id = id AND COALESCE(exposures.phase, 1) = running_phases.phase"
    )
    database.unregister("running_phases")
    exposures = ibis.duckdb.from_connection(database).table("running_exposures")
    pairs = overlaps(exposures, tuple(dict.fromkeys(one.trial.id for one in running)))
    yield from (found for pair in pairs if (found := dependence(pair)) is not None)


def jumps(store: ControlStore, now: datetime) -> Iterator[Anomaly]:
    """Metrics of running experiments that rose or fell all at once on the last day that looks know whole."""
    with store.reading() as connection:
        running = experiments.listed(connection, "running")
        known = [(one.id, looks.last(connection, one.id)) for one in running]
    for experiment, look in known:
        if look is None or look.look.day is None or look.look.day < (now - STANDS).date():
            continue
        for metric, days in day_values(look.evidence).items():
            found = jump(f"experiment/{experiment}/{metric}", days)
            if found is not None:
                yield found


# What the questions are asked of


def gather(database: duckdb.DuckDBPyConnection, experiment: str, phase: int) -> None:
    """Tables of one experiment: its exposures, ``seen``, and its units with the one variant that they met, ``met``."""
    database.execute(
        "CREATE OR REPLACE TEMP TABLE seen AS SELECT unit, unit_id, variant, time, instance FROM exposures "
        "WHERE experiment_id = ? AND COALESCE(phase, 1) = ?",
        [experiment, phase],
    )
    database.execute(
        "CREATE OR REPLACE TEMP TABLE met AS SELECT unit_id, any_value(unit) AS unit, any_value(variant) AS variant, "
        "min(time) AS first FROM seen GROUP BY unit_id HAVING count(DISTINCT variant) = 1"
    )


def _by_day(database: duckdb.DuckDBPyConnection) -> list[tuple[datetime, Mapping[str, int]]]:
    """At the end of each day, the units that each variant had had."""
    rows = database.execute(
        "SELECT CAST(first AS DATE) + 1, variant, count(*) FROM met GROUP BY ALL ORDER BY 1"
    ).fetchall()
    counts: dict[str, int] = {}
    looks: dict[datetime, Mapping[str, int]] = {}
    for day, variant, units in rows:
        counts = {**counts, variant: counts.get(variant, 0) + units}
        looks[datetime(day.year, day.month, day.day, tzinfo=UTC)] = counts
    return list(looks.items())


def _stopped(database: duckdb.DuckDBPyConnection, subject: str, now: datetime) -> Anomaly | None:
    rows = database.execute(
        "SELECT date_trunc('hour', time) AS hour, count(*), max(time) FROM seen WHERE time >= ? GROUP BY 1 ORDER BY 1",
        [_naive(now - PAST)],
    ).fetchall()
    if not rows:
        return None
    found = {hour.replace(tzinfo=UTC): count for hour, count, _ in rows}
    start, last = min(found), max(row[2] for row in rows).replace(tzinfo=UTC)
    hours = [start + timedelta(hours=number) for number in range(int((last - start) / timedelta(hours=1)))]
    return exposures_stopped(subject, [(hour, found.get(hour, 0)) for hour in hours], last, now)


def _heard_of(database: duckdb.DuckDBPyConnection) -> dict[str, tuple[int, int]]:
    """By variant: units, and those of them of which anything came after their first exposure."""
    rows = database.execute(
        "SELECT variant, count(*), count(heard.unit) FROM met LEFT JOIN ("
        "SELECT DISTINCT met.unit FROM met JOIN events ON events.unit = met.unit AND events.time >= met.first "
        "WHERE events.event IS NULL OR events.event NOT IN (?, ?)) AS heard ON heard.unit = met.unit GROUP BY 1",
        [EXPOSURE, VIEWED],
    ).fetchall()
    return {variant: (units, active) for variant, units, active in rows}


def _streams(database: duckdb.DuckDBPyConnection, now: datetime) -> list[Stream]:
    """The numbered messages of the instances that exposed units. Of one that was there before, the first that is seen
    counts as its first."""
    rows = database.execute(
        """
        WITH numbered AS (
            SELECT json_extract_string(context, '$.instance') AS instance, received_at,
                TRY_CAST(json_extract_string(context, '$.seq') AS BIGINT) AS seq
            FROM events WHERE received_at >= $start
        ), bounds AS (
            SELECT instance, max(seq) FILTER (received_at < $arrived) AS highest,
                CASE WHEN min(received_at) >= $late THEN 0 ELSE min(seq) - 1 END AS base
            FROM numbered WHERE instance IS NOT NULL AND seq IS NOT NULL GROUP BY 1
        ), variants AS (SELECT instance, list(DISTINCT variant) AS variants FROM seen GROUP BY 1)
        SELECT variants, count(DISTINCT seq), any_value(highest - base)
        FROM bounds JOIN variants USING (instance) JOIN numbered USING (instance)
        WHERE seq <= highest AND seq > base GROUP BY instance, variants
        """,
        {
            "start": _naive(now - STREAMED), "arrived": _naive(now - ARRIVED),
            "late": _naive(now - STREAMED + timedelta(hours=1)),
        },
    ).fetchall()  # fmt: skip
    return [
        Stream(variants=frozenset(names), received=received, highest=highest)
        for names, received, highest in rows
    ]


def _programs(database: duckdb.DuckDBPyConnection, subject: str, now: datetime) -> Anomaly | None:
    """Whether many of the experiment's units look like programs."""
    flagged = programs(database, now - STREAMED)
    (units,) = database.execute("SELECT count(*) FROM met").fetchall()[0]
    if not units or len(flagged) < MOST_BOTS * units:
        return None
    reasons = sorted(flagged.values())
    return Anomaly(
        kind="bots", subject=subject, what="many of its units look like programs", since=None,
        said=f"{len(flagged)} of {units} units, such as one for which: {reasons[len(reasons) // 2]}",
        advice="see by `upshot bots` whether they matter, and keep them out by a condition on the flag",
        numbers={"bots": len(flagged), "units": units},
    )  # fmt: skip


def programs(database: duckdb.DuckDBPyConnection, since: datetime) -> dict[str, str]:
    """The units of the gathered experiment that look like programs by what they did since a moment, and why."""
    rows = database.execute(
        """
        WITH done AS (
            SELECT met.unit_id, events.time, json_extract_string(context, '$.userAgent') AS agent,
                epoch(events.time - lag(events.time) OVER (PARTITION BY met.unit_id ORDER BY events.time)) AS gap
            FROM met JOIN events ON events.unit = met.unit WHERE events.time >= ?
        ), minutes AS (
            SELECT unit_id, max(many) AS most FROM (
                SELECT unit_id, date_trunc('minute', time), count(*) AS many FROM done GROUP BY 1, 2) GROUP BY 1
        )
        SELECT unit_id, any_value(agent), any_value(most), count(gap), avg(gap), stddev_pop(gap)
        FROM done JOIN minutes USING (unit_id) GROUP BY 1
        """,
        [_naive(since)],
    ).fetchall()
    found = {
        unit: why_bot(
            Behaviour(
                user_agent=agent or "",
                most_a_minute=most,
                gaps=gaps,
                gap_mean=mean or 0.0,
                gap_std=std or 0.0,
            )
        )
        for unit, agent, most, gaps, mean, std in rows
    }
    return {unit: reason for unit, reason in found.items() if reason is not None}


def _volumes(database: duckdb.DuckDBPyConnection, now: datetime) -> Iterator[Anomaly]:
    """Whether the last whole hour had as many of each event as the same hour of the days before."""
    hour = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
    rows = database.execute(
        "SELECT event, datediff('day', time, $begin), count(*) FROM events WHERE time >= $start AND time < $end "
        "AND event IS NOT NULL AND hour(time) = $hour GROUP BY 1, 2",
        {
            "start": _naive(hour - PAST), "begin": _naive(hour), "end": _naive(hour + timedelta(hours=1)),
            "hour": hour.hour,
        },
    ).fetchall()  # fmt: skip
    counts: dict[str, dict[int, int]] = {}
    for event, ago, count in rows:
        counts.setdefault(event, {})[ago] = count
    for event, by_day in sorted(counts.items(), key=lambda one: -sum(one[1].values()))[:NAMES]:
        past = [by_day.get(ago, 0) for ago in range(1, max(by_day) + 1)]
        found = volume(f"event/{event}", past, by_day.get(0, 0), hour)
        if found is not None:
            yield found


def _finding(anomaly: Anomaly, now: datetime) -> Finding:
    since = anomaly.since or now
    return Finding(
        key=f"{SCOPE}{anomaly.kind}/{anomaly.subject}",
        subject=anomaly.subject,
        severity="warning",
        what=f"{anomaly.subject}: {anomaly.what}",
        advice=anomaly.advice,
        evidence={**anomaly.numbers, "since": since.isoformat(), "said": anomaly.said},
    )


def _naive(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(tzinfo=None)
