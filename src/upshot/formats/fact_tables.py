"""Tables that exist already, from and to YAML: the sections ``tables`` and ``exposures`` of files of metrics."""

import dataclasses
import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from upshot.formats.flag_findings import Finding, Place, shown
from upshot.formats.flag_rules import NAMED
from upshot.model.fact_table import ExposureTable, FactTable

_NAME = re.compile(r"\w[\w.:-]*")
TABLES, EXPOSURES = "tables", "exposures"
EXAMPLE = "{url: $DATABASE_URL, table: orders, unit: user_id, time: created_at}"

Tables = Mapping[str, FactTable]
Fields = dict[str, Any]

_TEXTS = {
    "experiment": "the column with the experiment's id",
    "phase": "the column with the number of the phase",
    "sql": "a query, such as select * from orders",
    "table": "the name of a table",
    "time": "the column with the time, such as created_at",
    "unit": "the column with the unit's id, such as user_id",
    "url": "a file, or the URL of a database such as $DATABASE_URL",
    "variant": "the column with the variant",
}
"""Field -> what belongs there."""


def read_table(name: str, raw: object, findings: list[Finding]) -> FactTable | None:
    """One table of facts; None where it cannot be read. What is wrong is reported."""
    place = Place(TABLES, name, findings)
    if not _NAME.fullmatch(name):
        place.report(NAMED)
    if not isinstance(raw, Mapping):
        place.report(f"{shown(raw)} is not a table, such as {EXAMPLE}")
        return None
    fields = _fields(raw, FactTable, {field: place.at(field) for field in map(str, (*raw, *_TEXTS))})
    return None if fields is None else FactTable(name=name, **fields)


def read_exposures(raw: object, findings: list[Finding]) -> ExposureTable | None:
    """The table of exposures; None where it cannot be read. What is wrong is reported."""
    if not isinstance(raw, Mapping):
        message = f"{shown(raw)} is not a table, such as {EXAMPLE[:-1]}, variant: variant}}"
        findings.append(Finding(section=EXPOSURES, name="url", message=message))
        return None
    places = {field: Place(EXPOSURES, field, findings) for field in map(str, (*raw, *_TEXTS))}
    fields = _fields(raw, ExposureTable, places)
    return None if fields is None else ExposureTable(**fields)


def _fields(raw: Mapping[Any, Any], cls: type, places: Mapping[str, Place]) -> Fields | None:
    known = fields_of(cls)
    wrong = list(_wrong(raw, known))
    for field, message in wrong:
        places[field].report(message)
    return None if wrong else {field: value for field, value in raw.items() if value is not None}


def _wrong(raw: Mapping[Any, Any], known: Mapping[str, bool]) -> Iterator[tuple[str, str]]:
    """Field and sentence of each mistake."""
    for field, value in raw.items():
        if field not in known:
            close = get_close_matches(str(field), known, n=1)
            mend = f"did you mean {close[0]}?" if close else f"the fields here are {', '.join(known)}"
            yield str(field), f"unknown field: {mend}"
        elif value is not None and not (isinstance(value, str) and value.strip()):
            yield field, f"{shown(value)} is not a text: give {_TEXTS[field]}"
    for field, is_needed in known.items():
        if is_needed and raw.get(field) is None:
            yield field, f"this is missing: give {_TEXTS[field]}"
    if raw.get("sql") is not None and raw.get("table") is not None:
        yield "sql", "a table's rows are those of a query or of a table: leave sql or table out"


def fields_of(cls: type) -> dict[str, bool]:
    """The fields that a file may give to a table of this class, and whether it must."""
    return {
        field.name: field.default is dataclasses.MISSING
        for field in dataclasses.fields(cls)
        if field.name != "name"
    }


def with_tables(fields: Fields, tables: Tables, place: Place) -> Fields:
    """Fields of a metric with tables in the place of their names; a name that is not declared is reported."""
    found = dict(fields)
    if isinstance(fields.get("table"), str):
        found["table"] = _named(fields["table"], tables, place.at("table"))
    if isinstance(fields.get("denominator"), dict):
        found["denominator"] = with_tables(fields["denominator"], tables, place.at("denominator"))
    if isinstance(fields.get("steps"), list):
        steps = place.at("steps")
        found["steps"] = [
            with_tables(step, tables, steps.at(number)) for number, step in enumerate(fields["steps"])
        ]
    return found


def _named(name: str, tables: Tables, place: Place) -> FactTable:
    if name in tables:
        return tables[name]
    near = get_close_matches(name, tables, n=1)
    hint = f"did you mean {near[0]}?" if near else f"declare it in the section {TABLES}, such as {EXAMPLE}"
    place.report(f"there is no table {name}: {hint}")
    return unread_table(name)


def unread_table(name: str) -> FactTable:
    """What stands for a table that cannot be read, so that what else is wrong with a metric is told, too."""
    return FactTable(name=name, url="-", unit="-", time="-")


def table_to_mapping(table: FactTable | ExposureTable) -> dict[str, str]:
    """The fields of one table, but for its name; what is at its default is left out."""
    plain = dataclasses.asdict(table)
    return {field: plain[field] for field in fields_of(type(table)) if plain[field] is not None}
