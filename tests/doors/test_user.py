"""`upshot user` as people call it."""

import json
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from types import SimpleNamespace

import pytest

from upshot.bootstrap import open_store
from upshot.doors.cli.main import main
from upshot.services import sessions


@pytest.fixture
def upshot(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("UPSHOT_STORE", raising=False)

    def call(*arguments):
        out, err = StringIO(), StringIO()
        with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
            main(["user", *arguments])
        return SimpleNamespace(code=ended.value.code, out=out.getvalue(), err=err.getvalue())

    return call


def comes_in(tmp_path, name, password):
    store = open_store(tmp_path / "upshot-data")
    try:
        return sessions.begin(store, name, password, "127.0.0.1")[0].role
    except sessions.LoginError:
        return None
    finally:
        store.close()


def test_the_first_admin_is_made_with_a_random_password_that_is_shown_once(upshot, tmp_path):
    made = upshot("create", "ann", "--role", "admin")
    assert made.code == 0
    password = made.out.split("\n")[2].strip()
    assert len(password) >= 20
    assert comes_in(tmp_path, "ann", password) == "admin"
    other = json.loads(upshot("create", "bob", "--role", "viewer", "--json").out)
    assert other["password"] != password
    listed = upshot("list")
    assert password not in listed.out
    assert [line.split()[:2] for line in listed.out.splitlines()] == [
        ["name", "role"],
        ["ann", "admin"],
        ["bob", "viewer"],
    ]


def test_a_user_gets_another_password_and_role_and_is_disabled_and_enabled(upshot, tmp_path):
    upshot("create", "root", "--role", "admin")
    first = json.loads(upshot("create", "ann", "--role", "viewer", "--json").out)["password"]
    second = json.loads(upshot("password", "ann", "--json").out)["password"]
    assert comes_in(tmp_path, "ann", first) is None
    assert upshot("role", "ann", "editor").out == "ann is editor now\n"
    assert comes_in(tmp_path, "ann", second) == "editor"
    assert upshot("disable", "ann", "--reason", "she left").out.startswith("ann is disabled")
    assert comes_in(tmp_path, "ann", second) is None
    assert upshot("enable", "ann").out == "ann may come in again\n"
    assert comes_in(tmp_path, "ann", second) == "editor"


def test_an_empty_list_says_what_to_do(upshot, tmp_path):
    open_store(tmp_path / "upshot-data", made=True).close()
    assert upshot("list").out == "There are no users: upshot user create NAME --role admin\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["create", "ann", "--role", "root"], "upshot: the role is 'root': use one of viewer"),
        (["create", "a n", "--role", "viewer"], "upshot: the name is 'a n'"),
        (["disable", "root"], "upshot: root is the last admin"),
        (["password", "nobody"], "upshot: there is no user nobody"),
        (["create", "ann"], "Missing option '--role'"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_exit_code_2(upshot, arguments, said):
    upshot("create", "root", "--role", "admin")
    done = upshot(*arguments)
    assert (done.code, done.out) == (2, "")
    assert said in done.err
