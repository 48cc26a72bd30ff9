"""Assign a table of units: which variant a flag gives to each row, by the rules that are in force.

Where the flag asks for nothing but ids, the table's own engine draws; where it has conditions, the SDK decides row
by row over the columns that they name. Both give the same, row for row.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from difflib import get_close_matches
from typing import Any
from uuid import UUID

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.compute as pc

from upshot.assignment.asked import Asked, asked
from upshot.assignment.draw_sql import ENGINES, as_unit, digest_of, register_md5
from upshot.assignment.flag_sql import beyond_sql, decided
from upshot.errors import DataError, InputError, NotFoundError
from upshot.model.flag import TARGETING_KEY
from upshot.services.flags import Published, applied
from upshot.store.flag_store import FlagStore

BATCH = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """What shall be assigned.

    Attributes:
        published, payload: the flags in force, compiled and as JSON.
        flag: its key.
        experiment: only units that this experiment enrols get a variant; None: whatever the flag gives.
        id: the column of unit ids. column: what the new column of variants is called.
        now: rules are in force or not at this time.
    """

    published: Published
    payload: Mapping[str, Any]
    flag: str
    experiment: str | None
    id: str
    column: str
    now: datetime

    @property
    def asked(self) -> tuple[Asked, ...]:
        """The attributes that the flag asks for, the unit's id first."""
        return (
            Asked(name=TARGETING_KEY, where="--id", as_text=True, drawn=True),
            *asked(self.flag, self.payload),
        )

    def column_of(self, attribute: str) -> str:
        """The ids are the targeting key; other attributes go by the names of their columns."""
        return self.id if attribute == TARGETING_KEY else attribute

    @property
    def texts(self) -> frozenset[str]:
        """Columns that are read as they stand, where a file has no types."""
        return frozenset(self.column_of(needed.name) for needed in self.asked if needed.as_text)

    @property
    def beyond_sql(self) -> str | None:
        """Why the SDK must decide; None where SQL can."""
        return beyond_sql(self.payload["flags"][self.flag], self.now)


@dataclass(slots=True)
class Tally:
    """How many rows got which variant, counted while they pass.

    Attributes:
        rows: all of them. without_id: those without an id. variants: rows by variant; None: no variant.
    """

    rows: int = 0
    without_id: int = 0
    variants: Counter[str | None] = field(default_factory=Counter)

    def counting(self, batches: Iterable[pa.RecordBatch], assignment: Assignment) -> Iterator[pa.RecordBatch]:
        """The same batches; each is counted when it is taken."""
        for batch in batches:
            self.rows += len(batch)
            self.without_id += batch.column(assignment.id).null_count
            for entry in pc.value_counts(batch.column(assignment.column)).to_pylist():
                self.variants[entry["values"]] += entry["counts"]
            yield batch

    def shares(self) -> list[tuple[str, int]]:
        """Variants with their rows by name, those without one last."""
        named = sorted((name, rows) for name, rows in self.variants.items() if name is not None)
        return [*named, ("none", self.variants[None])] if self.variants[None] else named

    def to_dict(self) -> dict[str, Any]:
        variants = {name: rows for name, rows in sorted(self.variants.items(), key=str) if name is not None}
        none = self.variants[None]
        return {"rows": self.rows, "without_id": self.without_id, "variants": variants, "no_variant": none}


def plan_assignment(
    store: FlagStore,
    *,
    flag: str | None,
    experiment: str | None,
    id: str,  # noqa: A002  # what the option is called
    column: str,
    now: datetime,
) -> Assignment:
    """What shall be assigned by the flags that were applied last.

    Raises:
        InputError: nothing was applied yet, or neither flag nor experiment is named.
        NotFoundError: there is no such flag or experiment.
    """
    published = applied(store)
    payload = json.loads(published.body)
    return Assignment(
        published=published,
        payload=payload,
        flag=_flag(payload, flag, experiment),
        experiment=experiment,
        id=id,
        column=column,
        now=now,
    )


def _flag(payload: Mapping[str, Any], flag: str | None, experiment: str | None) -> str:
    """The flag that is asked for, or that the experiment is on."""
    flags = payload["flags"]
    if flag is not None and flag not in flags:
        raise NotFoundError(f"there is no flag {flag}: {_near(flag, flags)}")
    if experiment is None:
        if flag is None:
            raise InputError("what shall be assigned: name it with --flag or --experiment")
        return flag
    running = {
        rule["experiment"]["id"]: key
        for key in ([flag] if flag else flags)
        for rule in flags[key]["rules"]
        if "experiment" in rule
    }
    if experiment not in running:
        on = f" on flag {flag}" if flag else ""
        raise NotFoundError(f"there is no experiment {experiment}{on}: {_near(experiment, running)}")
    return running[experiment]


def _near(name: str, names: Iterable[str]) -> str:
    known = sorted(names)
    near = get_close_matches(name, known, n=1)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(known[:20]) or 'none'}"


# In SQL


