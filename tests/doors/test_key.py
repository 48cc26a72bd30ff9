"""`upshot key` and `upshot audit` as people call them, over a folder and over a real PostgreSQL."""

import json
import sqlite3
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from types import SimpleNamespace

import pytest

from upshot.doors.cli.main import main


def call(*arguments):
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return SimpleNamespace(code=ended.value.code, out=out.getvalue(), err=err.getvalue())


@pytest.fixture
def upshot(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("USER", "ann")
    monkeypatch.setenv("LOGNAME", "ann")
    monkeypatch.delenv("UPSHOT_STORE", raising=False)
    return call


def create(upshot, *more):
    done = upshot("key", "create", "--kind", "server", "--source", "shop", "--json", *more)
    assert (done.code, done.err) == (0, "")
    return json.loads(done.out)


def test_a_key_is_created_listed_and_revoked_in_words(upshot):
    made = upshot("key", "create", "--kind", "client", "--source", "web shop")
    assert "It is shown only now" in made.out
    secret = made.out.split()[made.out.split().index("shop:") + 1]
    assert secret.startswith("upshot_client_")
    listed = upshot("key", "list")
    assert secret not in listed.out
    head, row = listed.out.splitlines()
    assert head.split() == ["id", "role", "source", "created", "revoked"]
    key_id = row.split()[0]
    assert row.split()[1:4] == ["client", "web", "shop"]
    revoked = upshot("key", "revoke", key_id, "--reason", "it was in a log")
    assert revoked.out == f"Key {key_id} of web shop is revoked: it opens nothing any more\n"
    assert len(upshot("key", "list").out.splitlines()[1].split()) == 8
    told = upshot("audit", "list").out.splitlines()
    assert "ann: key.created" in told[0]
    assert told[1].endswith(f"ann: key.revoked key/{key_id} (it was in a log)")


def test_the_same_in_json(upshot):
    made = create(upshot, "--reason", "the first")
    assert set(made) == {"id", "kind", "source", "created_at", "revoked_at", "key"}
    assert json.loads(upshot("key", "list", "--json").out)["keys"] == [
        {name: value for name, value in made.items() if name != "key"}
    ]
    assert json.loads(upshot("key", "revoke", made["id"], "--json").out)["revoked_at"] is not None
    first, second = json.loads(upshot("audit", "list", "--json").out)["entries"]
    assert (first["action"], first["reason"], second["action"]) == ("key.created", "the first", "key.revoked")
    assert json.loads(second["before"])["revoked_at"] is None
    assert json.loads(upshot("audit", "list", "--limit", "1", "--json").out)["entries"] == [second]
    assert json.loads(upshot("audit", "list", "--subject", "flag/", "--json").out)["entries"] == []


def test_a_whole_chain_is_told_with_its_head_and_exit_code_0(upshot):
    create(upshot)
    done = upshot("audit", "verify")
    assert done.code == 0
    assert "The chain is whole: 1 row" in done.out
    head = done.out.split()[-1]
    create(upshot)
    assert upshot("audit", "verify", "--head", head).code == 0
    other = upshot("audit", "verify", "--head", "sha256:" + "0" * 63 + "1", "--json")
    assert other.code == 1
    assert "written anew" in json.loads(other.out)["problems"][0]


def test_an_edit_is_told_with_exit_code_1(upshot, tmp_path):
    create(upshot)
    with sqlite3.connect(tmp_path / "upshot-data" / "upshot.db") as connection:
        connection.execute("UPDATE audit SET reason = 'another'")
    done = upshot("audit", "verify")
    assert done.code == 1
    assert done.out.splitlines()[1].startswith("  - row 1 was edited")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["key", "list"], "upshot: there is no store in upshot-data: name another by --data"),
        (["audit", "verify"], "upshot: there is no store in upshot-data"),
        (
            ["key", "create", "--kind", "root", "--source", "a"],
            "upshot: the key's role is 'root': use one of viewer, analyst",
        ),
        (["key", "create", "--kind", "server", "--source", " "], "upshot: the source is ''"),
        (["key", "list", "--store", "mysql://host/name"], "upshot: the store's URL cannot be used (mysql"),
        (
            ["key", "create", "--kind", "server", "--source", "a", "--data", "file"],
            "upshot: the store file/upshot.db",
        ),
        (["key", "create", "--kind", "server"], "Missing option '--source'"),
        (["audit", "list", "--limit", "0"], "Invalid value for '--limit'"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_exit_code_2(upshot, tmp_path, arguments, said):
    (tmp_path / "file").write_text("")
    done = upshot(*arguments)
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert "Traceback" not in done.err


def test_a_key_that_is_not_there_is_said(upshot):
    create(upshot)
    done = upshot("key", "revoke", "0123")
    assert (done.code, done.err) == (2, "upshot: there is no key 0123: `upshot key list` shows the ids\n")
    done = upshot("audit", "verify", "--head", "x")
    assert (done.code, done.err[:20]) == (2, "upshot: the head is ")


def test_an_empty_list_says_what_to_do(upshot, tmp_path):
    from upshot.bootstrap import open_store

    open_store(tmp_path / "upshot-data", made=True).close()
    assert upshot("key", "list").out == "There are no keys: upshot key create --role server --source shop\n"
    assert upshot("audit", "list").out == "Nothing was changed yet.\n"


def test_a_store_that_does_not_answer_is_exit_code_1(upshot):
    pytest.importorskip("psycopg")
    done = upshot("key", "list", "--store", "postgresql://ann:secret@127.0.0.1:1/none")
    assert (done.code, done.out) == (1, "")
    assert "cannot answer" in done.err
    assert "secret" not in done.err


def test_the_store_may_be_a_postgresql_named_by_the_environment(upshot, postgres_store, monkeypatch):
    monkeypatch.setenv("UPSHOT_STORE", postgres_store)
    made = create(upshot)
    assert json.loads(upshot("key", "list", "--json").out)["keys"][0]["id"] == made["id"]
    assert upshot("audit", "verify").code == 0


def test_help_and_what_needs_no_store_import_no_database():
    code = (
        "import sys; from upshot.doors.cli.main import cli; "
        "cli.main(['key', 'create', '--help'], standalone_mode=False); "
        "print([name for name in ('sqlalchemy', 'alembic', 'psycopg') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_store_that_is_up_to_date_is_opened_without_alembic(upshot, tmp_path):
    create(upshot)
    code = (
        "import sys; from pathlib import Path; from upshot.bootstrap import open_store; "
        "open_store(Path('upshot-data')).close(); print('alembic' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout == "False\n"
