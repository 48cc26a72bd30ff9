"""What docs/live.md shows is done in its order: its files, its application against a real server, its commands."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from benchmarks.live_aa import KEYS, serving

DOCUMENT = (Path(__file__).parents[2] / "docs" / "live.md").read_text(encoding="utf-8")
FILES = re.findall(r"```yaml\n# (\S+)\n(.*?)```", DOCUMENT, re.DOTALL)
(PROGRAM,) = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
COMMANDS = re.findall(r"```sh\n(.*?)```", DOCUMENT, re.DOTALL)
SHOWN = re.findall(r"```text\n(.*?)```", DOCUMENT, re.DOTALL)


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    """What each command prints after the application has run."""
    place = tmp_path_factory.mktemp("reader")
    for name, text in FILES:
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).write_text(text, encoding="utf-8")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | KEYS | {"PATH": path, "COLUMNS": "80", "NO_COLOR": "1", "no_proxy": "*"}

    def run(*command):
        done = subprocess.run(
            command, cwd=place, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    with serving(place, "upshot-data") as url:
        environment |= {"UPSHOT_URL": url, "UPSHOT_SDK_DIR": str(place / "sdk")}
        run(sys.executable, "-c", PROGRAM)
        time.sleep(1.1)  # the windows of the last units
        yield [run("bash", "-ec", block) for block in COMMANDS]


def test_there_is_something_to_run():
    assert [name for name, _ in FILES] == ["flags/checkout.yaml", "metrics/shop.yaml", "plan.yaml"]
    assert len(COMMANDS) == len(SHOWN) == 2


@pytest.mark.parametrize("number", range(len(COMMANDS)))
def test_commands_print_what_is_shown(printed, number):
    """Word by word: draws differ from run to run, and so do figures."""
    told, shown = (re.findall(r"[^\W\d]+", text) for text in (printed[number], SHOWN[number]))
    assert told == shown
