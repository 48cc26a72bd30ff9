"""A killed flag is off for everybody, whatever the files say or have wrong, until it is given back."""

import json
from datetime import UTC, datetime

import pytest

from upshot.errors import InputError, NotFoundError
from upshot.services.flag_answer import answer
from upshot.services.flag_lint import lint
from upshot.services.flag_switch import switch
from upshot.services.flags import Flags, applied, publish
from upshot.store.flag_files import LEDGER, FlagDirectory
from upshot.store.kill_file import Switching

NOW = datetime(2026, 11, 24, 13, tzinfo=UTC)
TEXT = "flags: {nav: {percentage: 100, monitoring: {errorThreshold: 0.01}}, pay: {}}"


@pytest.fixture
def store(tmp_path):
    (tmp_path / "flags.yaml").write_text(TEXT)
    return FlagDirectory(tmp_path)


def salt():
    return "salt"


def switching(action="kill", flag="nav", actor="ann", reason="it fails"):
    return Switching(flag=flag, action=action, at=NOW, actor=actor, reason=reason)


def value(published, flag="nav"):
    return published.ruleset.evaluate(flag, {"targetingKey": "u1"}).value


def test_a_kill_and_a_revival(store):
    before = publish(store, salt)
    assert value(before) is True
    assert switch(store, switching())
    killed = publish(store, salt)
    assert (value(killed), value(killed, "pay")) == (None, True)
    assert killed.revision != before.revision
    assert value(applied(store)) is None
    assert switch(store, switching("revive"))
    assert value(publish(store, salt)) is True


def test_the_ledger_holds_what_is_written_and_not_the_kill(store, tmp_path):
    publish(store, salt)
    before = (tmp_path / LEDGER).read_text()
    switch(store, switching())
    publish(store, salt)
    assert (tmp_path / LEDGER).read_text() == before


def test_who_is_revived_is_watched_for_another_time(store):
    """So that what a flag was killed for does not count again, and units that come back are told of again."""

    def watched():
        return {
            key: flag.get("monitored") for key, flag in json.loads(publish(store, salt).body)["flags"].items()
        }

    assert watched() == {"nav": 1, "pay": None}
    for action in ("kill", "revive"):
        switch(store, switching(action))
    assert watched() == {"nav": 2, "pay": None}
    assert publish(store, salt).ruleset.evaluate("nav", {"targetingKey": "u"}).metadata["monitored"] == 2


def test_a_mistake_in_the_files_hinders_no_kill(store, tmp_path):
    flags = Flags(store, salt)
    (tmp_path / "flags.yaml").write_text("flags: {nav: {percentage: 900}}")
    assert not flags.refresh()
    assert value(flags.current) is True
    switch(store, switching())
    assert flags.refresh()
    assert value(flags.current) is None
    assert flags.problems
    assert value(Flags(store, salt).current) is None
    switch(store, switching("revive"))
    assert flags.refresh()
    assert value(flags.current) is True


def test_a_flag_that_is_in_force_but_no_longer_written_can_be_killed(store, tmp_path):
    publish(store, salt)
    (tmp_path / "flags.yaml").write_text("flags: {pay: {percentage: 900}}")
    assert switch(store, switching())
    assert not switch(store, switching())


@pytest.mark.parametrize(
    ("changed", "error", "said"),
    [
        ({"flag": "navv"}, NotFoundError, "there is no flag navv in .*: did you mean nav?"),
        ({"flag": "zzz"}, NotFoundError, "there are nav, pay$"),
        ({"reason": " "}, InputError, "reason is empty: say why"),
        ({"actor": ""}, InputError, "actor is empty: say who does it"),
    ],
)
def test_what_cannot_be_switched(store, changed, error, said):
    publish(store, salt)
    with pytest.raises(error, match=said):
        switch(store, switching(**changed))


def test_it_is_said_why_a_flag_is_off(store):
    publish(store, salt)
    switch(store, switching())
    words = "it is off whatever is written, since 2026-11-24 13:00 UTC, by ann: it fails"
    found = answer(store, "nav", {"targetingKey": "u1"}, salt, NOW)
    assert (found.evaluation.reason, found.because, found.passed) == ("DISABLED", words, {})
    remark = lint(store, salt, NOW).remarks[0]
    assert (remark.about, remark.kind) == ("flags.nav", "killed")
    assert remark.sentence == f"{words}; give it back by `upshot flag revive nav`"
