import json
import subprocess
import sys
from pathlib import Path

import pytest

SHARED = Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture(scope="session")
def shared():
    if not SHARED.is_dir():
        pytest.skip("the real experiments are not at ../shared/data")
    return SHARED


@pytest.fixture
def analyze(shared):
    """Run `upshot analyze ... --json` as a user would, and read what it prints."""

    def run(*arguments):
        command = [sys.executable, "-m", "upshot", "analyze", *map(str, arguments), "--json", "--no-looks"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run
