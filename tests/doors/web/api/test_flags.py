"""Flags by the API: written, refused, bound to a version, killed, asked; and evaluators that hear of it."""

import time

import pytest

SEGMENT = {"when": {"attr": "beta", "op": "eq", "value": True}}


def put(client, name, fields, section="flags", **headers):
    return client.put(f"/api/{section}/{name}", json={"fields": fields, "reason": "a test"}, headers=headers)


def test_a_flag_is_written_read_changed_and_taken_out(own, flag):
    with own.client("editor") as client:
        made = put(client, "team/checkout", flag)
        assert made.status_code == 200, made.text
        assert made.json()["fields"]["variants"] == flag["variants"]
        read = client.get("/api/flags/team/checkout")
        assert read.json()["killed"] is None
        assert read.headers["ETag"] == made.headers["ETag"] == f'"{made.json()["version"]}"'
        assert [one["name"] for one in client.get("/api/flags").json()["items"]] == ["team/checkout"]
        assert (
            put(client, "team/checkout", flag | {"description": "two"}).json()["fields"]["description"]
            == "two"
        )
        gone = client.delete("/api/flags/team/checkout", params={"reason": "done"})
        assert (gone.status_code, gone.text) == (204, "")
        assert client.get("/api/flags/team/checkout").status_code == 404
        assert client.delete("/api/flags/team/checkout").status_code == 404
    with own.client("analyst") as client:
        rows = client.get("/api/audit?subject=flag/").json()
    assert [row["action"] for row in rows] == ["flag.removed", "flag.written", "flag.written"]
    assert rows[0]["reason"] == "done"


def test_of_two_who_edit_at_once_the_second_is_told(own, flag):
    with own.client("editor") as ann, own.client("admin") as bob:
        read = put(ann, "x", flag).headers["ETag"]
        assert put(bob, "x", flag | {"description": "bob's"}, **{"If-Match": read}).status_code == 200
        late = put(ann, "x", flag | {"description": "ann's"}, **{"If-Match": read})
        assert (late.status_code, "version" in late.json()["errorDetails"]) == (412, True)
        assert ann.delete("/api/flags/x", headers={"If-Match": read}).status_code == 412
        assert ann.get("/api/flags/x").json()["fields"]["description"] == "bob's"
        assert put(ann, "new", flag, **{"If-Match": '"1"'}).status_code == 404
        assert put(ann, "x", flag, **{"If-Match": "*"}).status_code == 200


@pytest.mark.parametrize(
    ("section", "fields"),
    [("segments", SEGMENT), ("layers", {"description": "checkout"}), ("holdouts", {"percentage": 5})],
)
def test_what_flags_are_made_of_is_written_alike(own, section, fields):
    with own.client("editor") as client:
        assert put(client, "thing", fields, section).status_code == 200
        found = client.get(f"/api/{section}/thing").json()
        assert found["fields"] == fields
        assert client.get(f"/api/{section}").json()["items"] == [found]
        assert client.delete(f"/api/{section}/thing").status_code == 204
        assert client.get(f"/api/{section}").json()["total"] == 0


def test_a_segment_that_a_flag_needs_stays_and_a_flag_may_name_one_that_is_there(own, flag):
    rule = {"id": "beta", "segments": ["beta"], "variant": "treatment"}
    with own.client("editor") as client:
        assert put(client, "x", flag | {"rules": [rule]}).status_code == 400
        put(client, "beta", SEGMENT, "segments")
        assert put(client, "x", flag | {"rules": [rule]}).status_code == 200
        refused = client.delete("/api/segments/beta")
        assert (refused.status_code, "beta" in refused.json()["errorDetails"]) == (400, True)
        assert client.get("/api/segments/beta").status_code == 200


