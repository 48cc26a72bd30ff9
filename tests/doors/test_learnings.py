import json
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from types import SimpleNamespace

import pytest
from tests.support.past import Past, design

from upshot.doors.cli.main import main
from upshot.formats.experiments import design_from_mapping, read_design

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


@pytest.fixture
def surprising(sqlite_store, tmp_path):
    past = Past(sqlite_store, tmp_path)
    past.decide(past.run(SEQUENTIAL, 0.15, share_rate=0.4), "SHIP", variant="treatment")
    past.close()
    return tmp_path


def test_what_to_ask_next_is_suggested_and_drafted(surprising):
    shown = run(surprising, "suggest", "--write", str(surprising / "drafts"))
    assert shown.out.startswith(
        "EXP-2026-001 · surprise\n  share_rate of treatment became better, which nobody asked for"
    )
    (file,) = (surprising / "drafts").iterdir()
    assert shown.out.endswith(f"draft: {file}\n")
    read = read_design(file)
    assert [metric.name for metric in read.plan.of_role("primary")] == ["share_rate"]
    file.write_text("mine")
    run(surprising, "suggest", "--write", str(surprising / "drafts"))
    assert file.read_text() == "mine"


def test_suggestions_for_programs(surprising):
    (one,) = json.loads(run(surprising, "suggest", "--json").out)["follow_ups"]
    assert (one["kind"], one["experiment"]) == ("surprise", "EXP-2026-001")
    assert design_from_mapping(one["draft"]).tags[-1] == "from EXP-2026-001"


def test_nothing_to_suggest_and_nowhere_to_write(decided, tmp_path):
    (tmp_path / "file").write_text("")
    refused = run(decided, "suggest", "--write", str(tmp_path / "file"))
    assert refused.code != 0
    assert "drafts cannot be written" in refused.err
