"""Servers that ask by OFREP, flag by flag, have no SDK that records exposures: this server does."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from upshot.model.flag import Flag, Rule, Trial

PATH = "/ofrep/v1/evaluate/flags"
SERVER, CLIENT = {"X-API-Key": "server-key-0123456789"}, {"X-API-Key": "client-key-0123456789"}


def ask(client, flag, unit="user-1", **context):
    return client.post(f"{PATH}/{flag}", json={"context": {"targetingKey": unit, **context}}).json()


def exposures(running):
    found, rejected = running.events()
    assert rejected == []
    assert {event.event for event in found} <= {"Experiment Viewed"}
    return [(event, json.loads(event.properties)) for event in found]


def test_what_an_experiment_decides_for_a_server_is_an_exposure(own):
    with own.client(SERVER) as client:
        answer = ask(client, "team/checkout", country="DE")
    assert answer["reason"] == "SPLIT"
    assert own.soon(lambda: own.frames())
    ((event, properties),) = exposures(own)
    assert (event.source, event.type, event.user_id) == ("server", "track", "user-1")
    assert abs(event.time / 1e6 - own.clock()) < 5
    del properties["instance"], properties["seq"]
    assert properties == {
        "experiment_id": "EXP-2026-001",
        "phase": 1,
        "variant": answer["variant"],
        "flag": "team/checkout",
        "revision": answer["metadata"]["version"],
        "unit": "targetingKey",
        "unit_id": "user-1",
        "attributes": {"country": "DE"},
    }


def test_each_unit_is_exposed_once(own):
    with own.client(SERVER) as client:
        for unit in ("user-1", "user-2", "user-1", "user-1"):
            ask(client, "team/checkout", unit)
    assert own.soon(lambda: len(own.frames()) == 2)
    assert {properties["unit_id"] for _, properties in exposures(own)} == {"user-1", "user-2"}


def test_nothing_else_is_an_exposure(own):
    """Bulk, the clients' key, a rule without an experiment, a rollout, an error."""
    with own.client(SERVER) as server, own.client(CLIENT) as client:
        assert server.post(PATH, json={"context": {"targetingKey": "user-1"}}).status_code == 200
        assert ask(client, "team/checkout")["reason"] == "SPLIT"
        assert ask(server, "team/checkout", country="CA")["reason"] == "TARGETING_MATCH"
        assert ask(server, "sessions", session="s1")["reason"] in ("SPLIT", "DEFAULT")
        ask(server, "plain")
        ask(server, "nothing")
        assert server.post(f"{PATH}/team/checkout", json={"context": {}}).status_code == 400
        ask(server, "team/checkout", "last")
    assert own.soon(lambda: own.frames())
    assert [properties["unit_id"] for _, properties in exposures(own)] == ["last"]


def test_answers_go_on_where_the_disk_fails_and_the_exposure_comes_with_a_later_one(own, monkeypatch):
    def broken(_):
        raise OSError(5, "Input/output error")

    with own.client(SERVER) as client:
        with monkeypatch.context() as patched:
            patched.setattr("upshot.events.segment.sync", broken)
            assert ask(client, "team/checkout")["reason"] == "SPLIT"  # taken, and lost by the disk
            assert own.soon(lambda: own.log.state.refused)
            assert ask(client, "team/checkout", "user-2")["reason"] == "SPLIT"  # refused at once
        assert own.soon(lambda: own.log.state.fault is None)
        for unit in ("user-1", "user-2"):
            assert ask(client, "team/checkout", unit)["reason"] == "SPLIT"
        assert own.soon(lambda: len(own.frames()) == 2)
    assert {properties["unit_id"] for _, properties in exposures(own)} == {"user-1", "user-2"}


@pytest.mark.parametrize("pad", [40_000])
def test_an_exposure_that_is_too_large_is_told_and_stops_nothing(start, caplog, pad):
    flag = Flag(
        key="large",
        type="boolean",
        variants={"on": True, "off": False},
        rules=(
            Rule(
                id="exp",
                experiment=Trial(id="EXP-2026-002", split={"on": 1, "off": 1}, attributes=("pad",)),
            ),
        ),
    )
    with start([flag]) as running, running.client(SERVER) as client:
        assert ask(client, "large", pad="x" * pad)["reason"] == "SPLIT"
    assert "an exposure of EXP-2026-002 is not recorded" in caplog.text


def test_many_at_once_are_exposed_once_each(own):
    def some(number):
        with own.client(SERVER) as client:
            for unit in range(20):
                ask(client, "team/checkout", f"user-{unit}")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(some, range(4)))
    assert own.soon(lambda: len(own.frames()) >= 20)
    units = [properties["unit_id"] for _, properties in exposures(own)]
    assert sorted(units) == sorted({f"user-{number}" for number in range(20)})
