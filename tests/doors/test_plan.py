import json
import subprocess
import sys

import pytest

from upshot.formats.plans import read_plan


def plan(*arguments):
    command = [sys.executable, "-m", "upshot", "plan", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_floor_is_said_to_be_far_from_enough():
    done = plan("--baseline", "10%", "--effect", "5%", "--monitoring", "fixed", "--weekly", 20000)
    assert "57,760 units in control" in done.stdout
    assert "floor of 1,000" in done.stdout
    assert "far from enough" in done.stdout
    assert "Four ways out" in done.stdout
    assert [f"{n}." in done.stdout for n in (1, 2, 3, 4)] == [True] * 4


def test_json_and_a_date():
    done = plan("--baseline", "10%", "--effect", "20%", "--weekly", 20000, "--by", "2099-12-18", "--json")
    found = json.loads(done.stdout)
    assert found["ways_out"] == []
    assert len(found["in_time"]) == 1
    assert 0 < found["in_time"][0]["effect"] < 0.2
    chances = next(one for one in found["prospects"] if one["effect"] == 0.2)
    assert chances["ship"] == pytest.approx(0.8, abs=0.01)
    assert sum(value for name, value in chances.items() if name != "effect") == pytest.approx(1)


def test_the_written_plan_reads_back(tmp_path):
    file = tmp_path / "plan.yaml"
    done = plan("--baseline", "12.5", "--std", "40", "--kind", "mean", "--effect", "3%", "--r2", "0.4",
                "--metric", "revenue,mean,covariate=before", "--write", file)  # fmt: skip
    assert done.returncode == 0, done.stderr
    written = read_plan(file)
    assert written.minimum_effect == 0.03
    assert written.planned_units == written.maximum_units > 10_000
    assert written.metrics[0].covariates == ("before",)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--baseline", "110%"), "baseline"),
        (("--baseline", "10%", "--alpha", "2"), "alpha"),
        (("--baseline", "5", "--kind", "mean"), "std"),
        (("--baseline", "10%", "--by", "2099-01-01"), "--weekly"),
        (("--baseline", "10%", "--by", "2001-01-01", "--weekly", "5"), "not after"),
        (("--baseline", "10%", "--weekly", "-5"), "weekly"),
        (("--baseline", "10%", "--split", "a=1"), "split names only a"),
        (("--baseline", "10%", "--split", "a=1,b=1,a=2"), "split names a twice"),
        (("--baseline", "ten"), "is no number"),
    ],
)
def test_bad_input_is_one_sentence(arguments, says):
    done = plan(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def past(place):
    """A shop's events of six weeks until now: each unit comes on three days, one in three buys. Returns its folder."""
    from datetime import UTC, datetime, timedelta

    from upshot.events.frame import Frame, Source
    from upshot.events.log import EventLog, Limits

    begun = datetime.now(UTC) - timedelta(days=42)
    log = EventLog.open(place, Limits(free_bytes=0))
    answers = []
    for day in range(42):
        at = int((begun + timedelta(days=day)).timestamp() * 1e6)
        sent = [
            {"type": "track", "messageId": f"{day}-{unit}-{event}", "event": event, "userId": f"u{unit}"}
            for unit in range(300)
            if (day - unit) % 14 == 0
            for event in (("Page Viewed", "Order Completed") if unit % 3 == 0 else ("Page Viewed",))
        ]
        answers.append(log.append(Frame(Source("web"), at, json.dumps({"batch": sent}).encode())))
    for answer in answers:
        answer.result(30)
    log.close()
    return place


def test_a_plan_from_ones_own_events(tmp_path):
    data = past(tmp_path / "data")
    file = tmp_path / "plan.yaml"
    asked = ("--data", data, "--metric", "conversion_rate", "--effect", "30%", "--write", file)
    done = plan(*asked)
    assert done.returncode == 0, done.stderr
    assert "conversion_rate 0.3333" in done.stdout
    assert "300 in 2 wk, 300 in 3 wk" in done.stdout
    assert "Four ways out" in done.stdout, "300 people cannot show it, however long one waits"
    written = read_plan(file)
    assert (written.metrics[0].column, written.metrics[0].kind) == ("conversion_rate", None)
    found = json.loads(plan(*asked[:-2], "--json").stdout)
    assert found["days"] is None
    units = [row["units"] for row in found["in_time"]]
    assert units == pytest.approx([0, 150, 300, 300], abs=2), "an outcome takes 7 days"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--metric", "conversion_rate", "--baseline", "10%"), "--baseline beside --data"),
        (("--metric", "conversion_rate", "--kind", "mean"), "--kind beside --data"),
        ((), "--data needs --metric"),
        (("--metric", "conversion_rat"), "did you mean conversion_rate"),
    ],
)
def test_a_past_that_cannot_be_planned_with_is_one_sentence(tmp_path, arguments, says):
    done = plan("--data", tmp_path, *arguments)
    assert done.returncode == 2
    assert says in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_level_of_a_metric_on_its_own_past(tmp_path):
    data = past(tmp_path / "data")
    command = [
        sys.executable,
        "-m",
        "upshot",
        "aa",
        "conversion_rate",
        "--data",
        str(data),
        "--splits",
        "200",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "The level holds." in done.stdout
    found = json.loads(
        subprocess.run([*command, "--json"], capture_output=True, text=True, check=True).stdout
    )
    assert (found["splits"], found["holds"]) == (200, True)
