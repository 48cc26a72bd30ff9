"""What docs/documents.md shows is run in its order, on a store with two decided experiments and one that runs."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.past import Past, design

from upshot.formats.experiments import read_design
from upshot.store.engine import sqlite_url

DOCUMENT = (Path(__file__).parents[2] / "docs" / "documents.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"```sh\n(.*?)```", DOCUMENT, re.DOTALL)
SHOWN = re.findall(r"```text\n(.*?)```", DOCUMENT, re.DOTALL)


def gone_by(path):
    past = Past(sqlite_url(path / "upshot.db"), path)
    segments = {"DE": 0.3, "FR": -0.05}
    form = design("Shorter sign-up form", monitoring="group_sequential")
    shipped = past.run(form, 0.15, share_rate=0.35, segments=segments)
    past.decide(shipped, "SHIP", variant="treatment", reason="support asked for it, too")
    killed = past.run(design("Shorter form, again", monitoring="group_sequential"), -0.12, seed=5)
    past.decide(killed, "KILL", variant="control", reason="people felt rushed")
    past.run(design("Form on one page"), 0.2, days=3)
    past.close()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    made = tmp_path_factory.mktemp("reader")
    (made / "upshot-data").mkdir()
    gone_by(made / "upshot-data")
    return made


@pytest.fixture(scope="module")
def printed(place):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "COLUMNS": "120", "NO_COLOR": "1", "PYTHONIOENCODING": "utf-8"}
    told = []
    for block in COMMANDS:
        done = subprocess.run(
            ("bash", "-ec", block), cwd=place, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        told.append(done.stdout)
    return told


def test_there_is_something_to_run():
    assert len(COMMANDS) == len(SHOWN) == 6


@pytest.mark.parametrize("number", range(len(COMMANDS)))
def test_commands_print_what_is_shown(printed, number):
    told = printed[number]
    if "learnings add" in COMMANDS[number]:  # it is of today
        told = re.sub(r"· \d+ \w+ \d{4} ·", "· DAY MONTH ·", told)
    assert told.splitlines() == SHOWN[number].splitlines()


def test_what_they_wrote_can_be_used(place, printed):
    assert (place / "EXP-2026-001.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert read_design(place / "two-steps.yaml").flag == "two-steps"
    assert len([read_design(file) for file in (place / "drafts").iterdir()]) == 2
