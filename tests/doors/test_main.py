import re
import subprocess
import sys
from pathlib import Path

import pytest

from upshot.doors.cli.main import COMMANDS


def python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_help_loads_neither_numbers_nor_engines():
    loaded = python(
        "import sys\nfrom upshot.doors.cli.main import cli\n"
        "cli.main(['--help'], standalone_mode=False)\n"
        "heavy = ('numpy', 'ibis', 'scipy', 'pydantic', 'starlette', 'uvicorn', 'rich')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    assert loaded.endswith("[]\n")
    assert all(name in loaded for name in COMMANDS)


def cpu(code):
    """Least CPU seconds of five fresh processes."""
    timed = f"import time\nstart = time.process_time()\n{code}\nimport sys\nprint(time.process_time(), file=sys.stderr)"
    return min(
        float(
            subprocess.run([sys.executable, "-c", timed], capture_output=True, text=True, check=True).stderr
        )
        for _ in range(5)
    )


def test_help_costs_at_most_twice_the_import_of_click():
    helped = cpu("from upshot.doors.cli.main import cli\ncli.main(['--help'], standalone_mode=False)")
    assert helped <= 2 * cpu("import click")


def test_importing_the_package_costs_nothing():
    assert python("import sys, upshot\nprint('numpy' in sys.modules)") == "False\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command):
    done = subprocess.run(
        [sys.executable, "-m", "upshot", command, "--help"], capture_output=True, text=True, check=True
    )
    assert re.search(r"Examples?:", done.stdout)
    assert f"upshot {command}" in done.stdout


def test_a_wrong_command_suggests_the_right_one():
    done = subprocess.run(
        [sys.executable, "-m", "upshot", "analyse"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "did you mean analyze?" in done.stderr


def test_a_fault_of_ours_is_one_sentence_and_keeps_its_traceback():
    code = "import upshot.doors.cli.main as m\nm.cli.main = lambda **_: 1 / 0\nm.main(['plan'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "a fault of ours" in done.stderr
    kept = done.stderr.split()[-1]
    assert "ZeroDivisionError" in Path(kept).read_text(encoding="utf-8")
