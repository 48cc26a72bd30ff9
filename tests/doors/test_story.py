"""The whole story over HTTP, from a template to the lagging check: a server, the SDK, and a clock that is moved."""

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from upshot.bootstrap import open_store, open_workspace
from upshot.services import keys
from upshot.services.as_code import apply, read_directory
from upshot.simulate.clock import SharedClock
from upshot_sdk import Client

MONDAY = datetime(2026, 3, 2, 9, tzinfo=UTC)
KEYS = {"UPSHOT_SERVER_KEY": "server-key-0123456789", "UPSHOT_CLIENT_KEY": "client-key-0123456789"}
DECLARED = """
flags:
  onboarding-three-steps: {variants: {control: seven, treatment: three}, default: control}
  banner: {variants: {control: none, treatment: large}, default: control}
metrics:
  activation: {kind: proportion, event: Activated, window: 1h}
  crashed: {kind: proportion, event: Crashed, window: 1h, better: lower}
  back: {kind: proportion, event: Returned, window: 1h}
"""
PLAN = {
    "metrics": {"primary": ["activation"], "guardrail": ["crashed,max=5%"]},
    "split": {"control": 1, "treatment": 1},
    "minimum_effect": 0.5,
    "monitoring": "group_sequential",
    "planned_units": 1500,
    "minimum_days": 7,
    "maximum_days": 14,
}
DAILY = 330


class Team:
    """People with a key, an application with the SDK, and the clock of both."""

    def __init__(self, directory, clock, client, api):
        self.directory, self.clock, self.client, self.api = directory, clock, client, api
        self.visitors = 0

    def ask(self, method, path, code=200, **body):
        answer = self.api.request(method, path, **({"json": body} if body else {}))
        assert answer.status_code == code, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def until(self, says, within=60):
        """Wait for what the server does by itself, while the clock goes on by seconds."""
        end = time.monotonic() + within
        while not (found := says()):
            assert time.monotonic() < end, "the server did not do it"
            time.sleep(0.2)
            self.clock.move(self.clock.now() + timedelta(seconds=1))
        return found

    def pass_to(self, moment):
        """Let time pass, and the server do what is due by then."""
        self.clock.move(moment)
        self.until(lambda: all(_is_done(job, moment) for job in self.ask("GET", "/jobs")))

    def day(self, visits=DAILY):
        """A day of visitors, who all meet both flags; three steps bring more to their aim, the banner crashes."""
        for _ in range(visits):
            self.visitors += 1
            who = {"targetingKey": f"visitor-{self.visitors}"}
            steps = self.client.evaluate("onboarding-three-steps", who, "seven").variant
            banner = self.client.evaluate("banner", who, "none").variant
            lot = self.visitors % 10
            if lot < (3 if steps == "treatment" else 1):
                self.client.track("Activated", who)
                self.client.track("Returned", who)
            if lot < 4 and banner == "treatment":
                self.client.track("Crashed", who)
            self.client.track("Page Viewed", who)
        assert self.client.flush(60)

    def given(self):
        """What four hundred new visitors are given."""
        units = [{"targetingKey": f"later-{number}"} for number in range(400)]
        return [self.client.evaluate("onboarding-three-steps", who, "seven").variant for who in units]

    def upshot(self, *arguments):
        command = [sys.executable, "-m", "upshot", *arguments, "--data", str(self.directory / "data")]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=self.directory)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def _is_done(job, moment):
    """Whether the looks of a day were taken since its beginning."""
    if job["name"] != "looks":
        return True
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    return job["ended"] is not None and datetime.fromisoformat(job["ended"]) >= midnight


@contextmanager
def serving(directory, clock_file):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("UPSHOT_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "upshot", "serve", "--data", str(directory / "data"), "--port", "0", "--json"],
        cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env=clean | KEYS | {"UPSHOT_CLOCK": str(clock_file)},
    )  # fmt: skip
    try:
        yield json.loads(process.stdout.readline())["url"]
    finally:
        process.terminate()
        process.communicate()


@pytest.fixture
def team(tmp_path):
    clock = SharedClock.create(tmp_path / "clock", MONDAY)
    (tmp_path / "declared").mkdir()
    (tmp_path / "declared" / "all.yaml").write_text(DECLARED)
    workspace = open_workspace(tmp_path / "data", made=True, clock=clock.now)
    apply(workspace, read_directory(tmp_path / "declared"), "ann")
    workspace.close()
    store = open_store(tmp_path / "data", clock=clock.now)
    key = keys.create(store, "admin", "the team", actor="root")[1]
    store.close()
    options = {"directory": tmp_path / "sdk", "start_timeout": 30, "clock": clock.seconds}
    bearer = {"Authorization": f"Bearer {key}"}
    with (
        serving(tmp_path, tmp_path / "clock") as url,
        Client(url, KEYS["UPSHOT_SERVER_KEY"], **options) as client,
        httpx.Client(base_url=f"{url}/api", headers=bearer, timeout=60, trust_env=False) as api,
    ):
        yield Team(tmp_path, clock, client, api)


