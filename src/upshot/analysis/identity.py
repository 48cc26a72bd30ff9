"""Who is whom: ids that were linked are one person, and a person is analysed once.

On one device the first anonymous id stays the unit after log-in, so nobody changes variant there. Whoever logs in on a
second device is linked to the first: the same variant on both is one unit, whose first exposure counts; two variants
are a conflict, left out and counted as any other unit that met two variants (`analysis.population`).
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from upshot.analysis.columns import missing_column
from upshot.analysis.phrases import units as counted
from upshot.errors import DataError

UNLINKED = "_unlinked_unit"
"""The column that keeps the ids as they came: rows of two devices are no duplicates of one another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Persons:
    """What links say.

    Attributes:
        person: linked id -> the person it belongs to, named by the least of their ids in the order of text.
        links: how many said so. header: the names of the two columns that they were read from.
    """

    person: Mapping[str, str]
    links: int
    header: tuple[str, str] = ("", "")

    @property
    def most(self) -> int:
        """How many ids the person with the most of them has; 0 without links."""
        return max(Counter(self.person.values()).values(), default=0)


def persons_of(links: Iterable[tuple[str | None, str | None]], header: tuple[str, str] = ("", "")) -> Persons:
    """Join linked ids to persons: whoever is linked to somebody of a person belongs to that person too.

    These are the connected components of a graph, found by union with path halving (Tarjan and van Leeuwen 1984), in
    time that grows with the number of links. A pair with an empty id says nothing.

    >>> persons_of([("phone", "ann"), ("laptop", "ann"), ("tablet", "bob"), ("", "bob")]).person
    {'phone': 'ann', 'ann': 'ann', 'laptop': 'ann', 'tablet': 'bob', 'bob': 'bob'}
    """
    parent: dict[str, str] = {}
    count = 0
    for one, other in links:
        if one and other:
            count += 1
            first, second = _root(parent, one), _root(parent, other)
            parent[max(first, second)] = min(first, second)  # so every root is the least of its ids
    return Persons(person={known: _root(parent, known) for known in parent}, links=count, header=header)


def persons_in(events: ir.Table) -> Persons:
    """Who is whom by what was sent: each event with a user and an anonymous id (an alias, too) links them."""
    user, anonymous = events["user_id"], events["anonymous_id"]
    both = events.filter(user.notnull(), anonymous.notnull()).select(anonymous, user).distinct().to_pyarrow()
    columns = (both["anonymous_id"].to_pylist(), both["user_id"].to_pylist())
    return persons_of(zip(*columns, strict=True), ("anonymous_id", "user_id"))


def _root(parent: dict[str, str], known: str) -> str:
    parent.setdefault(known, known)
    while parent[known] != known:
        parent[known] = parent[parent[known]]
        known = parent[known]
    return known


def linked(table: ir.Table, unit: str, persons: Persons) -> ir.Table:
    """The table with persons in its unit column, as text; ids without a link stay as they are.

    Raises:
        DataError: there is no such column.
    """
    if unit not in table.columns:
        raise DataError(missing_column("unit", unit, table.columns))
    known = persons.person
    if table[unit].type().is_integer():  # text of a file and numbers of a table: 007 is 7
        known = {_whole(one): _whole(person) for one, person in known.items()}
    ids = {"_linked_id": list(known), "_person": list(known.values())}
    whom = ibis.memtable(pa.table(ids, pa.schema([(name, pa.string()) for name in ids])))
    texts = table.mutate(**{UNLINKED: table[unit].cast("string")})
    joined = texts.left_join(whom, texts[UNLINKED] == whom["_linked_id"])
    person = ibis.coalesce(joined["_person"], joined[UNLINKED])
    return joined.mutate(**{unit: person}).drop("_linked_id", "_person")


def _whole(text: str) -> str:
    return str(int(text)) if text.isascii() and text.isdigit() else text


def said(table: ir.Table, unit: str, persons: Persons) -> str:
    """What links did to a table that `linked` gave, in a sentence.

    Raises:
        DataError: the header of the links is made of ids of the table: their first line was taken for it.
    """
    ids, who = table[UNLINKED], table[unit]
    asked = {"ids": ids.nunique(), "persons": who.nunique(), "header": ids.isin(list(persons.header)).sum()}
    found = table.aggregate(**asked).to_pyarrow().to_pylist()[0]
    if found["header"]:
        raise DataError(
            f"links: the first line, {','.join(persons.header)}, has ids of the data: give the file a header, such "
            "as anonymous_id,user_id"
        )
    if found["ids"] == found["persons"]:
        return f"{counted(persons.links, 'link')}, and none joins two ids of {unit} in these data"
    people, links = counted(found["persons"], "person"), counted(persons.links, "link")
    return f"{found['ids']:,} values of {unit} are {people} by {links} (at most {persons.most:,} ids for one)"
