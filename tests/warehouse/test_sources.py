"""Real files of every kind, whole and broken."""

import gzip
import sqlite3

import duckdb
import pytest

from upshot.errors import DataError
from upshot.warehouse.sources import open_files, open_table

TEXT = "variant,y\ncontrol,1\ntreatment,2\n"


@pytest.fixture
def make(tmp_path):
    def made(name):
        path = tmp_path / name
        if name.endswith(".gz"):
            path.write_bytes(gzip.compress(TEXT.encode()))
        elif name.endswith(".csv"):
            path.write_text(TEXT)
        elif name.endswith(".parquet"):
            duckdb.sql(f"COPY (SELECT 'control' variant, 1 y UNION ALL SELECT 'treatment', 2) TO '{path}'")
        elif name.endswith(".duckdb"):
            with duckdb.connect(str(path)) as connection:
                connection.execute(
                    "CREATE TABLE visits AS SELECT 'control' variant, 1 y UNION ALL SELECT 'treatment', 2"
                )
        else:
            with sqlite3.connect(path) as connection:
                connection.execute("CREATE TABLE visits (variant TEXT, y INTEGER)")
                connection.execute("INSERT INTO visits VALUES ('control', 1), ('treatment', 2)")
            connection.close()
        return path

    return made


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.parquet", "a.duckdb", "a.sqlite", "a.db"])
def test_each_kind_of_file(make, name):
    table = open_table(make(name))
    assert sorted(table.to_pyarrow().to_pydict()["y"]) == [1, 2]


def test_a_url(make):
    assert open_table(f"duckdb://{make('a.duckdb')}", table="visits").columns == ("variant", "y")


def test_several_files_get_the_variant_from_their_names(tmp_path):
    (tmp_path / "a.csv").write_text("user,y,extra\n1,2,9\n")
    (tmp_path / "b.csv").write_text("user,y\n2,2.5\n")
    table, named = open_files([f"control={tmp_path / 'a.csv'}", f"treatment={tmp_path / 'b.csv'}"])
    assert named
    rows = sorted(table.select("variant", "user", "y").to_pyarrow().to_pylist(), key=lambda row: row["user"])
    assert rows == [
        {"variant": "control", "user": 1, "y": 2.0},
        {"variant": "treatment", "user": 2, "y": 2.5},
    ]
    assert "extra" not in table.columns


def test_one_file_keeps_its_own_variant(make):
    table, named = open_files([str(make("a.csv"))])
    assert (table.count().to_pyarrow().as_py(), named) == (2, False)


BROKEN = {
    "a.csv": (b"", "is empty: give a file with a header and rows"),
    "a.parquet": (b"PAR1half", "cannot be read: it is broken, half-written or of another kind"),
    "a.csv.gz": (b"no gzip at all, but long enough to be one", "cannot be read"),
    "a.duckdb": (b"x" * 5000, "cannot be read"),
    "a.sqlite": (b"x" * 5000, "is no database that can be read|cannot be read"),
    "a.xlsx": (b"PK", "is no kind of file that is known"),
    "semicolons.csv": (b"a;b\n1;2\n", None),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files_are_one_sentence(tmp_path, name):
    content, says = BROKEN[name]
    path = tmp_path / name
    path.write_bytes(content)
    if says is None:
        assert open_table(path).columns == ("a", "b")
        return
    with pytest.raises(DataError, match=says) as caught:
        open_table(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_half_a_parquet_file(make):
    path = make("a.parquet")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="half-written"):
        open_table(path)


def test_a_wrong_path_suggests(make):
    make("visits.csv")
    with pytest.raises(DataError, match=r"did you mean .*visits\.csv"):
        open_table(make("visits.csv").with_name("visit.csv"))


def test_a_wrong_table_suggests(make):
    with pytest.raises(DataError, match="there is no table 'visit': name one with --table"):
        open_table(make("a.duckdb"), table="visit")


def test_no_table_at_all_is_refused():
    with pytest.raises(DataError, match="a int cannot be read as a table"):
        open_table(5)


def test_mixed_sources_are_refused(make):
    with pytest.raises(DataError, match="has no variant: with several files write NAME=FILE"):
        open_files([str(make("a.csv")), f"b={make('b.csv')}"])


def test_named_columns_of_csv_are_read_as_they_stand(tmp_path):
    path = tmp_path / "ids.csv"
    path.write_text("id,zip,n\n1.10,01234,1\n8,2,3\n")
    table = open_table(path, as_text=("id", "zip", "not there"))
    assert table.to_pyarrow().to_pylist()[0] == {"id": "1.10", "zip": "01234", "n": 1}
    assert open_table(path, as_text=("not there",)).to_pyarrow().to_pylist()[0]["id"] == 1.1
    assert open_table(path, as_text=True).to_pyarrow().to_pylist()[0]["n"] == "1"
