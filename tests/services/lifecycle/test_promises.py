"""What holds whatever people do: a plan older than its data, no effect behind a seal, all or nothing."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from upshot.errors import UpshotError
from upshot.formats.flags import flags_from_yaml
from upshot.services.automatic import advance, complete, decide_automatically
from upshot.services.checklist import checklist
from upshot.services.decisions import Choice, decide, recommendation
from upshot.services.experiments import edit, extend, found, implement, listed, start, stop
from upshot.services.notes import acknowledge, add_note
from upshot.services.outlook import outlook
from upshot.services.replays import replay
from upshot.store import flags

RULE = "{id: exp, experiment: {id: NAME, split: {control: 1, treatment: 1}}}"
OVER = ("decided", "completed", "iterated")
lab_class = None


@pytest.fixture(autouse=True, scope="module")
def _given(lab_of):
    global lab_class  # a state machine is made by hypothesis, which knows no fixtures
    lab_class = lab_of


class Life(RuleBasedStateMachine):
    """A team that does everything in any order, and visitors who come at any time."""

    @initialize()
    def begin(self):
        self.place = tempfile.TemporaryDirectory()
        self.lab = lab_class(Path(self.place.name))
        self.name = self.lab.proposed(exceptions=dict.fromkeys(("minimum_runtime", "whole_weeks"), "a test"))
        self.accepted = {item.name: "a test" for item in checklist(self.lab.workspace, self.name)}
        self.met_before_plan = set()

    def teardown(self):
        if hasattr(self, "lab"):
            self.lab.close()
            self.place.cleanup()

    def try_to(self, work, *arguments, **named):
        with suppress(UpshotError):
            return work(self.lab.workspace, self.name, *arguments, **named)

    @rule(phase=st.integers(1, 3))
    def write_the_rule_by_hand(self, phase):
        text = RULE.replace("NAME", self.name).replace("split", f"phase: {phase}, split")
        with suppress(UpshotError), self.lab.store.changing("bob") as change:
            flags.put(
                change,
                flags_from_yaml(
                    "flags: {checkout: {variants: {control: long, treatment: short}, default: control, "
                    f"rules: [{text}]}}}}"
                ),
            )

    @rule(count=st.integers(1, 30))
    def visitors_come(self, count):
        self.lab.visits(count, buy=(0.1, 0.5))
        experiment = found(self.lab.workspace, self.name)
        if experiment.started_at is None:
            self.met_before_plan |= set(self.phases())

    def phases(self):
        from upshot.services.enrolment import phases_met

        return phases_met(self.lab.workspace, self.name)

    @rule(days=st.integers(1, 9))
    def time_passes(self, days):
        self.lab.pass_time(days=days)

    @rule()
    def implement(self):
        self.try_to(implement, "ann")

    @rule()
    def start(self):
        self.try_to(start, "ann", "a test", accepted=self.accepted)

    @rule()
    def look(self):
        with suppress(UpshotError):
            self.lab.look(self.name)

    @rule()
    def stop(self):
        self.try_to(stop, "ann", "a test")

    @rule(effect=st.sampled_from([0.3, 0.4]))
    def edit(self, effect):
        design = found(self.lab.workspace, self.name).design
        changed = replace(design, plan=replace(design.plan, minimum_effect=effect))
        self.try_to(edit, changed, "ann", "a test", knowingly=True)

    @rule(verdict=st.sampled_from(["SHIP", "KILL", "ITERATE", "EXTEND"]))
    def decide(self, verdict):
        self.try_to(decide, Choice(verdict=verdict, reason="a test"), "ann")

    @rule()
    def let_it_go_on(self):
        advance(self.lab.workspace)
        self.try_to(complete, "ann", "a test")

    @invariant()
    def a_decision_has_a_plan_that_is_older_than_its_data(self):
        if not hasattr(self, "lab"):
            return
        experiment = found(self.lab.workspace, self.name)
        if experiment.state not in OVER and experiment.course.decision is None:
            return
        rows = self.lab.rows(f"experiment/{self.name}")
        fixed = [row for row in rows if row.action == "experiment.running"]
        decided = [row for row in rows if row.action == "experiment.decided"]
        assert len(fixed) > 0
        assert len(decided) > 0
        assert fixed[0].number < decided[0].number
        after = json.loads(fixed[0].after)
        assert after["plan_hash"].startswith("sha256:")
        assert list(after["salts"]) == [f"experiment/{self.name}/phase-{after['phase']}"]
        assert not {phase for phase in self.met_before_plan if phase >= after["phase"]}
        assert experiment.phase >= after["phase"]


Life.TestCase.settings = settings(
    max_examples=6, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck)
)
TestLife = Life.TestCase


# No effect behind a seal


def test_no_service_tells_an_effect_of_what_is_sealed(lab):
    """The shares of the variants are searched as people and programs would write them."""
    name = lab.started(plan={"monitoring": "fixed"})
    lab.visits(1000, buy=(0.1, 0.317))
    lab.pass_time(days=2)
    taken = lab.look(name)
    assert taken.is_sealed
    kept = lab.store_look(name)
    (metric,) = [one for one in kept.analysis["metrics"] if one["name"] == "bought"]
    (comparison,) = metric["comparisons"]
    numbers = [comparison["effect"], comparison["lift"], comparison["p_value"], *comparison["interval"],
               metric["variants"]["treatment"]["mean"], metric["variants"]["control"]["mean"]]  # fmt: skip
    canaries = [text for number in numbers for text in written(number)]
    workspace = lab.workspace
    with suppress(UpshotError):
        decide(workspace, name, Choice(verdict="SHIP", reason="now"), "ann")
    add_note(workspace, name, "positive", "they like it", "ann")
    acknowledge(workspace, name, {"outliers": "known"}, "ann")
    answers = [
        taken, recommendation(workspace, name), found(workspace, name), listed(workspace), checklist(workspace, name),
        outlook(workspace, name), replay(workspace, name), advance(workspace), decide_automatically(workspace, name),
        lab.told(), lab.rows(),
    ]  # fmt: skip
    for answer in answers:
        text = repr(answer)
        assert [one for one in canaries if one in text] == [], type(answer)
    extend_told = refused(extend, workspace, name, lab.now.date(), "ann", "now")
    assert [one for one in canaries if one in extend_told] == []


def written(number):
    """A number as Python, as JSON and as a percentage have it, with enough digits to be no other."""
    return (
        [repr(number)[:8], f"{number:.5f}", f"{100 * number:.4f}"]
        if abs(number) > 1e-3
        else [repr(number)[:10]]
    )


def refused(work, *arguments):
    with pytest.raises(UpshotError) as error:
        work(*arguments)
    return str(error.value)


# All or nothing


PROGRAM = textwrap.dedent("""
    import sys
    from datetime import datetime
    from pathlib import Path
    from upshot.bootstrap import open_workspace
    from upshot.services.decisions import Choice, decide
    data, name, verdict, now = sys.argv[1:]
    workspace = open_workspace(Path(data), metrics=Path(data) / "metrics", clock=lambda: datetime.fromisoformat(now))
    print("ready", flush=True)
    sys.stdin.readline()
    decide(workspace, name, Choice(verdict=verdict, reason="a test"), "ann")
    print("done", flush=True)
