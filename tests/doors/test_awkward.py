"""Awkward input that a stranger brings, through the command as they type it."""

import json
import sqlite3
from pathlib import Path

import pytest

from upshot.doors.cli.main import main


def test_two_tables_of_one_database_are_no_looks_at_one_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "shop.sqlite"
    with sqlite3.connect(file) as database:
        for table, units in (("summer", 100), ("winter", 200)):
            database.execute(f"create table {table} (arm text, bought integer)")
            rows = [(arm, int(i < 10)) for arm in ("control", "treatment") for i in range(units)]
            database.executemany(f"insert into {table} values (?, ?)", rows)
    database.close()
    asked = ["--variant", "arm", "--control", "control", "--metric", "bought", "--json"]
    for table in ("summer", "winter"):
        with pytest.raises(SystemExit) as end:
            main(["analyze", str(file), "--table", table, *asked])
        assert not end.value.code
        found = json.loads(capsys.readouterr().out)
        assert (found["look"]["number"], found["monitoring"]) == (1, "fixed")
