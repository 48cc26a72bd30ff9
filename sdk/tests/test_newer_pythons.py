"""Newer Pythons, from npm's pyodide, answer the vectors as this one does."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

NODE = Path(__file__).parent / "node"
SOURCES = Path(__file__).parents[1] / "src"
SCRIPT = NODE / "answers.py"


def answers(*command, **environment):
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=NODE,
        timeout=120,
        check=False,
        env=os.environ | environment,
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def here():
    return answers(sys.executable, str(SCRIPT))


@pytest.mark.parametrize("version", ["3.12", "3.13", "3.14"])
def test_a_newer_python_answers_the_same(version, here):
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node is missing: it runs the newer Pythons")
    if not (NODE / "node_modules" / f"python-{version}").exists():
        pytest.skip("the newer Pythons are missing: run `npm ci` in sdk/tests/node")
    there = answers(node, "run.mjs", f"python-{version}", str(SOURCES), str(SCRIPT))
    assert there.pop("python") == [int(part) for part in version.split(".")]
    assert there == {group: given for group, given in here.items() if group != "python"}


def test_answers_and_the_order_of_problems_do_not_depend_on_the_hash_seed(here):
    assert [answers(sys.executable, str(SCRIPT), PYTHONHASHSEED=seed) for seed in ("1", "2")] == [here, here]
