"""An experiment by the API from proposal to decision, over a real server that takes its exposures and events."""

import time
from datetime import UTC, datetime, timedelta

import pytest


def visit(served, units, flag="onboarding"):
    """Units ask for the flag, which is their exposure; half of them do what the experiment is about."""
    with served.client("server") as sdk:
        for number in range(units):
            context = {"targetingKey": f"u{number}"}
            assert sdk.post(f"/ofrep/v1/evaluate/flags/{flag}", json={"context": context}).status_code == 200
        batch = [
            {"type": "track", "userId": f"u{number}", "event": "Activated", "messageId": f"m{number}"}
            for number in range(0, units, 2)
        ]
        assert sdk.post("/v1/batch", json={"batch": batch}).json()["accepted"] == len(batch)


@pytest.fixture
def proposed(own, flag, design):
    with own.client("editor") as client:
        assert client.put("/api/flags/onboarding", json={"fields": flag}).status_code == 200
        design["plan"] = {"metrics": ["activation"], "minimum_effect": 0.2, "monitoring": "always_valid"}
        made = client.post("/api/experiments", json={"design": design, "reason": "an idea"})
        assert made.status_code == 201, made.text
        yield client, made


def accepted(client, place):
    """Every item of the checklist that fails and may be accepted."""
    items = client.get(f"{place}/checklist").json()
    return {one["name"]: "for the test" for one in items if one["status"] == "fail" and not one["binding"]}


def test_a_proposal_gets_an_id_and_is_found(proposed, design):
    client, made = proposed
    assert made.json()["id"].startswith("EXP-")
    place = made.headers["Location"]
    found = client.get(place)
    assert found.json() == made.json()
    assert found.headers["ETag"] == '"1"'
    assert (found.json()["state"], found.json()["design"]["name"]) == ("planned", design["name"])
    assert client.get("/api/experiments?state=planned").json()["total"] == 1
    assert client.get("/api/experiments?state=running").json()["items"] == []


def test_an_agent_proposes_and_does_no_more(own, design):
    with own.client("agent") as agent:
        made = agent.post("/api/experiments", json={"design": design})
        assert made.status_code == 201
        place = made.headers["Location"]
        assert agent.get(f"{place}/checklist").status_code == 200
        assert agent.post(f"{place}/start", json={}).status_code == 403
        assert agent.put(place, json={"design": design}).status_code == 403


def test_an_edit_is_bound_to_the_version_that_was_read(proposed, design):
    client, made = proposed
    place, read = made.headers["Location"], made.headers["ETag"]
    design["background"] = "interviews"
    assert client.put(place, json={"design": design}, headers={"If-Match": read}).headers["ETag"] == '"2"'
    late = client.put(place, json={"design": design | {"background": "mine"}}, headers={"If-Match": read})
    assert late.status_code == 412
    assert client.get(place).json()["design"]["background"] == "interviews"
    mistaken = client.put(place, json={"design": design | {"kind": "ui"}})
    assert (mistaken.status_code, "kind is no field" in mistaken.json()["errorDetails"]) == (400, True)


def test_the_checklist_refuses_and_says_all_that_is_missing(proposed):
    client, made = proposed
    place = made.headers["Location"]
    items = client.get(f"{place}/checklist").json()
    failing = {one["name"] for one in items if one["status"] == "fail"}
    assert "events" in failing
    refused = client.post(f"{place}/start", json={"reason": "go"})
    assert refused.status_code == 400
    told = refused.json()["problems"]
    assert failing == {one.partition(":")[0] for one in told}
    assert client.get(place).json()["state"] == "planned"