def query(table: ir.Table, assignment: Assignment, engine: str | None = None) -> ir.Table:
    """The table with its column of variants, as the engine draws them.

    Args:
        table: bound, or not where only the text of the query is wanted.
        assignment: what shall be assigned.
        engine: whose SQL it will be; None: the table's own.

    Raises:
        DataError: the flag needs more than SQL, a column is missing or no column of ids, the engine is unknown.
    """
    if assignment.beyond_sql:
        raise DataError(
            f"flag {assignment.flag} is more than SQL decides, since {assignment.beyond_sql}: leave --sql out, and the "
            "SDK decides row by row"
        )
    engine = engine or _engine(table)
    digest_of(engine)
    check_columns(table, assignment)
    return table.mutate(**{assignment.column: _variants(table, assignment, engine)})


def _variants(table: ir.Table, assignment: Assignment, engine: str) -> ir.StringValue:
    def units(name: str) -> ir.StringValue:
        return as_unit(table[assignment.column_of(name)])

    flag = assignment.payload["flags"][assignment.flag]
    return decided(flag, assignment.payload, units, engine, assignment.now, assignment.experiment)


def unbound(name: str, assignment: Assignment) -> ir.Table:
    """A table of this name, somewhere, with the columns of ids that the flag draws on; dots lead to its database."""
    *above, own = name.split(".")
    database, catalog = ([*reversed(above), None, None])[:2]
    columns = dict.fromkeys(sorted(assignment.texts), "string")
    return ibis.table(columns, name=own, database=database, catalog=catalog)


def _engine(table: ir.Table) -> str:
    backend = table.get_backend()
    if backend.name == "sqlite":
        register_md5(backend.con)
    return str(backend.name)


def check_columns(table: ir.Table, assignment: Assignment) -> None:
    """Refuse a table that lacks what the flag asks for, or has a column of the new one's name.

    Raises:
        DataError: it names the column and who asks for it.
    """
    if assignment.column in table.columns:
        raise DataError(f"there is a column {assignment.column} already: name the new one with --as")
    for needed in assignment.asked:
        name = assignment.column_of(needed.name)
        member = not needed.drawn and name.partition(".")[0] in table.columns
        if name not in table.columns and not member:
            raise DataError(
                f"{needed.where} asks for {name}, which is no column: add it, with empty cells where it is unknown "
                f"(there are {', '.join(table.columns[:20])})"
            )
    for name in _unit_columns(table, assignment):
        as_unit(table[name])


def _unit_columns(table: ir.Table, assignment: Assignment) -> list[str]:
    drawn = {assignment.column_of(needed.name) for needed in assignment.asked if needed.drawn}
    return [name for name in table.columns if name in drawn]


# Row by row


def assign(table: ir.Table, assignment: Assignment) -> tuple[str, Iterator[pa.RecordBatch]]:
    """Who decides (an engine, or ``sdk``), and the table with its column of variants, in batches.

    Raises:
        DataError: a column is missing or no column of ids; while batches are read, ids look mistaken.
    """
    check_columns(table, assignment)
    units = _unit_columns(table, assignment)
    engine = table.get_backend().name
    if assignment.beyond_sql is None and engine in ENGINES:
        found = query(table, assignment).to_pyarrow_batches(chunk_size=BATCH)
        return engine, (_sound(batch, units) for batch in found)
    read = table.to_pyarrow_batches(chunk_size=BATCH)
    return "sdk", (_by_sdk(_sound(batch, units), assignment) for batch in read)


def _sound(batch: pa.RecordBatch, units: Sequence[str]) -> pa.RecordBatch:
    """Refuse ids such as ``7.0``: whole numbers that a program wrote as floats are other ids."""
    for name in units:
        ids = batch.column(name)
        if not (pa.types.is_string(ids.type) or pa.types.is_large_string(ids.type)) or ids.null_count == len(
            ids
        ):
            continue
        if pc.all(pc.match_substring_regex(ids, r"^-?[0-9]+\.0$")).as_py():
            first = pc.drop_null(ids)[0].as_py()
            raise DataError(
                f"column {name} has {first}, and all its ids end in .0: a program read whole numbers as floats; write "
                "them as whole numbers, as the application sends them"
            )
    return batch


def _by_sdk(batch: pa.RecordBatch, assignment: Assignment) -> pa.RecordBatch:
    evaluate = assignment.published.ruleset.evaluate
    now, flag, experiment = assignment.now, assignment.flag, assignment.experiment
    answers = (evaluate(flag, context, None, now) for context in _contexts(batch, assignment))
    variants = [
        answer.variant if experiment is None or answer.metadata.get("experiment_id") == experiment else None
        for answer in answers
    ]
    return batch.append_column(assignment.column, pa.array(variants, pa.string()))


def _contexts(batch: pa.RecordBatch, assignment: Assignment) -> Iterator[dict[str, Any]]:
    """Each row as a context of the attributes that the flag asks for."""
    columns: dict[str, list[Any]] = {}
    for needed in assignment.asked:
        name = assignment.column_of(needed.name)
        whole = name if name in batch.schema.names else name.partition(".")[0]
        attribute = TARGETING_KEY if needed.name == TARGETING_KEY else whole
        columns.setdefault(attribute, [_plain(value) for value in batch.column(whole).to_pylist()])
    for row in zip(*columns.values(), strict=True):
        yield dict(zip(columns, row, strict=True))


def _plain(value: object) -> object:
    """A value as an application would send it: numbers as floats, times with their offset (UTC where none is)."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, datetime) and value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    return str(value) if isinstance(value, UUID) else value
