import json
import threading
from dataclasses import replace

import pytest

from upshot.errors import InputError, NotFoundError
from upshot.store import alerts
from upshot.store.alerts import Finding
from upshot.store.audit import entries, verify

CRASHES = Finding(
    key="guardrail/EXP-2026-001/treatment/crashed",
    subject="experiment/EXP-2026-001",
    severity="critical",
    what="Crashes are 1.8 times control",
    advice="Turn the flag off",
    evidence={"lift": 0.8, "interval": [0.2, 1.6]},
)
SILENCE = replace(CRASHES, key="silence/checkout", subject="flag/checkout", severity="warning")


def change(store, work, *arguments):
    with store.changing("monitor", "every minute") as one:
        return work(one, *arguments)


def read(store, work, *arguments):
    with store.reading() as connection:
        return work(connection, *arguments)


def chain(store):
    with store.reading() as connection:
        assert verify(connection).broken is None
        return entries(connection)


def test_a_new_alert_is_read_as_it_was_raised(store):
    alert = change(store, alerts.sight, CRASHES)
    assert (alert.finding, alert.times, alert.delivered, alert.ended_at) == (CRASHES, 1, {}, None)
    assert alert.first_seen == alert.last_seen
    assert read(store, alerts.find, alert.id) == alert
    (entry,) = chain(store)
    assert (entry.action, entry.actor, entry.subject) == ("alert.raised", "monitor", "alert/1")
    assert json.loads(entry.after)["what"] == CRASHES.what


def test_what_lasts_is_counted_and_not_raised_again(store):
    first = change(store, alerts.sight, CRASHES)
    again = change(store, alerts.sight, replace(CRASHES, what="Crashes are 1.9 times control"))
    assert (again.id, again.times, again.first_seen) == (first.id, 2, first.first_seen)
    assert again.last_seen > first.last_seen
    assert again.finding == CRASHES
    assert len(chain(store)) == 1


def test_several_who_see_it_at_once_raise_one(store):
    threads = [threading.Thread(target=change, args=(store, alerts.sight, CRASHES)) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (alert,) = read(store, alerts.lasting)
    assert alert.times == 5


def test_what_comes_back_after_its_end_is_a_new_alert(store):
    change(store, alerts.sight, CRASHES)
    ended = change(store, alerts.end, CRASHES.key)
    assert ended.ended_at is not None
    assert read(store, alerts.lasting) == ()
    assert change(store, alerts.end, CRASHES.key) is None
    again = change(store, alerts.sight, CRASHES)
    assert (again.id, again.times) == (2, 1)
    assert read(store, alerts.listed) == (again, ended)
    assert read(store, alerts.listed, 1) == (again,)
    assert [entry.action for entry in chain(store)] == ["alert.raised", "alert.ended", "alert.raised"]


def test_each_channel_hears_of_it_once(store):
    crashes, silence = change(store, alerts.sight, CRASHES), change(store, alerts.sight, SILENCE)
    assert read(store, alerts.undelivered, "slack") == (crashes, silence)
    told = change(store, alerts.delivered, crashes.id, "slack")
    assert list(told.delivered) == ["slack"]
    assert read(store, alerts.undelivered, "slack") == (silence,)
    assert [one.id for one in read(store, alerts.undelivered, "mail")] == [crashes.id, silence.id]
    assert change(store, alerts.delivered, crashes.id, "slack") == told
    both = change(store, alerts.delivered, crashes.id, "mail")
    assert both.delivered["slack"] == told.delivered["slack"] < both.delivered["mail"]
    assert [entry.action for entry in chain(store)].count("alert.delivered") == 2
    assert json.loads(chain(store)[-1].before).keys() == {"slack"}


def test_alerts_of_one_subject(store):
    change(store, alerts.sight, CRASHES)
    silence = change(store, alerts.sight, SILENCE)
    assert read(store, alerts.lasting, "flag/checkout") == (silence,)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"key": " "}, "the alert's key is empty"),
        ({"advice": ""}, "the alert's advice is empty"),
        ({"severity": "loud"}, "severity is 'loud': give one of info, warning, critical"),
        ({"what": "a\x00"}, "cannot be stored"),
    ],
)
def test_what_says_nothing_is_refused(store, fields, said):
    with pytest.raises(InputError, match=said):
        change(store, alerts.sight, replace(CRASHES, **fields))
    assert read(store, alerts.listed) == ()


def test_an_unknown_alert_is_said(store):
    with pytest.raises(NotFoundError, match="no alert 7"):
        change(store, alerts.delivered, 7, "slack")
