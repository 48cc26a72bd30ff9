"""Documents are tests: what they show was run, and what exists is in them."""

import doctest
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def console_blocks():
    for path in DOCUMENTS:
        text = path.read_text(encoding="utf-8")
        for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL):
            command, _, output = block.partition("\n")
            yield pytest.param(command.removeprefix("$ "), output, id=f"{path.name}: {command[2:50]}")


@pytest.mark.parametrize(("command", "output"), list(console_blocks()))
def test_shown_commands_print_what_is_shown(command, output):
    arguments = shlex.split(command)
    assert arguments[0] == "upshot"
    env = {**os.environ, "COLUMNS": "80", "NO_COLOR": "1"}
    done = subprocess.run(
        [sys.executable, "-m", *arguments], capture_output=True, text=True, env=env, check=True
    )
    assert trimmed(done.stdout) == trimmed(output)


def trimmed(text):
    return [line.rstrip() for line in text.strip().splitlines() if line.strip()]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_doctests_of_documents(path):
    failures, _ = doctest.testfile(
        str(path), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    )
    assert failures == 0


def test_the_command_reference_is_fresh():
    done = subprocess.run(
        [sys.executable, "-m", "docs.build", "--check"], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stdout


def test_links_between_documents_lead_somewhere():
    for path in [*DOCUMENTS, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "benchmarks").glob("*.md"))]:
        for link in re.findall(r"\]\(([^)#:]+)\)", path.read_text(encoding="utf-8")):
            assert (path.parent / link).exists(), f"{path.name} links to {link}"


def test_every_package_is_in_the_architecture():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    packages = [path.parent.name for path in (ROOT / "src" / "upshot").glob("*/__init__.py")]
    assert [name for name in packages if f"`{name}`" not in text] == []


def test_plain_make_prints_what_each_target_does():
    done = subprocess.run(["make"], capture_output=True, text=True, cwd=ROOT, check=True)
    for target in ("demo", "test", "check", "bench", "docs"):
        assert f"make {target}" in done.stdout
