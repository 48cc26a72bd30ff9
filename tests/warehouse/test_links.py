"""Links out of files: ids are text, whatever they look like."""

import gzip

import pyarrow as pa
import pyarrow.parquet
import pytest

from upshot.errors import DataError
from upshot.warehouse.links import read_links

TEXT = "anonymous_id,user_id\n007,ann\n1e5,\n2026-01-01,ann\n,bob\n"
EXPECTED = {"007": "007", "ann": "007", "2026-01-01": "007"}


def test_ids_in_csv_stay_text(tmp_path):
    (tmp_path / "links.csv").write_text(TEXT)
    (tmp_path / "links.csv.gz").write_bytes(gzip.compress(TEXT.encode()))
    for name in ("links.csv", "links.csv.gz"):
        found = read_links(str(tmp_path / name))
        assert (found.person, found.links, found.header) == (EXPECTED, 2, ("anonymous_id", "user_id"))


def test_numbers_in_parquet_become_text(tmp_path):
    pyarrow.parquet.write_table(
        pa.table({"a": [1, 2, None], "b": ["x", "x", "y"]}), tmp_path / "links.parquet"
    )
    assert read_links(str(tmp_path / "links.parquet")).person == {"1": "1", "x": "1", "2": "1"}


@pytest.mark.parametrize(("text", "columns"), [("only\na\n", "only"), ("a,b,c\n1,2,3\n", "a, b, c")])
def test_two_columns_it_has_to_be(tmp_path, text, columns):
    path = tmp_path / "links.csv"
    path.write_text(text)
    with pytest.raises(
        DataError, match=f"links .*give two columns, a pair of ids in each row; it has {columns}"
    ):
        read_links(str(path))


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(DataError, match="there is no file"):
        read_links(str(tmp_path / "links.csv"))
