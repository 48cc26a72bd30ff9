"""The first section of docs/flags.md is run as it stands, but for the ports and for more patience."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

DOCUMENT = Path(__file__).parents[2] / "docs" / "flags.md"
SECTION = DOCUMENT.read_text(encoding="utf-8").partition("# Flag files")[0]
FILES = re.findall(r"```\w+\n(?:# |<!-- )([\w./]+)(?: -->)?\n(.*?)```", SECTION, flags=re.DOTALL)
COMMANDS = re.findall(r"```sh\n(.*?)```", SECTION, flags=re.DOTALL)

CHROMIUM = shutil.which("chromium")
VALUES = ("Three pages", "One page")

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl, as the reader does")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return str(listener.getsockname()[1])


@pytest.fixture
def reader(tmp_path):
    """Somebody in an empty directory who follows the document; `run` gives what a block of commands printed."""
    ports = {"8790": free_port(), "8000": free_port()}

    def as_written(text):
        for port, free in ports.items():
            text = text.replace(port, free)
        return text.replace("--flags flags", f"--flags flags --port {ports['8790']}").replace(
            "sleep 3", "sleep 9"
        )

    for name, text in FILES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(as_written(text), encoding="utf-8")
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "UPSHOT_SDK_DIR": str(tmp_path / "sdk"),
    }
    shell = subprocess.Popen(
        ["bash", "-e"], cwd=tmp_path, env=environment, text=True, start_new_session=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip

    def run(commands):
        shell.stdin.write(f"{as_written(commands)}\necho '=done='\n")
        shell.stdin.flush()
        lines = []
        for line in iter(shell.stdout.readline, ""):
            lines.append(line.removesuffix("=done=\n"))
            if line.endswith("=done=\n"):
                return "".join(lines)
        raise AssertionError(f"a command failed in {commands!r}, after {lines!r}")

    yield run, tmp_path
    os.killpg(shell.pid, signal.SIGTERM)
    shell.wait(10)
    shell.stdin.close()
    shell.stdout.close()


def test_from_nothing_to_a_flag_in_a_web_app(reader):
    run, directory = reader
    assert "EXP-2026-001" in run(COMMANDS[0])
    told = json.loads(run("upshot flag eval checkout flags --unit visitor-1 --json"))
    assert told["value"] in VALUES
    run(COMMANDS[1])
    assert run(COMMANDS[2]) == f"{told['value']}\n"
    if CHROMIUM:  # the script alone is tested beside the web's other clients, with a reason to skip
        assert title_of(directory / "page.html") in VALUES
    assert run(COMMANDS[3]) == "Three pages\n"


def title_of(page):
    """What a real browser makes of a page."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        tab = browser.new_page()
        tab.goto(page.as_uri())
        tab.wait_for_function("document.title !== ''", timeout=20_000)
        title = tab.title()
        browser.close()
    return title
