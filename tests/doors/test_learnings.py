import json
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from types import SimpleNamespace

import pytest
from tests.support.past import Past, design

from upshot.doors.cli.main import main

SEQUENTIAL = design(monitoring="group_sequential")


def run(path, *arguments):
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
        main(["learnings", *arguments, "--data", str(path)])
    return SimpleNamespace(code=ended.value.code, out=out.getvalue(), err=err.getvalue())


@pytest.fixture
def decided(sqlite_store, tmp_path):
    past = Past(sqlite_store, tmp_path)
    for seed, lift, verdict in ((1, 0.15, "SHIP"), (2, 0.15, "SHIP"), (3, -0.15, "KILL")):
        past.decide(past.run(SEQUENTIAL, lift, seed=seed), verdict, variant="treatment")
    past.close()
    return tmp_path


def test_words_find_what_was_learnt_and_what_speaks_for_and_against_it(decided):
    shown = run(decided, "search", "patience", "ship")
    assert (shown.code, shown.err) == (0, "")
    assert "1 · EXP-2026-001 · A shorter form · SHIP · onboarding · " in shown.out
    assert "  Supported by EXP-2026-002 (activation)." in shown.out
    assert "  Contradicted by EXP-2026-003 (activation)." in shown.out
    assert "has these words" in run(decided, "search", "pricing").out


def test_programs_get_it_as_json(decided):
    found = json.loads(run(decided, "list", "--experiment", "EXP-2026-003", "--json").out)["learnings"]
    (one,) = found
    assert (one["id"], one["verdict"], one["type"]) == (3, "KILL", "onboarding")
    assert {(link["experiment"], link["supports"]) for link in one["links"]} == {
        ("EXP-2026-001", False),
        ("EXP-2026-002", False),
    }


def test_people_add_what_they_know(tmp_path):
    assert run(tmp_path, "add", "Teams of one never invite.", "--tag", "viral").out == "learning 1, kept\n"
    assert "#viral" in run(tmp_path, "search", "inviting teams").out
    refused = run(tmp_path, "add", " ")
    assert refused.code != 0
    assert "says nothing: write what was learnt" in refused.err


def test_a_search_for_nothing_says_what_to_write(decided):
    refused = run(decided, "search", "the")
    assert "no word to look for: name some" in refused.err
