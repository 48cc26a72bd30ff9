import subprocess
import sys


def test_every_verdict_is_the_one_that_the_truth_deserves(tmp_path):
    command = [sys.executable, "-m", "upshot", "demo", "--out", tmp_path / "demo"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
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
    command = [sys.executable, "-m", "upshot", "demo", "--out", tmp_path / "demo", "--seed", "7"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert "KILL · harm" in done.stdout
    assert "INVESTIGATE · check" in done.stdout
