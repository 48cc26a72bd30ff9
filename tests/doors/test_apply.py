"""`upshot apply` and `upshot export`: as a person at a terminal and as a pipeline."""

import json
import subprocess
import sys

import pytest

FLAGS = "flags: {checkout: {variants: {control: a, treatment: b}, default: control}}"


def upshot(place, *arguments, code=0):
    command = [sys.executable, "-m", "upshot", *map(str, arguments)]
    done = subprocess.run(
        command, cwd=place, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stderr if code == 2 else done.stdout


@pytest.fixture
def place(tmp_path):
    (tmp_path / "workspace").mkdir()
    (tmp_path / "workspace" / "flags.yaml").write_text(FLAGS)
    return tmp_path


def test_look_apply_and_export(place):
    assert upshot(place, "apply", "workspace", "--dry-run").strip() == "+ flags/checkout"
    assert "give --yes to apply" in upshot(place, "apply", "workspace", code=2)
    assert upshot(place, "apply", "workspace", "--yes", "--reason", "review 41").endswith("applied: 1 of 1\n")
    assert "the store is what the files declare" in upshot(place, "apply", "workspace")
    (place / "workspace" / "flags.yaml").write_text(FLAGS.replace("default: control", "default: treatment"))
    shown = upshot(place, "apply", "workspace", "--dry-run")
    assert shown == "~ flags/checkout\n    default: control -> treatment\n"
    found = json.loads(upshot(place, "apply", "workspace", "--yes", "--json"))
    assert found["applied"] == ["flags/checkout"]
    assert "wrote out/flags.yaml" in upshot(place, "export", "out")
    assert json.loads(upshot(place, "apply", "out", "--json", "--dry-run"))["steps"] == []
    assert "review 41" in upshot(place, "audit", "list")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("flag: {}", "there is no section flag: did you mean flags?"),
        ("flags: [", "line 1"),
        ("plan: {metrics: {primary: [bought]}}", "id is missing"),
    ],
)
def test_mistakes_change_nothing(place, text, says):
    (place / "workspace" / "more.yaml").write_text(text)
    assert says in upshot(place, "apply", "workspace", "--yes", code=2)
    assert "nothing that is declared" in upshot(place, "export", "out")