""")
METRICS = """
metrics:
  bought: {kind: proportion, event: Bought, window: 1d}
  crashed: {kind: proportion, event: Crashed, window: 1h, better: lower}
"""


@pytest.mark.parametrize("verdict", ["SHIP", "KILL"])
def test_who_dies_in_the_middle_leaves_all_of_it_or_nothing(lab, verdict, tmp_path):
    (lab.data / "metrics").mkdir()
    (lab.data / "metrics" / "m.yaml").write_text(METRICS)
    name = lab.started()
    for _ in range(9):
        lab.visits(270, buy=(0.1, 0.3))
        lab.pass_time(days=1)
    lab.look(name)
    outcomes = set()
    for delay in (0.0, 0.02, 0.05, 0.1, 0.2, 5.0):
        run = [sys.executable, "-c", PROGRAM, str(lab.data), name, verdict, lab.now.isoformat()]
        with subprocess.Popen(run, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout.readline() == "ready\n"
            child.stdin.write("\n")
            child.stdin.flush()
            if delay < 5:
                time.sleep(delay)
                os.kill(child.pid, signal.SIGKILL)
            child.wait(30)
        outcomes.add(whole(lab, name))
        if outcomes & {"decided", "completed"}:
            break
    assert outcomes <= {"running", "decided", "completed"}
    assert outcomes & {"decided", "completed"}


def whole(lab, name):
    """The state, after everything that must go with it was found to."""
    experiment = found(lab.workspace, name)
    actions = [row.action for row in lab.rows(f"experiment/{name}")]
    given = lab.given()
    rules = lab.workspace.flags.read().flags.flags["checkout"].rules
    is_running = experiment.state == "running"
    assert ("experiment.decided" in actions) == (not is_running)
    assert (experiment.course.decision is None) == is_running
    assert any(one.experiment for one in rules) == is_running
    assert (f"decision/{name}" in lab.told()) == (not is_running)
    assert (len(given) == 2) == is_running
    return experiment.state
