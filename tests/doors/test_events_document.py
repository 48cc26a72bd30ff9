"""What docs/events.md shows is run in its order, against a real server: requests, answers, commands, the query."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from shutil import which

import duckdb
import pytest

DOCUMENT = (Path(__file__).parents[2] / "docs" / "events.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"```sh\n(.*?)```", DOCUMENT, re.DOTALL)
ANSWERS = re.findall(r"```json\n(.*?)\n```", DOCUMENT, re.DOTALL)
(QUERY,) = re.findall(r"```sql\n(.*?)```", DOCUMENT, re.DOTALL)
TAKEN = '{"success":true,"accepted":1,"rejected":[]}'

pytestmark = pytest.mark.skipif(which("curl") is None, reason="needs curl, as the reader does")


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    """What each block of commands prints, in a directory where a server runs; and the directory."""
    directory = tmp_path_factory.mktemp("reader")
    (directory / "flags").mkdir()
    keys = {"UPSHOT_SERVER_KEY": "server-key-0123456789", "UPSHOT_CLIENT_KEY": "client-key-0123456789"}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | keys | {"PATH": path, "no_proxy": "*"}
    serve = [sys.executable, "-m", "upshot", "serve", "--flags", "flags", "--port", "0", "--json"]
    server = subprocess.Popen(
        serve, cwd=directory, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        environment["UPSHOT_URL"] = json.loads(server.stdout.readline())["url"]
        yield (
            [
                subprocess.run(
                    ["bash", "-ec", block],
                    cwd=directory, env=environment, capture_output=True, text=True, check=True,
                ).stdout
                for block in COMMANDS
            ],
            directory,
        )  # fmt: skip
    finally:
        server.terminate()
        server.communicate()


def test_requests_are_answered_as_shown(printed):
    first, verdicts, exposure, own, _ = printed[0]
    assert [first, verdicts] == ANSWERS
    assert [exposure, own] == [TAKEN, TAKEN]


def test_commands_show_what_was_sent(printed):
    told = printed[0][-1]
    assert "4 events of 2 units" in told
    assert "1 message rejected, 0 sent twice" in told
    assert "1  event is missing: give the name of what happened" in told
    assert (
        'server  user-1  Experiment Event  {"experiment_id": "EXP-2026-001", "variant": "treatment"' in told
    )
    assert "4 events in events.parquet" in told


def test_the_seeds_event_can_be_asked_by_its_properties(printed):
    with duckdb.connect(config={"file_search_path": str(printed[1])}) as database:
        assert database.sql(QUERY).fetchall() == [("user-1", 3.0)]
        ((properties,),) = database.sql(
            "SELECT properties FROM 'events.parquet' WHERE event = 'Experiment Event'"
        ).fetchall()
    assert json.loads(properties) == {
        "experiment_id": "EXP-2026-001",
        "variant": "treatment",
        "action": "share",
        "value": 3,
        "metadata": {"channel": "e-mail"},
    }
