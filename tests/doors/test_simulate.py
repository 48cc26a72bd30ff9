import json
import subprocess
import sys

import pytest

PLAN = """
metrics: [converted]
split: {control: 1, treatment: 1}
monitoring: group_sequential
minimum_effect: 0.2
planned_units: 4000
"""


def simulate(file, *arguments):
    command = [sys.executable, "-m", "upshot", "simulate", str(file), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def plan(tmp_path):
    file = tmp_path / "plan.yaml"
    file.write_text(PLAN)
    return file


def test_rates_of_the_whole_rule(plan):
    """200 worlds for each effect, seed 1: false positives near 5%, most true effects shipped."""
    done = simulate(plan, "--worlds", "200", "--json")
    none, effect = json.loads(done.stdout)
    assert none["significant"]["share"] <= 0.05 + 3 * 0.0155
    assert effect["shipped"]["share"] > 0.6
    assert effect["killed_as_bad"]["share"] == 0
    assert sum(one["share"] for one in effect["verdicts"]) == pytest.approx(1)


def test_a_person_reads_shares_and_days(plan):
    done = simulate(plan, "--worlds", "20", "--effect", "20%")
    assert "SHIP" in done.stdout
    assert "days" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--baseline", "clicks=10%"), "converted"),
        (("--effect", "much"), "is no number"),
        (("--worlds", "1"), "worlds"),
    ],
)
def test_bad_input_is_one_sentence(plan, arguments, says):
    done = simulate(plan, *arguments)
    assert done.returncode == 2
    assert says in done.stderr