def test_from_a_template_to_the_lagging_check(team):
    # a worked template, which has no owner yet: the checklist says so, and nothing starts
    design = team.ask("GET", "/templates/onboarding")["design"]
    design |= {"plan": PLAN, "segments": [], "lagging": [{"metric": "back", "after": "30d"}]}
    made = team.ask("POST", "/experiments", 201, design=design, reason="people leave on the forms")
    name = made["id"]
    path = f"/experiments/{name}"
    failed = {one["name"] for one in team.ask("GET", f"{path}/checklist") if one["status"] == "fail"}
    assert {"owner", "events"} <= failed
    assert "owner" in json.dumps(team.ask("POST", f"{path}/start", 400, reason="now"))

    # mended: an owner, and an application that sends events
    team.day(150)
    design |= {"owner": "ann@example.org"}
    team.ask("PUT", path, design=design, reason="ann answers for it")
    failing = {one["name"] for one in team.ask("GET", f"{path}/checklist") if one["status"] == "fail"}
    assert failing <= {"sample_size", "metric_data"}
    accepted = dict.fromkeys(failing, "the shop has just opened")
    team.ask("POST", f"{path}/start", reason="all is there", accepted=accepted)
    banner = {**design, "flag": "banner", "name": "A large banner", "type": "ui", "lagging": []}
    other = team.ask("POST", "/experiments", 201, design=banner, reason="to be seen")["id"]
    team.ask(
        "POST",
        f"/experiments/{other}/start",
        reason="go",
        accepted=accepted | {"conflicts": "both are watched"},
    )

    # traffic; the banner is killed by its guardrail, and the application hears it
    team.clock.move(MONDAY + timedelta(hours=1))
    team.until(lambda: team.client.evaluate("banner", {"targetingKey": "x"}, "none").reason == "SPLIT")
    team.day()
    team.clock.move(MONDAY + timedelta(hours=3))  # crashes count within an hour
    killed = team.until(
        lambda: (found := team.ask("GET", f"/experiments/{other}"))["state"] == "killed" and found
    )
    assert killed["state"] == "killed"
    team.until(lambda: team.client.evaluate("banner", {"targetingKey": "x"}, "none").variant is None)

    # a week of looks that the server takes by itself
    for day in range(1, 8):
        team.pass_to(MONDAY.replace(hour=0) + timedelta(days=day, minutes=10))
        team.clock.move(MONDAY + timedelta(days=day))
        team.day()
    team.pass_to(MONDAY.replace(hour=0) + timedelta(days=8, minutes=10))
    advice = team.ask("GET", f"{path}/recommendation")
    assert (advice["verdict"], advice["winner"]) == ("SHIP", "treatment"), advice
    looks = team.ask("GET", f"{path}/looks")["items"]
    assert len(looks) == 8

    # decided: the winner by the steps of the rollout, a holdback keeps control
    team.ask("POST", f"{path}/decide", verdict="SHIP", reason="as recommended")
    assert team.ask("GET", path)["state"] in ("decided", "completed")
    team.pass_to(MONDAY + timedelta(days=12))
    given = team.until(lambda: (found := team.given()).count("treatment") > 340 and found)
    assert 2 <= given.count("control") <= 45, "a twentieth is held back"

    # documents, the archive, the week, what to ask next
    page = team.upshot("report", name)
    assert "SHIP" in page
    assert "people leave" in page or "three steps" in page
    assert name in json.dumps(team.ask("GET", "/learnings?text=onboarding"))
    week = team.upshot("report", "--weekly", "--as-of", "2026-03-16")
    assert name in week
    assert other in team.upshot("report", "--weekly", "--as-of", "2026-03-09"), "killed in the week before"
    assert team.upshot("learnings", "suggest")
    assert "the same" in team.upshot("replay", name)
    assert team.ask("GET", "/audit/verify")["problems"] == []

    # a month later what was shipped is looked at again
    team.clock.move(MONDAY + timedelta(days=40))
    checked = team.until(
        lambda: (found := team.ask("GET", path))["course"]["lagging"][0]["held"] != "waiting" and found
    )
    assert checked["course"]["lagging"][0]["held"] == "held"
