"""`upshot flag` on a control store: files brought into it, edits of others not lost, switches with their rows."""

import json
from contextlib import chdir, closing, redirect_stderr, redirect_stdout
from io import StringIO
from types import SimpleNamespace

import pytest

from upshot.bootstrap import open_store
from upshot.doors.cli.main import main
from upshot.formats.flags import flags_from_mapping
from upshot.store import audit
from upshot.store.flags import put

ONE = "flags: {nav: {percentage: %s}}"
TRIAL = "flags: {it: {rules: [{id: e, experiment: {id: EXP-1, split: {on: %s, off: 1}}}]}}"


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.delenv("UPSHOT_STORE", raising=False)
    (tmp_path / "files").mkdir()
    write(tmp_path, ONE % 10)
    return tmp_path


def write(place, text):
    (place / "files" / "flags.yaml").write_text(text, encoding="utf-8")


def flag(place, *arguments):
    out, err = StringIO(), StringIO()
    with chdir(place), redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
        main(["flag", *arguments])
    return SimpleNamespace(returncode=ended.value.code, stdout=out.getvalue(), stderr=err.getvalue())


def bring(place, *arguments):
    done = flag(place, "apply", "files", "--data", "data", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def rows(place):
    with closing(open_store(place / "data")) as store, store.reading() as connection:
        return [(row.action, row.subject, row.reason) for row in audit.entries(connection)]


def test_files_are_brought_into_the_store_and_in_force_there(place):
    assert bring(place, "--reason", "launch").endswith("; the store holds the draws\n")
    assert not (place / "files" / "ledger.json").exists()
    assert rows(place) == [("flag.written", "flag/nav", "launch"), ("flags.applied", "flags", "launch")]
    assert "rollout: 10% of everybody get on" in flag(place, "lint", "--data", "data").stdout
    said = flag(place, "eval", "nav", "--data", "data", "--unit", "u1").stdout
    assert said.startswith("nav: ")
    assert "not given out" not in said


def test_what_the_files_lack_stays_in_the_store(place):
    bring(place)
    write(place, "flags: {pay: {percentage: 5}}")
    bring(place)
    assert set(json.loads(flag(place, "lint", "--data", "data", "--json").stdout)["flags"]) == {"nav", "pay"}


def test_the_difference_is_told_before_and_with_its_revision(place):
    bring(place)
    write(place, ONE % 20)
    done = flag(place, "diff", "files", "--data", "data")
    assert done.returncode == 0
    assert "flag nav" in done.stdout
    revision = json.loads(flag(place, "diff", "files", "--data", "data", "--json").stdout)["revision"]
    assert f"upshot flag apply files --data data --since {revision}\n" in done.stdout
    bring(place, "--since", str(revision))
    assert "Nothing was edited" in flag(place, "diff", "--data", "data").stdout


def test_what_somebody_edited_in_the_store_since_is_not_written_over(place):
    bring(place)
    write(place, ONE % 20)
    revision = json.loads(flag(place, "diff", "files", "--data", "data", "--json").stdout)["revision"]
    with closing(open_store(place / "data")) as store, store.changing("bob", "a little more") as change:
        put(change, flags_from_mapping({"flags": {"nav": {"percentage": 15}}}))
    done = flag(place, "apply", "files", "--data", "data", "--since", str(revision))
    assert done.returncode == 2
    assert "flags.nav (revision " in done.stderr
    assert "edited in the store after revision" in done.stderr
    assert len(rows(place)) == 3, "nothing was written"
    bring(place)


def test_an_edit_that_would_spoil_a_running_experiment_leaves_the_store_as_it_was(place):
    write(place, TRIAL % 1)
    bring(place)
    before = rows(place)
    write(place, TRIAL % 3)
    assert flag(place, "diff", "files", "--data", "data").returncode == 2
    done = flag(place, "apply", "files", "--data", "data")
    assert done.returncode == 2
    assert "phase" in done.stderr
    assert rows(place) == before
    assert "Nothing was edited" in flag(place, "diff", "--data", "data").stdout


def test_mistakes_of_files_are_all_told_and_nothing_is_brought(place):
    bring(place)
    write(place, "flags: {a: 5, b: {percentage: 200}}")
    for command in ("diff", "apply"):
        done = flag(place, command, "files", "--data", "data")
        assert done.returncode == 2
        assert "flags.a" in done.stderr
        assert "flags.b.percentage" in done.stderr


def test_flags_of_the_store_are_killed_and_revived_with_their_rows(place):
    bring(place)
    assert flag(place, "kill", "nav", "--data", "data", "--reason", "it fails").returncode == 0
    assert "it is off whatever is written" in flag(place, "lint", "--data", "data").stdout
    assert flag(place, "revive", "nav", "--data", "data", "--reason", "mended").returncode == 0
    assert rows(place)[2:] == [
        ("flag.killed", "flag/nav", "it fails"),
        ("flag.revived", "flag/nav", "mended"),
    ]


def test_kills_of_files_are_recorded_where_there_is_a_store(place):
    bring(place)
    done = flag(place, "kill", "nav", "files", "--data", "data", "--reason", "it fails")
    assert done.stdout == "nav is off for everybody, whatever is written\n"
    assert (place / "files" / "kills.json").exists()
    assert rows(place)[-1] == ("flag.killed", "flag/nav", "it fails")


def test_kills_of_files_need_no_store(place):
    done = flag(place, "kill", "nav", "files", "--reason", "it fails")
    assert (done.returncode, done.stdout) == (0, "nav is off for everybody, whatever is written\n")
    said = flag(place, "revive", "nav", "files", "--data", "data", "--reason", "mended").stdout
    assert said.startswith("nav is as it is written again\n  there is no store in data")
    assert "the audit chain will have it" in said


def test_without_a_word_it_is_the_store_that_is_there(place):
    bring(place)
    (place / "data").rename(place / "upshot-data")
    assert "nav (boolean)" in flag(place, "lint").stdout
    (place / "files").rename(place / "flags")
    write_here = place / "flags" / "flags.yaml"
    write_here.write_text("flags: {pay: {percentage: 5}}", encoding="utf-8")
    assert "pay (boolean)" in flag(place, "lint").stdout


def test_a_store_that_is_not_there_is_told(place):
    done = flag(place, "diff", "--data", "nowhere")
    assert done.returncode == 2
    assert "there is no store in nowhere" in done.stderr
