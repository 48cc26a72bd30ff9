"""What was gathered of each unit of an experiment, brought to now: by new events alone where that is enough.

The state that is kept holds what is compacted, as of one moment. What came since, the tail included, and what that
changes (who is whom, who was exposed first and when) comes on top of it for one question.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import duckdb
import ibis
import ibis.expr.types as ir
import pyarrow as pa

from upshot.analysis.event_question import EventQuestion
from upshot.analysis.gathering import TIME, UNIT, marks_of, sources_of
from upshot.analysis.identity import persons_of
from upshot.analysis.totals import advanced
from upshot.analysis.unit_table import as_of_in, first_exposures, unit_of, with_metrics
from upshot.events.manifest import open_manifest
from upshot.model.event_metric import ANY
from upshot.model.flag import TARGETING_KEY
from upshot.services.totals_file import Meta, naive, transaction

MUCH = 0.05
"""From this share of the marks on, what is new is brought into the state that is kept; less comes on top each time."""

Whom = Mapping[int, int]
"""The number of an id -> that of its person, of those that differ."""


@dataclass(frozen=True, slots=True)
class _State:
    """What the state that is kept holds: events that arrived by then and happened before a moment."""

    arrival: int
    as_of: datetime


class UnitTotals:
    """One question, asked of the totals of its experiment."""

    def __init__(
        self, database: duckdb.DuckDBPyConnection, meta: Meta, manifest: Path, question: EventQuestion
    ) -> None:
        """
        Args:
            database: with the views of events, the file of totals attached, and the views ``exposed`` and ``linked``.
            meta: what the file says of itself. manifest: of the data directory. question: of one phase.
        """
        self._database, self._meta, self._manifest, self._question = database, meta, manifest, question
        self._plain = replace(question, experiment=None, persons=None)  # of whom rows here are already
        self._backend = ibis.duckdb.from_connection(database)
        self._is_numbered = question.unit == TARGETING_KEY
        self._name = f"state_{question.phase}"

    def units(self) -> ir.Table | None:
        """The table of units; None: the state has seen more than is asked about."""
        self._follow()
        state = self._state()
        if state is not None and self._question.as_of < state.as_of:
            return None
        if state is None or self._is_much(state):
            state = self._keep(state)
        whom = self._whom("linked")
        self._view("now", "exposed", "all_marks", whom)
        units = first_exposures(self._backend.table("now_exposures"), self._plain, as_text=False)
        return with_metrics(units, self._advanced("now", state, whom), self._plain)

    # Marks: events that count for a metric

    def _follow(self) -> None:
        """Take the events that are compacted since; those of the tail beside them."""
        sources = sources_of(self._question.measured)
        key, run = repr((self._question.unit, sources)), self._database.execute
        self._define("tail_marked", "tail")
        until, is_known = int(self._meta.get("exposures") or 0), self._meta.get("marks") == key
        since = int(self._meta.get("marks_arrival") or 0) if is_known else 0
        if until > since:
            self._define("marked", "events")
        with transaction(self._database):
            if not is_known:
                self._meta.forget("state_")
                self._meta.put(marks=key, marks_arrival="0")
                run("CREATE OR REPLACE TABLE kept.marks AS FROM tail_marked LIMIT 0")
            if until > since:
                run("INSERT INTO kept.marks FROM marked WHERE arrival > ? AND arrival <= ?", [since, until])
                self._meta.put(marks_arrival=str(until))
        run("CREATE OR REPLACE TEMP TABLE tail_marks AS FROM tail_marked")
        run("CREATE OR REPLACE TEMP VIEW all_marks AS FROM kept.marks UNION ALL FROM tail_marks")

    def _define(self, view: str, table: str) -> None:
        """A view of the marks of a table; compiling it costs a tenth of a second, so only what is read is defined."""
        self._database.execute(
            f"CREATE OR REPLACE TEMP VIEW {view} AS {ibis.to_sql(self._marks(table), dialect='duckdb')}"
        )

    def _marks(self, table: str) -> ir.Table:
        sources = sources_of(self._question.measured)
        events = self._backend.table(table)
        names = {source.event for source in sources if source.event is not None}
        if ANY not in names:
            events = events.filter(events["event"].isin(sorted(names)))
        unit = (
            events["unit_number"]
            if self._is_numbered
            else unit_of(events, self._question.unit, self._question.engine)
        )
        marks = marks_of(events, sources, self._question.engine)
        known = events.select(**{UNIT: unit, TIME: events["time"]}, **marks, arrival=events["arrival"])
        return known.filter(known[UNIT].notnull())

    # The state that is kept

    def _state(self) -> _State | None:
        said = json.loads(self._meta.get(self._name) or "{}")
        if said.get("metrics") != repr(self._question.measured):
            return None
        return _State(said["arrival"], datetime.fromisoformat(said["as_of"]))

    def _is_much(self, state: _State) -> bool:
        asked = "SELECT count(*) FILTER (arrival > ? OR _time >= ?), count(*) FROM kept.marks WHERE _time < ?"
        times = [state.arrival, naive(state.as_of), naive(self._question.as_of)]
        new, whole = self._database.execute(asked, times).fetchone() or (0, 0)
        return bool(new > MUCH * whole)

    def _keep(self, state: _State | None) -> _State:
        """Bring the state to what is compacted."""
        whom = self._whom("kept.links")
        self._view("kept", "kept.exposures", "kept.marks", whom)
        found = ibis.to_sql(self._advanced("kept", state, whom), dialect="duckdb")
        after = _State(int(self._meta.get("marks_arrival") or 0), self._question.as_of)
        said = {
            "metrics": repr(self._question.measured),
            "arrival": after.arrival,
            "as_of": after.as_of.isoformat(),
        }
        with transaction(self._database):
            self._database.execute(f"CREATE OR REPLACE TABLE kept.next AS {found}")
            self._database.execute(f"DROP TABLE IF EXISTS kept.{self._name}")
            self._database.execute(f"ALTER TABLE kept.next RENAME TO {self._name}")
            self._table(f"kept.whom_{self._question.phase}", whom)
            self._meta.put(**{self._name: json.dumps(said)})
        return after

    def _advanced(self, view: str, state: _State | None, whom: Whom) -> ir.Table:
        """The totals of all units of a view, from the state and what it does not have."""
        marks = self._backend.table(f"{view}_marks")
        seen = marks.filter(marks[TIME] < as_of_in(marks, self._question, TIME))
        units = first_exposures(self._backend.table(f"{view}_exposures"), self._plain, as_text=False)
        before = None if state is None else self._unchanged(whom)
        new = seen
        if state is not None:
            moment = ibis.literal(naive(state.as_of), marks[TIME].type())
            new = seen.filter(
                seen["arrival"].isnull() | (seen["arrival"] > state.arrival) | (seen[TIME] >= moment)
            )
        found = advanced(units, before, seen, new, self._plain)
        if found is None:
            raise ValueError("nothing is asked of these units")
        return found

    def _unchanged(self, whom: Whom) -> ir.Table:
        """The state, without persons who are others now."""
        state = self._backend.table(self._name, database=("kept", "main"))
        kept = self._database.table(f"kept.whom_{self._question.phase}").fetchall()
        before = dict(kept)
        changed = {one for one in {**before, **whom} if before.get(one, one) != whom.get(one, one)}
        if not changed:
            return state
        others = {found.get(one, one) for one in changed for found in (before, whom)}
        self._table("others", dict.fromkeys(others, 0), temp=True)
        gone = self._backend.table("others")
        return state.anti_join(gone, state[UNIT] == gone["number"])

    # Who is whom

    def _whom(self, links: str) -> Whom:
        """By numbers, who is whom; of one person's numbers the least that is kept stands for all."""
        if not self._is_numbered:
            return {}
        pairs = self._database.table(links).fetchall()
        persons = persons_of(pairs).person
        numbers = self._numbers(persons)
        people: dict[str, list[int]] = {}
        for name, number in numbers.items():
            people.setdefault(persons[name], []).append(number)
        stands = {
            who: min(found, key=lambda number: (number < 0, abs(number))) for who, found in people.items()
        }
        return {
            number: stands[persons[name]]
            for name, number in numbers.items()
            if stands[persons[name]] != number
        }

    def _numbers(self, names: Iterable[str]) -> dict[str, int]:
        """Those that did something have one; who is not compacted yet has one below 0."""
        strangers = self._database.execute(
            "SELECT DISTINCT unit, unit_number FROM tail WHERE unit_number < 0"
        ).fetchall()
        with open_manifest(self._manifest) as manifest:
            known = manifest.numbers(names)
        asked = set(names)
        return {**known, **{unit: number for unit, number in strangers if unit in asked}}

    def _view(self, name: str, exposures: str, marks: str, whom: Whom) -> None:
        """Exposures and marks by person, where that is another."""
        self._table(f"whom_{name}", whom, temp=True)
        unit, rest = "number" if self._is_numbered else "unit_id", "phase, variant, time, attributes"
        shown, marked = f"SELECT {unit} AS unit_id, {rest} FROM {exposures}", f"FROM {marks}"  # noqa: S608 - our names
        if whom:
            person = f"LEFT JOIN whom_{name} AS whom"
            shown = (
                f"SELECT COALESCE(person, e.number) AS unit_id, {rest} FROM {exposures} AS e {person} "  # noqa: S608
                "USING (number)"
            )
            marked = (
                f"SELECT COALESCE(person, m.unit) AS unit, m.* EXCLUDE (unit) FROM {marks} AS m {person} "  # noqa: S608
                "ON m.unit = whom.number"
            )
        self._database.execute(f"CREATE OR REPLACE TEMP VIEW {name}_exposures AS {shown}")
        self._database.execute(f"CREATE OR REPLACE TEMP VIEW {name}_marks AS {marked}")

    def _table(self, name: str, whom: Whom, *, temp: bool = False) -> None:
        pairs = pa.table(
            {"number": pa.array(list(whom), pa.int64()), "person": pa.array(list(whom.values()), pa.int64())}
        )
        self._database.register("_pairs", pairs)
        self._database.execute(f"CREATE OR REPLACE {'TEMP ' if temp else ''}TABLE {name} AS FROM _pairs")
        self._database.unregister("_pairs")
