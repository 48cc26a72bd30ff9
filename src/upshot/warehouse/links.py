"""Links as they come: a file or table of two columns, a pair of ids that are one person in each row."""

from upshot.analysis.identity import Persons, persons_of
from upshot.errors import DataError
from upshot.warehouse.sources import open_table


def read_links(source: str) -> Persons:
    """Who is whom by a source, as `open_table` takes it. Ids are text; a row with an empty id says nothing.

    Raises:
        DataError: it cannot be read, or has not two columns.
    """
    table = open_table(source, as_text=True)
    if len(table.columns) != 2:
        known = ", ".join(table.columns[:20])
        raise DataError(f"links {source}: give two columns, a pair of ids in each row; it has {known}")
    first, second = table.columns
    pairs = table.select(one=table[first].cast("string"), other=table[second].cast("string")).to_pyarrow()
    return persons_of(zip(pairs["one"].to_pylist(), pairs["other"].to_pylist(), strict=True), (first, second))
