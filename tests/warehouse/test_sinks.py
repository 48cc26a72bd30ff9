import pyarrow as pa
import pytest

from upshot.errors import DataError, InputError
from upshot.warehouse.sinks import write_rows
from upshot.warehouse.sources import open_table

BATCH = pa.record_batch({"id": ["a", "", None, 'q"uo,te\n'], "n": [1, 2, 3, None]})


@pytest.mark.parametrize("name", ["out.csv", "out.parquet"])
def test_what_is_written_is_read_again(tmp_path, name):
    write_rows(tmp_path / name, iter([BATCH, BATCH]))
    found = open_table(tmp_path / name).to_pyarrow().to_pylist()
    expected = BATCH.to_pylist() * 2
    if name.endswith(".csv"):  # it has one way to write an empty cell
        expected = [{**row, "id": row["id"] or None} for row in expected]
    assert found == expected
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_table_without_rows_has_its_columns(tmp_path):
    write_rows(tmp_path / "out.csv", [BATCH.slice(0, 0)])
    assert (tmp_path / "out.csv").read_text() == '"id","n"\n'


def test_half_a_file_is_no_file(tmp_path):
    (tmp_path / "out.parquet").write_text("before")

    def breaking():
        yield BATCH
        raise DataError("the data broke off")

    with pytest.raises(DataError, match="broke off"):
        write_rows(tmp_path / "out.parquet", breaking())
    assert [path.name for path in tmp_path.iterdir()] == ["out.parquet"]
    assert (tmp_path / "out.parquet").read_text() == "before"


def test_csv_has_no_lists(tmp_path):
    with pytest.raises(DataError, match=r"write \.parquet instead"):
        write_rows(tmp_path / "out.csv", [pa.record_batch({"many": [[1, 2]]})])
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_takes_nothing_is_named(tmp_path):
    (tmp_path / "out.csv").mkdir()
    with pytest.raises(InputError, match=r"out .*out\.csv cannot be written"):
        write_rows(tmp_path / "out.csv", [BATCH])
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]
