"""Running totals of an experiment: a look reads what is new, and not all that ever happened.

Beside the log is kept what looks need of it: the experiment's exposures, who is whom, the events that its metrics
count, and what was gathered of each unit. What is not compacted yet comes on top and is not kept.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path

import duckdb
import ibis.expr.types as ir

from upshot.analysis.event_question import EventQuestion
from upshot.analysis.gathering import sources_of
from upshot.analysis.identity import Persons, persons_of
from upshot.events.layout import DataDirectory
from upshot.events.manifest import open_manifest
from upshot.events.reader import connect, exposures_among
from upshot.model.flag import TARGETING_KEY
from upshot.services.totals_file import Meta, discard, epoch_of, held, naive, transaction
from upshot.services.unit_totals import UnitTotals

_log = logging.getLogger("upshot.totals")

_EXPOSED = """
SELECT
    COALESCE(phase, 1) AS phase, unit_kind, unit_id, COALESCE(unit_id = unit, false) AS is_unit, unit_number AS number,
    variant, time, attributes
FROM ({}) WHERE experiment_id = ?
"""
_LINKED = """
SELECT DISTINCT anonymous_id, user_id FROM (FROM {}) WHERE anonymous_id IS NOT NULL AND user_id IS NOT NULL
"""
_TABLES = """
CREATE TABLE IF NOT EXISTS kept.exposures (
    phase INTEGER, unit_kind VARCHAR, unit_id VARCHAR, is_unit BOOLEAN, number BIGINT, variant VARCHAR, time TIMESTAMP,
    attributes VARCHAR
);
CREATE TABLE IF NOT EXISTS kept.links (anonymous_id VARCHAR, user_id VARCHAR);
"""
_PHASES = """
SELECT phase, list(DISTINCT unit_kind) FILTER (unit_kind IS NOT NULL)
FROM exposed WHERE time < ? GROUP BY 1 ORDER BY 1
"""


class Totals:
    """The totals of an experiment, attached as ``kept`` to a database with the views of `events.reader`.

    Attributes:
        is_abandoned: whether the file cannot be read.
    """

    def __init__(self, database: duckdb.DuckDBPyConnection, directory: Path, experiment: str) -> None:
        """Bring exposures and links to now.

        Args:
            database: the file is attached to it. directory: the data directory. experiment: its id.

        Raises:
            duckdb.Error: the file is damaged.
        """
        self._database, self._manifest = database, DataDirectory(directory).manifest
        self.is_abandoned = False
        with open_manifest(self._manifest) as manifest:
            self._meta = Meta(database, epoch_of(manifest))
        database.execute(_TABLES)
        self._follow(experiment)

    def phases(self, as_of: datetime) -> Mapping[int, tuple[str, ...]]:
        """Each phase -> the kinds of units that were exposed in it before a moment."""
        rows = self._database.execute(_PHASES, [naive(as_of)]).fetchall()
        return {phase: tuple(sorted(kinds or ())) for phase, kinds in rows}

    def persons(self) -> Persons:
        """Who is whom by what was sent."""
        pairs = self._database.execute("SELECT anonymous_id, user_id FROM linked").fetchall()
        return persons_of(pairs, ("anonymous_id", "user_id"))

    def units(self, question: EventQuestion) -> ir.Table | None:
        """The table of units that `unit_table` gives; None: it has to be made of the log.

        Args:
            question: of this experiment and a phase of it.
        """
        sources = sources_of(question.measured)
        if not sources or any(source.table is not None for source in sources) or self._are_strange(question):
            return None
        return UnitTotals(self._database, self._meta, self._manifest, question).units()

    def abandon(self, error: duckdb.Error) -> None:
        """Throw the file away when it is let go of: it cannot be read."""
        _log.warning("running totals cannot be read, and will be made again: %s", error)
        self.is_abandoned = True

    def _are_strange(self, question: EventQuestion) -> bool:
        """Whether exposures name other units than who sent them, so that numbers say nothing."""
        if question.unit != TARGETING_KEY:
            return False
        asked = "SELECT 1 FROM exposed WHERE phase = ? AND NOT is_unit LIMIT 1"
        return self._database.execute(asked, [question.phase]).fetchone() is not None

    def _follow(self, experiment: str) -> None:
        run = self._database.execute
        since = int(self._meta.get("exposures") or 0)
        row = run("SELECT COALESCE(max(arrival), 0) FROM events").fetchone()
        until = max(since, int(row[0]) if row else 0)
        if until > since:
            new = f"events WHERE arrival > {since} AND arrival <= {until}"
            with transaction(self._database):
                run(f"INSERT INTO kept.exposures {_EXPOSED.format(exposures_among(new))}", [experiment])
                run(f"INSERT INTO kept.links {_LINKED.format(new)} EXCEPT FROM kept.links")
                self._meta.put(exposures=str(until))
        run(f"CREATE TEMP TABLE tail_exposures AS {_EXPOSED.format(exposures_among('tail'))}", [experiment])
        run(f"CREATE TEMP TABLE tail_links AS {_LINKED.format('tail')}")
        run("CREATE TEMP VIEW exposed AS FROM kept.exposures UNION ALL FROM tail_exposures")
        run("CREATE TEMP VIEW linked AS FROM kept.links UNION FROM tail_links")


@contextmanager
def opened_totals(
    directory: Path, experiment: str
) -> Iterator[tuple[duckdb.DuckDBPyConnection, Totals | None]]:
    """A database with the views of events, and the totals of an experiment; None: somebody else has them now.

    Raises:
        InputError: there is no such directory.
    """
    with held(directory, experiment) as path, ExitStack() as stack:
        database, totals = _begun(directory, experiment, path)
        stack.enter_context(database)
        yield database, totals
        if totals is not None and path is not None and totals.is_abandoned:
            discard(path)


def _begun(
    directory: Path, experiment: str, path: Path | None
) -> tuple[duckdb.DuckDBPyConnection, Totals | None]:
    """What cannot be read is thrown away and made again, once."""
    if path is None:
        return connect(directory, locked=False), None
    try:
        return _attached(directory, experiment, path)
    except duckdb.Error as error:
        _log.warning("the running totals of %s cannot be read, and are made again: %s", experiment, error)
    discard(path)
    return _attached(directory, experiment, path)


def _attached(
    directory: Path, experiment: str, path: Path
) -> tuple[duckdb.DuckDBPyConnection, Totals | None]:
    database = connect(directory, locked=False, attached=path)
    try:
        return database, Totals(database, directory, experiment)
    except BaseException:
        database.close()
        raise
