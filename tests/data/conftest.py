import json
from pathlib import Path

import pytest

from upshot.doors.cli.main import main

SHARED = Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture(scope="session")
def shared():
    if not SHARED.is_dir():
        pytest.skip("the real experiments are not at ../shared/data")
    return SHARED


@pytest.fixture
def analyze(shared, capsys):
    """Run `upshot analyze ... --json` as a user would, and read what it prints."""

    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            main(["analyze", *map(str, arguments), "--json", "--no-looks"])
        out, err = capsys.readouterr()
        assert not ended.value.code, err
        return json.loads(out)

    return run
