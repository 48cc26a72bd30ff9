"""What docs/api.md shows is done in its order, against a server that is started as people start it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from shutil import which

import pytest

DOCUMENT = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"```sh\n(.*?)```", DOCUMENT, re.DOTALL)
PLACES = re.findall(r"^\| `[a-z].*\|.*\|$", DOCUMENT, re.MULTILINE)
KEYS = {"UPSHOT_SERVER_KEY": "server-key-0123456789", "UPSHOT_CLIENT_KEY": "client-key-0123456789"}


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    """What all commands print, one answer a line."""
    if which("curl") is None:
        pytest.skip("the document asks by curl, which is not installed")
    place = tmp_path_factory.mktemp("reader")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | KEYS | {"PATH": path, "no_proxy": "*"}
    command = [sys.executable, "-m", "upshot", "serve", "--port", "0", "--json", "--data", "upshot-data"]
    server = subprocess.Popen(command, cwd=place, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        url = json.loads(server.stdout.readline())["url"]
        script = "\n".join(COMMANDS).replace("http://127.0.0.1:8790", url)
        script = script.replace('"$@"; }', '"$@" && echo; }')
        done = subprocess.run(
            ["bash", "-euc", script], cwd=place, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        yield [json.loads(line) for line in done.stdout.splitlines()]
    finally:
        server.terminate()
        server.communicate()


def test_each_command_answers_what_the_text_says(printed):
    flag, experiment, checklist, planned, answer = printed
    assert flag["fields"]["variants"] == {"control": "long", "treatment": "short"}
    assert (experiment["state"], experiment["design"]["name"]) == ("planned", "Shorter checkout")
    assert {one["status"] for one in checklist} >= {"pass", "fail"}
    assert [one["id"] for one in planned["items"]] == [experiment["id"]]
    assert (answer["value"], answer["variant"], answer["reason"]) == ("long", "control", "STATIC")


def test_every_place_that_it_names_is_described():
    from upshot.doors.web.api.app import create_api
    from upshot.doors.web.api.parts import Parts

    paths = create_api(Parts(store=None, workspace=None, defined=None)).openapi()["paths"]
    known = {re.sub(r"\{\w+\}", "X", path).strip("/") for path in paths}
    beginnings = {path.partition("/")[0] for path in known}
    named = {
        re.sub(r"\b(ID|KEY|N)\b", "X", place)
        for row in PLACES
        for place in re.findall(r"`([^`]+)`", row.split("|")[1])
    }
    assert named <= known
    assert beginnings == {place.partition("/")[0] for place in named}
