import json
import subprocess
import sys

import pytest

from upshot.formats.plans import read_plan


def plan(*arguments):
    command = [sys.executable, "-m", "upshot", "plan", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_floor_is_said_to_be_far_from_enough():
    done = plan("--baseline", "10%", "--effect", "5%", "--monitoring", "fixed", "--weekly", 20000)
    assert "57,760 units in control" in done.stdout
    assert "floor of 1,000" in done.stdout
    assert "far from enough" in done.stdout
    assert "Four ways out" in done.stdout
    assert [f"{n}." in done.stdout for n in (1, 2, 3, 4)] == [True] * 4


def test_json_and_a_date():
    done = plan("--baseline", "10%", "--effect", "20%", "--weekly", 20000, "--by", "2099-12-18", "--json")
    found = json.loads(done.stdout)
    assert found["ways_out"] == []
    assert len(found["in_time"]) == 1
    assert 0 < found["in_time"][0]["effect"] < 0.2
    chances = next(one for one in found["prospects"] if one["effect"] == 0.2)
    assert chances["ship"] == pytest.approx(0.8, abs=0.01)
    assert sum(value for name, value in chances.items() if name != "effect") == pytest.approx(1)


def test_the_written_plan_reads_back(tmp_path):
    file = tmp_path / "plan.yaml"
    done = plan("--baseline", "12.5", "--std", "40", "--kind", "mean", "--effect", "3%", "--r2", "0.4",
                "--metric", "revenue,mean,covariate=before", "--write", file)  # fmt: skip
    assert done.returncode == 0, done.stderr
    written = read_plan(file)
    assert written.minimum_effect == 0.03
    assert written.planned_units == written.maximum_units > 10_000
    assert written.metrics[0].covariates == ("before",)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--baseline", "110%"), "baseline"),
        (("--baseline", "10%", "--alpha", "2"), "alpha"),
        (("--baseline", "5", "--kind", "mean"), "std"),
        (("--baseline", "10%", "--by", "2099-01-01"), "--weekly"),
        (("--baseline", "10%", "--by", "2001-01-01", "--weekly", "5"), "not after"),
        (("--baseline", "10%", "--weekly", "-5"), "weekly"),
        (("--baseline", "10%", "--split", "a=1"), "split names only a"),
        (("--baseline", "10%", "--split", "a=1,b=1,a=2"), "split names a twice"),
        (("--baseline", "ten"), "is no number"),
    ],
)
def test_bad_input_is_one_sentence(arguments, says):
    done = plan(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert says in done.stderr
    assert "Traceback" not in done.stderr
