"""Flags that are kept in files stay the team's: the start and decisions say what to write, and a kill works."""

from dataclasses import replace

import pytest

from upshot.bootstrap import new_salt
from upshot.formats.flags import flags_from_yaml, flags_to_yaml
from upshot.formats.yaml_text import read_yaml
from upshot.services.automatic import complete
from upshot.services.decisions import Choice, decide
from upshot.services.enrolment import to_write
from upshot.services.experiments import start
from upshot.services.flags import Flags, publish
from upshot.store.flag_files import FlagDirectory

CHECKOUT = "flags: {checkout: {variants: {control: long, treatment: short}, default: control}}"


@pytest.fixture
def files(lab, tmp_path):
    """The same workspace, with its flags in a directory."""
    directory = tmp_path / "flags"
    directory.mkdir()
    (directory / "checkout.yaml").write_text(CHECKOUT)
    lab.workspace = replace(lab.workspace, flags=FlagDirectory(directory))
    publish(lab.workspace.flags, new_salt)
    lab.served = Flags(lab.workspace.flags, new_salt, lambda: lab.now)
    return directory


def write(files, rules):
    plain = read_yaml(CHECKOUT, "")
    plain["flags"]["checkout"]["rules"] = read_yaml(rules, "")["rules"]
    (files / "checkout.yaml").write_text(flags_to_yaml(flags_from_yaml(str(plain).replace("'", '"'))))


def started(lab, files):
    name = lab.proposed()
    begun = start(lab.workspace, name, "ann", "all is there")
    assert lab.given() == {"control": 200}
    write(files, to_write(lab.workspace, begun))
    publish(lab.workspace.flags, new_salt)
    assert min(lab.given().values()) > 60
    return begun


def test_the_start_says_which_rule_to_write_with_the_salt_of_the_chain(lab, files):
    begun = started(lab, files)
    place = f"experiment/{begun.id}/phase-1"
    assert lab.workspace.flags.read().ledger.salts[place] == begun.course.salts[place]
    assert to_write(lab.workspace, begun) == ""


def test_a_kill_turns_the_flag_off_and_says_what_to_write(lab, files):
    begun = started(lab, files)
    decided = decide(lab.workspace, begun.id, Choice(verdict="KILL", reason="it burns"), "ann")
    assert lab.workspace.flags.read().kills.off["checkout"].reason == "it burns"
    assert decided.state == "decided"
    assert "write for rule EXP-2026-001 of flag checkout" in decided.course.decision.edit
    assert "variant: control" in decided.course.decision.edit
    assert complete(lab.workspace, begun.id, "ann", "it is written").state == "completed"


def test_what_wins_is_said_and_nothing_is_written(lab, files):
    begun = started(lab, files)
    for _ in range(9):
        lab.visits(270, buy=(0.1, 0.3))
        lab.pass_time(days=1)
    lab.look(begun.id)
    before = (files / "checkout.yaml").read_text()
    decided = decide(lab.workspace, begun.id, Choice(verdict="SHIP"), "ann")
    assert "variant: treatment" in decided.course.decision.edit
    assert (files / "checkout.yaml").read_text() == before
