"""`upshot assign`, as a person calls it: files in, a file out, sentences where something is wrong."""

import json

import ibis
import pyarrow.parquet as pq
import pytest

from upshot.doors.cli.main import main
from upshot.services.flags import publish
from upshot.store.flag_files import FlagDirectory

YAML = """
flags:
  checkout:
    type: string
    variants: {control: a, treatment: b}
    rules:
      - id: exp
        experiment: {id: EXP-1, split: {control: 1, treatment: 1}, traffic: 80, salt: imported}
  banner:
    type: boolean
    variants: {"on": true, "off": false}
    default: "off"
    rules:
      - {id: ca, when: {attr: zip, op: eq, value: "01234"}, variant: "on"}
"""


@pytest.fixture
def flags(tmp_path):
    folder = tmp_path / "flags"
    folder.mkdir()
    (folder / "flags.yaml").write_text(YAML)
    publish(FlagDirectory(folder), lambda: "salt")
    return str(folder)


@pytest.fixture
def ids(tmp_path):
    path = tmp_path / "ids.csv"
    rows = "".join(f"{n:03},{n % 2 * 1234:05},{n}\n" for n in range(1000))
    path.write_text(f"user_id,zip,visits\n{rows},01234,5\n")
    return str(path)


def run(capsys, *args):
    with pytest.raises(SystemExit) as ended:
        main(["assign", *args])
    assert ended.value.code == 0
    return capsys.readouterr().out


def refused(capsys, *args):
    with pytest.raises(SystemExit) as ended:
        main(["assign", *args])
    assert ended.value.code == 2
    return capsys.readouterr().err


def test_ids_stay_as_they_stand_and_every_column_is_kept(capsys, flags, ids, tmp_path):
    out = tmp_path / "assigned.parquet"
    said = run(capsys, ids, "--id", "user_id", "--flags", flags, "--flag", "checkout", "--out", str(out))
    rows = pq.read_table(out).to_pylist()
    ruleset = publish(FlagDirectory(flags), lambda: "salt").ruleset
    assert rows[7]["user_id"] == "007"
    assert rows[7]["visits"] == 7
    assert [row["variant"] for row in rows] == [
        ruleset.evaluate("checkout", {"targetingKey": row["user_id"]}).variant for row in rows
    ]
    assert "checkout: 1,001 rows, decided in SQL by duckdb" in said
    assert "1 row has no user_id" in said
    assert f"Written to {out}." in said


def test_conditions_are_decided_by_the_sdk(capsys, flags, ids, tmp_path):
    out = tmp_path / "assigned.csv"
    asked = [
        "--id",
        "user_id",
        "--flags",
        flags,
        "--flag",
        "banner",
        "--out",
        str(out),
        "--as",
        "arm",
        "--json",
    ]
    told = json.loads(run(capsys, ids, *asked))
    assert told["decided_by"] == "sdk"
    assert told["variants"] == {"off": 500, "on": 501}
    lines = out.read_text().splitlines()
    assert lines[0] == '"user_id","zip","visits","arm"'
    assert lines[2] == '"001","01234",1,"on"'


def test_counts_as_json_without_a_file(capsys, flags, ids):
    asked = ["--id", "user_id", "--flags", flags, "--experiment", "EXP-1", "--at", "2026-12-01", "--json"]
    told = json.loads(run(capsys, ids, *asked))
    assert told["flag"] == "checkout"
    assert told["at"] == "2026-12-01T00:00:00+00:00"
    assert told["rows"] == 1001 == told["no_variant"] + sum(told["variants"].values())
    assert told["without_id"] == 1
    assert told["out"] is None
    assert "Nothing is written" in run(capsys, ids, *asked[:-1])


