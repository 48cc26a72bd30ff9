"""`upshot look` end to end: flags and events over real sockets by the SDK, then the verdict of a table made by hand."""

import csv
import json
import os
import subprocess
import sys

import httpx
import pytest
from benchmarks import live_aa
from benchmarks.live_aa import KEYS, flag, serving

from upshot_sdk import Client

PLAN = """\
planned_units: 900
minimum_days: 1
floor: 500
split: {control: 1, treatment: 1}
metrics:
  primary: [converted]
  secondary: [spent]
  guardrail: ["crashed,max=20%"]
"""
METRICS = """\
metrics:
  converted: {kind: proportion, event: Bought}
  spent: {kind: mean, event: Bought, value: usd}
  crashed: {kind: proportion, event: Crashed, better: lower}
"""
UNITS = 2000


def upshot(place, *arguments, code=0):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("UPSHOT_")}
    done = subprocess.run(
        [sys.executable, "-m", "upshot", *arguments],
        cwd=place, capture_output=True, text=True, env=clean | {"COLUMNS": "100"}, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    return done.stderr if code == 2 else done.stdout


def behave(client):
    """Each unit meets the flag and does what its number says; the variant makes more of them buy."""
    people = [{"targetingKey": f"user-{number}"} for number in range(UNITS)]
    variants = [client.evaluate("world-1", person, "a").variant for person in people]
    assert client.flush(60), "exposures are there before anything is done: a request may overtake another"
    for number, (person, variant) in enumerate(zip(people, variants, strict=True)):
        row = {
            "user_id": person["targetingKey"],
            "group": variant,
            "converted": 0,
            "spent": 0.0,
            "crashed": 0,
        }
        if number * 7919 % 100 < (20 if variant == "control" else 30):
            row |= {"converted": 1, "spent": number % 50 + 0.25}
            client.track("Bought", person, {"usd": row["spent"]})
        if number * 104_729 % 100 < 2:
            row["crashed"] = 1
            client.track("Crashed", person)
        yield row
    assert client.flush(60)


def disturb(url):
    """What happens on the way: an event that is sent twice, and a unit that met the other variant as well."""
    seen = {"experiment_id": "EXP-2026-001"}
    batch = [
        {"type": "track", "event": "Bought", "userId": "user-1", "messageId": "again", "properties": {"usd": 1000}},
        *(
            {"type": "track", "event": "Experiment Viewed", "userId": "user-7", "messageId": variant,
             "properties": seen | {"variant": variant}}
            for variant in ("control", "treatment")
        ),
    ]  # fmt: skip
    for _ in range(3):
        answer = httpx.post(
            f"{url}/v1/batch", json={"batch": batch}, auth=(KEYS["UPSHOT_SERVER_KEY"], ""), trust_env=False
        )
        assert answer.json() == {"success": True, "accepted": 3, "rejected": []}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A workspace after its experiment: data of a server, the plan, the metrics, and the same as a table."""
    place = tmp_path_factory.mktemp("shop")
    for folder in ("flags", "metrics"):
        (place / folder).mkdir()
    (place / "flags" / "flags.yaml").write_text("flags:\n" + flag(1), encoding="utf-8")
    (place / "metrics" / "shop.yaml").write_text(METRICS, encoding="utf-8")
    (place / "plan.yaml").write_text(PLAN, encoding="utf-8")
    with serving(place) as url:
        with Client(url, KEYS["UPSHOT_SERVER_KEY"], start_timeout=30, directory=place / "sdk") as client:
            rows = list(behave(client))
        disturb(url)
    rows[1] |= {"converted": 1, "spent": rows[1]["spent"] + 1000}
    with (place / "table.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, rows[0])
        table.writeheader()
        table.writerows(row for row in rows if row["user_id"] != "user-7")
    return place


LOOK = ("look", "EXP-2026-001", "--data", "data")


@pytest.fixture(scope="module")
def looked(place):
    return json.loads(upshot(place, *LOOK, "--plan", "plan.yaml", "--json", "--exit-code", code=10))


def numbers(value, path=()):
    """Every number of a document with where it stands."""
    if isinstance(value, dict):
        for name, below in value.items():
            yield from numbers(below, (*path, name))
    elif isinstance(value, list):
        for number, below in enumerate(value):
            yield from numbers(below, (*path, number))
    elif isinstance(value, int | float):
        yield path, value


def test_the_verdict_is_that_of_the_table_by_hand(place, looked):
    by_hand = json.loads(
        upshot(
            place,
            "analyze",
            "table.csv",
            "--plan",
            "plan.yaml",
            "--unit",
            "user_id",
            "--variant",
            "group",
            "--json",
        )
    )
    found, expected = (dict(numbers(one["metrics"])) for one in (looked, by_hand))
    assert found.keys() == expected.keys()
    assert len(expected) > 80
    for where, value in expected.items():
        assert found[where] == pytest.approx(value, abs=1e-9), where
    assert looked["verdict"]["verdict"] == by_hand["verdict"]["verdict"] == "SHIP"
    assert looked["look"]["units"] == by_hand["look"]["units"]
    assert sum(looked["look"]["units"].values()) == UNITS - 1


def test_what_happened_on_the_way_is_told(looked):
    conflicts = next(check for check in looked["checks"] if check["name"] == "exposure_conflicts")
    assert conflicts["detail"].startswith("1 unit of 2,000")
    assert (looked["experiment"], looked["phase"], looked["is_new"], looked["is_sealed"]) == (
        "EXP-2026-001", 1, True, False,
    )  # fmt: skip


def test_people_read_it_and_get_a_report(place, looked):
    told = upshot(place, *LOOK, "--report", "look.html")
    assert looked["verdict"]["headline"] in " ".join(told.split())
    assert told.endswith("look 1 of EXP-2026-001: nothing is new since, so no other was taken\n")
    assert "<html" in (place / "look.html").read_text(encoding="utf-8")


def test_a_look_is_given_again(place, looked):
    assert upshot(place, *LOOK, "--replay", "1").endswith(
        "look 1 of EXP-2026-001, given again from what was kept: the same as it was\n"
    )
    again = json.loads(upshot(place, *LOOK, "--replay", "1", "--json"))
    assert again["verdict"] == looked["verdict"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("EXP-2026-001", "--data", "nowhere"), "there is no directory nowhere"),
        (("EXP-2026-002", "--data", "data"), "EXP-2026-002 was not looked at yet: name its plan with --plan"),
        (("EXP-2026-001", "--data", "data", "--plan", "none.yaml"), "the plan none.yaml does not exist"),
        (("EXP-2026-001", "--data", "data", "--metrics", "none"), "there is no directory none"),
        (("EXP-2026-001", "--data", "data", "--as-of", "noon"), "as-of 'noon' is no time"),
        (("EXP-2026-001", "--data", "data", "--as-of", "2999-01-01"), "as-of 2999-01-01 is still to come"),
        (("EXP-2026-001", "--data", "data", "--report", "a.pdf"), "give a name that ends in .html or .md"),
        (("EXP-2026-001", "--data", "data", "--replay", "9"), "has no look 9"),
        (("EXP-2026-001", "--data", "data", "--replay", "1", "--plan", "plan.yaml"), "--plan with --replay"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(place, looked, arguments, said):
    assert looked
    told = upshot(place, "look", *arguments, code=2)
    assert said in told
    assert told.count("\n") == 1


def test_like_against_like_by_http_is_rarely_called_different():
    """20 worlds of 300 units, seed 1; `python -m benchmarks.live_aa` plays 1,000 of them."""
    found = live_aa.played(20, 300, seed=1)
    assert [one.units for one in found] == [300] * 20
    assert len({one.p_value for one in found}) > 10
    assert sum(one.significant for one in found) <= live_aa.bound(20)
    assert [one.failed for one in found] == [()] * 20


def test_programs_are_looked_for(place, looked):
    found = json.loads(upshot(place, "bots", "EXP-2026-001", "--data", "data", "--json"))
    assert found["whole"]["verdict"] == looked["verdict"]["verdict"]
    assert found["whole"]["lift"] == pytest.approx(looked["metrics"][0]["comparisons"][0]["lift"])
    told = upshot(place, "bots", "EXP-2026-001", "--data", "data")
    assert "look like programs" in told or "looks like a program" in told
