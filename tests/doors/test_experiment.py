"""`upshot experiment` and `upshot replay`, at their edges; docs/experiments.md tells the whole story."""

import json

import pytest

from upshot.doors.cli.main import main

DESIGN = """
name: Shorter onboarding
flag: onboarding
owner: ann
hypothesis: If we ask for less, more people finish, because each question loses some
plan: {metrics: [conversion_rate], monitoring: fixed, split: {control: 1, short: 1}}
"""


@pytest.fixture
def upshot(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "design.yaml").write_text(DESIGN)

    def run(*words, code=0):
        with pytest.raises(SystemExit) as ended:
            main(list(words))
        told = capsys.readouterr()
        assert ended.value.code == code, told
        return told.out if code == 0 else told.out + told.err

    run("experiment", "new", "design.yaml")
    return run


def test_what_is_proposed_is_listed_and_shown(upshot):
    (listed,) = json.loads(upshot("experiment", "list", "--json"))["experiments"]
    shown = json.loads(upshot("experiment", "show", listed["id"], "--json"))
    assert (shown["state"], shown["design"]["flag"], shown["recommendation"]) == (
        "planned",
        "onboarding",
        None,
    )
    assert "Shorter onboarding" in upshot("experiment", "list")
    assert "flag: onboarding" in upshot("experiment", "show", listed["id"])


def test_what_is_missing_is_said_with_exit_2(upshot):
    (listed,) = json.loads(upshot("experiment", "list", "--json"))["experiments"]
    told = upshot("experiment", "checklist", listed["id"], code=2)
    assert "NO    flag" in told
    assert "It cannot start yet" in told
    refused = upshot("experiment", "start", listed["id"], code=2)
    assert "cannot start has" in refused
    assert "accept it: --acknowledge rollback=REASON" in refused


def test_bad_input_is_one_sentence(upshot):
    assert "there is no experiment EXP-1" in upshot("experiment", "show", "EXP-1", code=2)
    assert "name a FILE or a --template" in upshot("experiment", "new", code=2)
    assert "write NAME=REASON" in upshot("experiment", "acknowledge", "EXP-1", "x", code=2)
    assert "there is no experiment EXP-1" in upshot("replay", "EXP-1", code=2)


def test_a_template_is_proposed_as_it_is(upshot):
    made = json.loads(upshot("experiment", "new", "--template", "onboarding", "--json"))
    assert made["design"]["type"] == "onboarding"
    assert "nobody looked" in upshot("replay", made["id"])