def test_the_query_is_printed_and_runs(capsys, flags, tmp_path):
    database = tmp_path / "shop.duckdb"
    backend = ibis.duckdb.connect(str(database))
    backend.create_table("users", {"id": [f"u{n}" for n in range(100)]}, schema={"id": "string"})
    backend.disconnect()
    asked = ["--id", "id", "--flags", flags, "--flag", "checkout", "--sql"]
    query = run(capsys, str(database), *asked)
    assert run(capsys, *asked, "--engine", "duckdb", "--table", "users") == query
    backend = ibis.duckdb.connect(str(database))
    rows = backend.con.execute(query).fetchall()
    backend.disconnect()
    ruleset = publish(FlagDirectory(flags), lambda: "salt").ruleset
    assert rows == [(unit, ruleset.evaluate("checkout", {"targetingKey": unit}).variant) for unit, _ in rows]
    elsewhere = run(capsys, *asked, "--engine", "bigquery", "--table", "acme.shop.users")
    assert "TO_HEX(MD5(CONCAT('imported.'" in elsewhere
    assert "FROM `acme`.`shop`.`users`" in elsewhere
    assert 'FROM "shop"."users"' in run(capsys, *asked, "--engine", "postgres", "--table", "shop.users")


def test_the_query_over_a_file_runs_in_duckdb(capsys, flags, ids):
    query = run(capsys, ids, "--id", "user_id", "--flags", flags, "--flag", "checkout", "--sql")
    backend = ibis.duckdb.connect()
    rows = backend.con.execute(query).fetchall()
    backend.disconnect()
    ruleset = publish(FlagDirectory(flags), lambda: "salt").ruleset
    assert len(rows) == 1001
    assert [row[-1] for row in rows] == [
        ruleset.evaluate("checkout", {"targetingKey": row[0]}).variant for row in rows
    ]


WRONG = [
    (["IDS", "--id", "user", "--flag", "checkout"], "--id asks for user, which is no column"),
    (["IDS", "--id", "user_id", "--flag", "check"], "there is no flag check: did you mean checkout?"),
    (["IDS", "--id", "user_id"], "what shall be assigned: name it with --flag or --experiment"),
    (["--id", "user_id", "--flag", "checkout"], "no data: name a file, or give --sql and --engine"),
    (["--id", "user_id", "--flag", "checkout", "--sql"], "no data: name a file, or say whose SQL"),
    (["--id", "u", "--flag", "checkout", "--sql", "--engine", "oracle"], "oracle is no engine whose md5 is known"),
    (["--id", "u", "--flag", "banner", "--sql", "--engine", "duckdb"], "rule ca has a condition: leave --sql out"),
    (["IDS", "--id", "user_id", "--flag", "checkout", "--engine", "duckdb"], "engine goes with --sql"),
    (["IDS", "--id", "user_id", "--flag", "checkout", "--sql", "--engine", "duckdb"], "engine goes with --sql"),
    (["IDS", "--id", "user_id", "--flag", "checkout", "--out", "x.xlsx"], "ends in .csv or .parquet"),
    (["IDS", "--id", "user_id", "--flag", "checkout", "--out", "no/x.csv"], "there is no folder no: make it"),
    (["IDS", "--id", "user_id", "--flag", "checkout", "--at", "noon"], "at 'noon': write a time such as"),
    (["IDS", "--id", "user_id", "--flag", "checkout", "--as", "zip"], "a column zip already"),
    (["none.csv", "--id", "user_id", "--flag", "checkout"], "there is no file none.csv"),
]  # fmt: skip


@pytest.mark.parametrize(("args", "sentence"), WRONG)
def test_bad_input_is_one_sentence(capsys, flags, ids, args, sentence):
    said = refused(capsys, *(ids if arg == "IDS" else arg for arg in args), "--flags", flags)
    assert sentence in said
    assert said.count("\n") == 1


def test_flags_that_are_not_in_force_assign_nobody(capsys, ids, tmp_path):
    (tmp_path / "flags.yaml").write_text(YAML)
    said = refused(capsys, ids, "--id", "user_id", "--flags", str(tmp_path), "--flag", "checkout")
    assert f"put them into force by `upshot flag apply {tmp_path}`" in said