def test_an_edit_that_would_spoil_a_running_experiment_is_refused_at_once(own, flag):
    def trial(split):
        return flag | {"rules": [{"id": "exp", "experiment": {"id": "EXP-2026-001", "split": split}}]}

    with own.client("editor") as client:
        assert put(client, "x", trial({"control": 1, "treatment": 1})).status_code == 200
        spoilt = put(client, "x", trial({"control": 1, "treatment": 3}))
        assert spoilt.status_code == 400, spoilt.text
        assert "EXP-2026-001" in spoilt.json()["errorDetails"]
        split = client.get("/api/flags/x").json()["fields"]["rules"][0]["experiment"]["split"]
        assert split == {"control": 1, "treatment": 1}


def test_what_is_written_is_served_a_second_later_and_a_kill_turns_it_off(own, flag):
    def value(sdk):
        asked = {"context": {"targetingKey": "u1"}}
        return sdk.post("/ofrep/v1/evaluate/flags/x", json=asked).json().get("value")

    def becomes(sdk, wanted):
        until = time.monotonic() + 15
        while value(sdk) != wanted:
            assert time.monotonic() < until, "it never came"
            time.sleep(0.05)

    with own.client("editor") as client, own.client("server") as sdk:
        put(client, "x", flag | {"default": "treatment"})
        becomes(sdk, True)
        killed = client.post("/api/flags/x/kill", json={"reason": "cards are refused"})
        assert killed.json() == {"flag": "x", "changed": True}
        becomes(sdk, None)
        assert "cards are refused" in client.get("/api/flags/x").json()["killed"]
        assert client.post("/api/flags/x/kill", json={"reason": "again"}).json()["changed"] is False
        assert client.post("/api/flags/x/kill", json={"reason": ""}).status_code == 400
        assert client.post("/api/flags/y/kill", json={"reason": "typo"}).status_code == 404
        assert client.post("/api/flags/x/revive", json={"reason": "mended"}).json()["changed"] is True
        becomes(sdk, True)


def test_a_flag_says_why_somebody_gets_what_they_get(own, flag):
    rules = [
        {"id": "canada", "when": {"attr": "country", "op": "eq", "value": "CA"}, "variant": "treatment"},
        {"id": "some", "rollout": {"variant": "treatment", "percentage": 0}},
    ]
    with own.client("editor") as client:
        put(client, "x", flag | {"rules": rules})
    with own.client("viewer") as client:

        def ask(context, **more):
            return client.post("/api/flags/x/evaluate", json={"context": context} | more)

        found = ask({"targetingKey": "u1", "country": "CA"}).json()
        assert (found["value"], found["variant"], found["reason"]) == (True, "treatment", "TARGETING_MATCH")
        found = ask({"targetingKey": "u1", "country": "FR"}).json()
        assert (found["variant"], list(found["passed"])) == ("control", ["canada", "some"])
        assert found["passed"]["canada"] == "its condition is not met"
        assert "draw" in found["passed"]["some"]
        assert ask({"targetingKey": "u1"}, at="2026-12-01T00:00:00").status_code == 400
        assert ask({"targetingKey": "u1"}, at="2026-12-01T00:00:00Z").status_code == 200
        assert client.post("/api/flags/y/evaluate", json={"context": {}}).status_code == 404


def test_flags_in_files_are_read_and_switched_and_stay_the_teams(as_files, tmp_path):
    files = tmp_path / "flags"
    files.mkdir()
    (files / "a.yaml").write_text("flags: {x: {type: boolean, enabled: true}}\n", encoding="utf-8")
    with as_files(tmp_path / "data", files) as served, served.client("editor") as client:
        found = client.get("/api/flags/x")
        assert (found.json()["version"], "ETag" in found.headers) == (None, False)
        refused = put(client, "x", {"type": "boolean"})
        assert refused.status_code == 409
        assert "edit the files" in refused.json()["errorDetails"]
        assert client.post("/api/flags/x/kill", json={"reason": "broken"}).json()["changed"] is True
        assert put(client, "x", {"type": "boolean"}, **{"If-Match": '"1"'}).status_code == 412
