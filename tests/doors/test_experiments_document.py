"""What docs/experiments.md shows is done in its order: its files, its commands, over events of a real log."""

import json
import os
import random
import re
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from upshot.bootstrap import new_salt, open_log, open_store
from upshot.events.frame import Frame, Source
from upshot.services.flags import Flags
from upshot.store.flags import StoredFlags

DOCUMENT = (Path(__file__).parents[2] / "docs" / "experiments.md").read_text(encoding="utf-8")
FILES = re.findall(r"```yaml\n# (\S+)\n(.*?)```", DOCUMENT, re.DOTALL)
COMMANDS = re.findall(r"```sh\n(.*?)```", DOCUMENT, re.DOTALL)
SHOWN = re.findall(r"```text\n(.*?)```", DOCUMENT, re.DOTALL)


def send(log, events, at):
    for first in range(0, len(events), 400):
        body = json.dumps({"batch": events[first : first + 400]}).encode()
        log.append(Frame(Source("web"), round(at.timestamp() * 1_000_000), body)).result(30)


def event(unit, name, at, number, **properties):
    return {"type": "track", "messageId": f"{unit}-{number}", "userId": unit, "event": name,
            "timestamp": at.isoformat(), "properties": properties}  # fmt: skip


def past(log):
    """Three weeks in which 150 people came each day, of whom every tenth bought."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    for day in range(-21, 0):
        at = today + timedelta(days=day, hours=12)
        people = [f"p{day}-{number}" for number in range(150)]
        seen = [event(one, "Page Viewed", at, 0) for one in people]
        bought = [event(one, "Order Completed", at, 1) for one in people[:15]]
        send(log, seen + bought, at)


def visits(log, store):
    """What the flag in force gives, and what people make of it: the one page sells much better."""
    served = Flags(StoredFlags(store, "test"), new_salt)
    chance, now = random.Random(3), datetime.now(UTC)
    events = []
    for number in range(4000):
        unit = f"u{number}"
        met = served.current.ruleset.evaluate("checkout", {"targetingKey": unit})
        said = {
            "experiment_id": met.metadata["experiment_id"],
            "phase": met.metadata["phase"],
            "variant": met.variant,
        }
        events.append(event(unit, "Experiment Viewed", now, 0, **said))
        if chance.random() < {"control": 0.1, "treatment": 0.3}[met.variant]:
            events.append(event(unit, "Order Completed", now + timedelta(milliseconds=100), 1))
        if chance.random() < 0.05:
            events.append(event(unit, "Payment Failed", now + timedelta(milliseconds=200), 2))
    send(log, events, datetime.now(UTC))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    made = tmp_path_factory.mktemp("reader")
    for name, text in FILES:
        (made / name).parent.mkdir(exist_ok=True)
        (made / name).write_text(text, encoding="utf-8")
    return made


@pytest.fixture(scope="module")
def printed(place):
    """What each block of commands prints."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "COLUMNS": "120", "NO_COLOR": "1"}

    def run(block):
        done = subprocess.run(
            ("bash", "-ec", block), cwd=place, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    log = open_log(place / "upshot-data")
    past(log)
    told = [run(COMMANDS[0]), run(COMMANDS[1])]
    store = open_store(place / "upshot-data")
    visits(log, store)
    store.close()
    time.sleep(1.2)  # the windows of the last units
    told += [run(block) for block in COMMANDS[2:]]
    log.close()
    return told


def test_there_is_something_to_run():
    assert len(COMMANDS) == 4
    assert len(SHOWN) == 2


def words(text):
    """Figures of traffic depend on the day of the week on which this runs."""
    return re.findall(r"[^\W\d]+", text)


def test_the_checklist_is_what_is_shown(printed):
    assert words(printed[0]) == words(SHOWN[0])


def test_it_starts_and_is_decided_as_its_look_recommends(printed, place):
    assert printed[1].startswith("EXP-2026-001 runs, phase 1, and is to be decided on ")
    assert "SHIP" in (place / "look.txt").read_text()
    assert "the chance to ship it is" in (place / "outlook.txt").read_text()
    decided = (place / "decided.txt").read_text()
    assert "is decided: SHIP, everybody gets treatment; the last step is taken" in decided


def test_the_replay_is_what_is_shown(printed):
    assert words(printed[3]) == words(SHOWN[1])