def test_from_start_to_decision(own, proposed):
    client, made = proposed
    place = made.headers["Location"]
    begun = client.post(
        f"{place}/start",
        json={"reason": "go", "accepted": accepted(client, place)},
        headers={"If-Match": '"1"'},
    )
    assert begun.status_code == 200, begun.text
    assert begun.json()["state"] == "running"
    assert client.post(f"{place}/start", json={}).status_code == 409
    time.sleep(1.5)  # the server looks for edits each second
    visit(own, 60)
    time.sleep(2)  # until the window of all units is over
    with own.client("analyst") as analyst:
        taken = analyst.post(f"{place}/looks")
        assert taken.status_code == 200, taken.text
        look = taken.json()
        assert (look["number"], look["is_new"], look["differs"]) == (1, True, [])
        assert sum(one["n"] for one in look["findings"]["metrics"][0]["variants"].values()) == 60
        again = analyst.get(f"{place}/looks/1").json()
        assert (again["differs"], again["findings"]["verdict"]) == ([], look["findings"]["verdict"])
        assert analyst.get(f"{place}/looks/9").status_code == 404
        assert analyst.get(f"{place}/looks").json()["total"] == 1
        note = analyst.post(f"{place}/notes", json={"sign": "positive", "text": "users like it"})
        assert note.status_code == 201
        assert note.json()["course"]["situation"]["notes"][0]["text"] == "users like it"
        assert analyst.post(f"{place}/decide", json={"verdict": "KILL"}).status_code == 403
    advice = client.get(f"{place}/recommendation").json()
    assert advice["look"] == 1
    assert client.post(f"{place}/stop", json={}).status_code == 400  # before its day without a reason
    assert client.post(f"{place}/stop", json={"reason": "too slow"}).json()["state"] == "analyzing"
    unreasoned = client.post(f"{place}/decide", json={"verdict": "KILL"})
    assert (unreasoned.status_code, "reason" in unreasoned.json()["errorDetails"]) == (400, True)
    decided = client.post(f"{place}/decide", json={"verdict": "KILL", "reason": "no time for it"})
    assert decided.status_code == 200, decided.text
    assert decided.json()["course"]["decision"]["verdict"] == "KILL"
    assert client.post(f"{place}/decide", json={"verdict": "KILL", "reason": "x"}).status_code == 409
    written = client.get(f"{place}/document")
    assert written.headers["Content-Type"].startswith("text/markdown")
    assert "no time for it" in written.text
    page = client.get(f"{place}/document?form=html")
    assert page.headers["Content-Type"].startswith("text/html")
    assert "sandbox" in page.headers["Content-Security-Policy"]
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).date()
    assert made.json()["id"] in client.get(f"/api/reports/weekly?until={tomorrow}").text
    assert client.get("/api/reports/weekly?until=0001-01-01").status_code == 400
    assert "KILL" in client.get("/api/reports/programme").text
    assert client.get("/api/follow-ups").status_code == 200
    learnt = client.get("/api/learnings?text=onboarding").json()["items"]
    assert [one["experiment"] for one in learnt] == [made.json()["id"]]
    rules = client.get("/api/flags/onboarding").json()["fields"]["rules"]
    assert all("experiment" not in rule for rule in rules)


def test_effects_of_a_sealed_experiment_are_in_no_answer(own, proposed, design):
    client, _ = proposed
    design["plan"] = {"metrics": ["activation"], "minimum_effect": 0.2, "monitoring": "fixed"}
    place = client.post("/api/experiments", json={"design": design}).headers["Location"]
    begun = client.post(f"{place}/start", json={"accepted": accepted(client, place)})
    assert begun.status_code == 200, begun.text
    time.sleep(1.5)
    visit(own, 40)
    time.sleep(2)  # until the window of all units is over
    look = client.post(f"{place}/looks").json()
    assert look["is_sealed"] is True
    for answer in (look["findings"], client.get(f"{place}/looks/1").json()["findings"]):
        assert all(one["effect"] is None for one in answer["metrics"][0]["comparisons"])
        assert all(one["mean"] is None for one in answer["metrics"][0]["variants"].values())
    assert client.get(f"{place}/recommendation").json()["is_sealed"] is True
    assert client.post(f"{place}/unseal", json={}).status_code == 400
    with own.client("analyst") as analyst:
        assert analyst.post(f"{place}/unseal", json={"reason": "curious"}).status_code == 403
    seen = client.post(f"{place}/unseal", json={"reason": "a rumour of harm"}).json()
    assert all(one["mean"] is not None for one in seen["metrics"][0]["variants"].values())
    assert client.get(place).json()["course"]["unsealed"]["reason"] == "a rumour of harm"
    assert client.get("/api/alerts").json()["items"][0]["subject"].startswith("experiment/EXP-")


def test_what_went_on_is_read(own):
    with own.client("server") as sdk:
        assert sdk.post("/v1/track", json={"userId": "u1", "event": "Bought"}).status_code == 200
        sdk.post("/v1/track", json={"userId": "u1"})
    time.sleep(0.3)
    with own.client("viewer") as client:
        found = client.get("/api/events/stats").json()
        assert (found["events"], found["rejected"]) == (1, 1)
        assert found["kinds"][0]["event"] == "Bought"
        rejected = client.get("/api/events/rejected").json()["items"]
        assert len(rejected) == 1
        assert "body" not in rejected[0]
        assert client.get("/api/jobs").json() == []
        metrics = client.get("/api/metrics").json()
        one = client.get(f"/api/metrics/{metrics['items'][0]['name']}").json()
        assert one == metrics["items"][0]


def test_what_was_learnt_is_written_down_and_found(own):
    with own.client("analyst") as client:
        made = client.post("/api/learnings", json={"text": "Buttons that move annoy people", "tags": ["ui"]})
        assert made.status_code == 201
        found = client.get("/api/learnings", params={"text": "annoying button"}).json()["items"]
        assert found == [made.json()]
        assert client.get("/api/learnings", params={"text": "prices"}).json()["items"] == []
        missing = client.post("/api/learnings", json={"text": "x", "experiment": "EXP-1999-001"})
        assert missing.status_code == 404
