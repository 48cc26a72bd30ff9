"""`upshot demo` as people run it: live with a server, and with files alone."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from click.testing import CliRunner

from upshot.doors.cli import demo as door
from upshot.model.decision import ExperimentVerdict
from upshot.services import demo as services
from upshot.simulate.shop.experiments import Known

UPSHOT = [sys.executable, "-m", "upshot"]


def demo(*arguments):
    return subprocess.run([*UPSHOT, "demo", *arguments], capture_output=True, text=True, check=False)


def test_every_verdict_of_the_files_is_the_one_that_the_truth_deserves(tmp_path):
    done = demo("--files", "--out", tmp_path / "demo")
    assert done.returncode == 0, done.stdout + done.stderr
    for verdict in (
        "SHIP · better",
        "KILL · harm",
        "INVESTIGATE · check",
        "KILL · no effect",
        "healthy",
        "fading",
    ):
        assert verdict in done.stdout
    assert len(list((tmp_path / "demo").glob("*/report.html"))) == 6


def test_another_seed_is_another_world_with_the_same_harm(tmp_path):
    """Chance may turn a close story; a checkout that breaks and visitors that get lost are found all the same."""
    done = demo("--files", "--out", tmp_path / "demo", "--seed", "7")
    assert done.stderr == ""
    assert "KILL · harm" in done.stdout
    assert "INVESTIGATE · check" in done.stdout


def children(pid):
    return [
        int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    ]


def is_gone(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_stopping_it_stops_the_server_and_what_that_started(tmp_path, how):
    with subprocess.Popen(
        [*UPSHOT, "demo", "--port", "0", "--out", tmp_path / "demo"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"COLUMNS": "200"},
    ) as process:  # fmt: skip
        url = process.stdout.readline().partition(" at ")[2].partition(";")[0]
        assert httpx.get(f"{url}/healthz", trust_env=False).status_code == 200
        (server,) = children(process.pid)
        family = [server, *children(server)]
        process.send_signal(how)
        _, errors = process.communicate(timeout=60)
    assert process.returncode in (130, 143)
    assert errors.strip() in ("", "upshot: stopped")
    deadline = time.monotonic() + 10
    while not all(is_gone(pid) for pid in family):
        assert time.monotonic() < deadline, "a process was left"
        time.sleep(0.05)
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/healthz", trust_env=False)


def test_a_port_that_is_taken_is_told_in_a_sentence(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = demo("--port", port, "--out", tmp_path / "demo")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert f"nobody can listen on 127.0.0.1:{port}" in done.stderr


@pytest.mark.parametrize("extra", [(), ("--files",)])
def test_a_folder_with_other_things_is_told_in_a_sentence(tmp_path, extra):
    (tmp_path / "thesis.tex").touch()
    done = demo("--out", tmp_path, *extra)
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        done.stderr == f"upshot: out is {tmp_path}, which holds other things than a demo: name a new folder\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def found(flag, verdict, cause, expected):
    said = ExperimentVerdict(
        verdict=verdict,
        cause=cause,
        headline="so it is",
        reasons=(),
        would_change="",
        winner=None,
        variants=(),
    )
    known = Known(id="EXP-2026-001", flag=flag, truth="it is so", verdict=expected[0], cause=expected[1])
    return services.Found(known=known, taken=SimpleNamespace(findings=SimpleNamespace(verdict=said)))


@pytest.mark.parametrize(
    ("expected", "code", "said"),
    [
        (("SHIP", "better"), 0, "All verdicts are the expected ones."),
        (("KILL", "no_effect"), 1, "1 of 2 verdicts is not the expected one: checkout"),
    ],
)
def test_it_ends_well_only_if_every_verdict_is_the_expected_one(tmp_path, monkeypatch, expected, code, said):
    """The world itself is lived through in tests/services/test_demo.py, and whole in the slow test below."""
    both = [
        found("checkout", "SHIP", "better", expected),
        found("button", "KILL", "no_effect", ("KILL", "no_effect")),
    ]
    server = services.Serving(url="http://127.0.0.1:1", key="k", process=None)
    monkeypatch.setattr(services, "serving", lambda world, port: (world.data.mkdir(), nullcontext(server))[1])
    monkeypatch.setattr(services, "start_experiments", lambda world, store: None)
    monkeypatch.setattr(door, "_pass_days", lambda *_: None)
    monkeypatch.setattr(services, "verdicts", lambda world, store: both)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    done = CliRunner().invoke(
        door.command, ["--exit", "--out", str(tmp_path / "demo")], standalone_mode=False
    )
    assert done.exception is None
    assert done.return_value == code
    assert said in done.output
    assert "SHIP · better" in done.output


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_whole_demo_finds_the_truth_and_stays_up_until_ctrl_c(tmp_path):
    folder = tmp_path / "demo"
    with subprocess.Popen(
        [*UPSHOT, "demo", "--port", "0", "--out", folder],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"COLUMNS": "200"},
    ) as process:  # fmt: skip
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith("The server goes on at "):
                break
        assert "All verdicts are the expected ones.\n" in lines, "".join(lines)
        url = lines[-1].split()[5].rstrip(",")
        assert httpx.get(f"{url}/healthz", trust_env=False).status_code == 200
        for command in (
            ("look", "EXP-2026-001", "--data", folder / "data", "--metrics", folder / "metrics"),
            ("events", "stats", "--data", folder / "data"),
            ("audit", "verify", "--data", folder / "data"),
            ("doctor", "--data", folder / "data"),
            ("flag", "lint", folder / "flags"),
        ):
            after = subprocess.run([*UPSHOT, *command], capture_output=True, text=True, check=False)
            assert after.returncode == 0, after.stdout + after.stderr
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 0
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/healthz", trust_env=False)
