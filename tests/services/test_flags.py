"""Publishing real files: what is served, what is refused, and what is remembered."""

import json
import threading
from datetime import UTC, datetime
from itertools import count

import pytest

from upshot.assignment.ranges import SPACE, overlap, size
from upshot.errors import InputError, PlanError
from upshot.services.flags import Flags, publish
from upshot.store.flag_files import LEDGER, FlagDirectory
from upshot_sdk import Ruleset

EXPERIMENT = """
flags:
  checkout:
    variants: {{control: one-page, treatment: three-steps}}
    default: control
    rules:
    - id: exp
      {rule}
      experiment: {{id: EXP-1, split: {{control: {control}, treatment: 1}}, traffic: {traffic}, phase: {phase}}}
"""


def experiment(control=1, traffic=20, phase=1, rule=""):
    return EXPERIMENT.format(control=control, traffic=traffic, phase=phase, rule=rule)


class Directory:
    """A directory of flags with a source of salts that counts."""

    def __init__(self, path):
        self.path = path
        self.store = FlagDirectory(path)
        numbers = count()
        self.salt = lambda: f"salt-{next(numbers)}"

    def write(self, text, name="flags.yaml"):
        (self.path / name).write_text(text, encoding="utf-8")

    def publish(self, now=None):
        return publish(self.store, self.salt, now)

    def ledger(self):
        path = self.path / LEDGER
        return path.read_text(encoding="utf-8") if path.exists() else None


@pytest.fixture
def directory(tmp_path):
    return Directory(tmp_path)


def rule_of(published, flag="checkout", number=0):
    return json.loads(published.body)["flags"][flag]["rules"][number]


# What is served


def test_the_body_is_the_ruleset_and_its_revision_names_it(directory):
    directory.write(experiment())
    published = directory.publish()
    again = Ruleset.from_json(published.body, strict=True)
    assert published.revision == published.ruleset.revision == again.revision
    assert len(published.revision) == 16
    answers = {again.evaluate("checkout", {"targetingKey": f"u{i}"}).value for i in range(50)}
    assert answers == {"one-page", "three-steps"}


def test_the_rollout_of_the_seed_gives_a_tenth_of_early_adopters_and_nobody_else(directory):
    directory.write(
        """
        segments: {early-adopters: {when: {attr: beta, op: eq, value: true}}}
        flags:
          new-checkout:
            enabled: true
            percentage: 10
            segments: [early-adopters]
            monitoring: {errorThreshold: 0.01, latencyThreshold: 200, autoKill: true}
        """
    )
    ruleset = directory.publish().ruleset
    early = [ruleset.evaluate("new-checkout", {"targetingKey": f"u{i}", "beta": True}) for i in range(20_000)]
    others = [ruleset.evaluate("new-checkout", {"targetingKey": f"u{i}"}) for i in range(2000)]
    assert abs(sum(one.value for one in early) / 20_000 - 0.1) < 4 * (0.1 * 0.9 / 20_000) ** 0.5
    assert {one.value for one in others} == {False}
    assert {(one.value, one.reason) for one in early} == {(True, "SPLIT"), (False, "DEFAULT")}


def test_floats_stay_floats_to_the_evaluator(directory):
    directory.write("flags: {price: {variants: {low: 1.0, high: 2}, default: high}}")
    value = directory.publish().ruleset.evaluate("price").value
    assert (value, type(value)) == (2.0, float)


def test_publishing_again_changes_nothing_and_writes_nothing(directory):
    directory.write(experiment())
    first = directory.publish()
    ledger = directory.ledger()
    stamp = (directory.path / LEDGER).stat().st_mtime_ns
    second = directory.publish()
    assert (second.revision, second.body) == (first.revision, first.body)
    assert (directory.ledger(), (directory.path / LEDGER).stat().st_mtime_ns) == (ledger, stamp)


def test_moving_things_between_files_changes_nothing(directory):
    directory.write("flags: {a: {percentage: 5}, b: {percentage: 5}}")
    first = directory.publish()
    directory.write("flags: {b: {percentage: 5}}")
    directory.write("flags: {a: {percentage: 5}}", "another.yaml")
    assert directory.publish().body == first.body


def test_more_traffic_keeps_everybody_who_is_in(directory):
    directory.write(experiment(traffic=20))
    before = rule_of(directory.publish())["experiment"]
    directory.write(experiment(traffic=60))
    after = rule_of(directory.publish())["experiment"]
    assert (before["salt"], before["split"]) == (after["salt"], after["split"])
    assert size(overlap(before["traffic"], after["traffic"])) == size(before["traffic"])
    assert size(after["traffic"]) == round(SPACE * 0.6)


# What is refused


REFUSED = {
    "a.yaml": """
        flags:
          one:
            variants: {a: x, b: y}
            default: c
            overrides: {qa: nobody}
            prerequisites: [{flag: none, variants: [on]}]
            rules:
            - {id: first, when: {attr: plan, op: is, value: pro}, variant: z}
            - {id: both, segments: [pro], when: {attr: a, op: regex, value: "(a+)+$"}, variant: a}
            - {id: ramp, rollout: {variant: q, schedule: [{at: 2026-12-01T00:00:00Z, percentage: 5}]}}
            - {id: late, starts: 2026-12-02T00:00:00Z, until: 2026-12-01T00:00:00Z, variant: a}
            - {id: exp, experiment: {id: EXP-1, split: {a: 1, b: 1}, holdout: nobody}}
        segments: {pro: {when: {segment: nobody}}}
        """,
    "b.yaml": """
        flags:
          two: {percentage: 200, when: {attr: a, op: gt, value: text}}
          three: {type: number, variants: {a: x}}
          dotted.key: {when: {all: []}}
        """,
}


def test_what_files_and_evaluator_refuse_is_told_at_once_where_it_is_written(directory):
    for name, text in REFUSED.items():
        directory.write(text, name)
    with pytest.raises(PlanError) as error:
        directory.publish()
    assert error.value.where == str(directory.path)
    assert sorted(problem.partition(": ")[2].partition(": ")[0] for problem in error.value.problems) == [
        "flags.dotted.key.when.all",
        "flags.one.default",
        "flags.one.overrides",
        "flags.one.prerequisites[0].flag",
        "flags.one.rules[both].when.value",
        "flags.one.rules[exp].experiment.holdout",
        "flags.one.rules[first].variant",
        "flags.one.rules[first].when.op",
        "flags.one.rules[late]",
        "flags.one.rules[ramp].rollout.variant",
        "flags.three.variants.a",
        "flags.two.percentage",
        "flags.two.when.value",
        "segments.pro.when.segment",
    ]
    files = {
        problem.partition(": ")[2].partition(".")[2][:3]: problem[:6] for problem in error.value.problems
    }
    assert files["one"] == "a.yaml"
    assert files["two"] == files["thr"] == files["dot"] == "b.yaml"
    assert directory.ledger() is None


def test_what_follows_from_a_mistake_is_not_told_again(directory):
    directory.write(
        "flags: {a: {type: text, variants: {x: 1}}, b: {prerequisites: [{flag: a, variants: [x]}]}}"
    )
    with pytest.raises(PlanError) as error:
        directory.publish()
    assert len(error.value.problems) == 1


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        ({"control": 2}, "raise the phase of EXP-1 to 2"),
        ({"traffic": 10}, "raise the phase of EXP-1 to 2"),
        ({"rule": "when: {attr: country, op: eq, value: CA}"}, "raise the phase of EXP-1 to 2"),
    ],
)
def test_an_edit_that_spoils_a_running_experiment_is_refused_until_its_phase_is_raised(directory, edit, told):
    directory.write(experiment())
    first = directory.publish()
    ledger = directory.ledger()
    directory.write(experiment(**edit))
    with pytest.raises(PlanError, match=told) as error:
        directory.publish()
    assert error.value.problems[0].startswith("flags.yaml: flag checkout, rule exp: ")
    assert directory.ledger() == ledger
    directory.write(experiment(**edit, phase=2))
    second = directory.publish()
    assert rule_of(second)["experiment"]["phase"] == 2
    assert rule_of(second)["experiment"]["salt"] != rule_of(first)["experiment"]["salt"]


def test_a_blocked_edit_is_refused_even_in_a_new_phase(directory):
    directory.write(experiment())
    directory.publish()
    directory.write(experiment(phase=2).replace("phase: 2", "phase: 2, unit: account"))
    with pytest.raises(PlanError, match="asks another question"):
        directory.publish()


def test_an_experiment_that_has_not_started_may_be_edited_freely(directory):
    later = "starts: 2027-01-01T00:00:00Z"
    directory.write(experiment(rule=later))
    now = datetime(2026, 12, 1, tzinfo=UTC)
    directory.publish(now)
    directory.write(experiment(rule=later, control=3))
    split = rule_of(directory.publish(now))["experiment"]["split"]
    assert size(split["control"]) == 3 * SPACE // 4


# What is kept fresh


def test_an_edit_is_served_and_a_bad_one_leaves_the_last_good_in_force(directory):
    directory.write("flags: {nav: {}}")
    flags = Flags(directory.store, directory.salt)
    assert flags.refresh() is (directory.ledger() is None)
    directory.write("flags: {nav: {enabled: off}}")
    assert flags.refresh() is True
    assert flags.current.ruleset.evaluate("nav").reason == "DISABLED"
    good = flags.current
    directory.write("flags: {nav: {enabled: perhaps}, b: 5}")
    assert flags.refresh() is False
    assert (flags.current, len(flags.problems)) == (good, 2)
    directory.write("flags: {nav: {}}")
    assert (flags.refresh(), flags.problems) == (True, ())


def test_a_file_that_is_being_written_is_left_for_the_next_look(directory, monkeypatch):
    directory.write("flags: {nav: {}}")
    flags = Flags(directory.store, directory.salt)
    directory.write("")
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(
            "upshot.services.flags.sleep", lambda _: directory.write("flags: {nav: {}, new: {}}")
        )
        assert flags.refresh() is False
    assert flags.current.ruleset.flag_keys == ("nav",), "never without the flag that the empty file lacks"
    assert flags.refresh() is True
    assert flags.current.ruleset.flag_keys == ("nav", "new")


def test_after_a_restart_with_a_bad_edit_what_was_applied_is_served(directory):
    directory.write(experiment())
    before = directory.publish()
    directory.write(experiment(control=2))
    flags = Flags(directory.store, directory.salt)
    assert (flags.current.revision, flags.current.body) == (before.revision, before.body)
    assert "raise the phase" in flags.problems[0]


def test_with_nothing_applied_before_mistakes_are_raised(directory):
    directory.write("flags: {nav: 5}")
    with pytest.raises(InputError, match="5 is not a flag"):
        Flags(directory.store, directory.salt)


def test_a_directory_that_goes_away_leaves_the_last_good_in_force(directory):
    directory.write("flags: {nav: {}}")
    flags = Flags(directory.store, directory.salt)
    moved = directory.path.rename(directory.path.with_name("moved"))
    assert flags.refresh() is False
    assert "there is no directory" in flags.problems[0]
    moved.rename(directory.path)
    flags.refresh()
    assert flags.problems == ()


def test_servers_that_see_an_edit_at_once_draw_the_same_salts(directory):
    directory.write("flags: {nav: {}}")
    servers = [Flags(FlagDirectory(directory.path), directory.salt) for _ in range(4)]
    directory.write("flags: {nav: {percentage: 10}, b: {percentage: 20}}")

    def look_on(server):
        """As a server does, every now and then: what another writes meanwhile is left for the next look."""
        for _ in range(20):
            server.refresh()

    threads = [threading.Thread(target=look_on, args=(server,)) for server in servers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({server.current.body for server in servers}) == 1
    assert "b" in servers[0].current.ruleset.flag_keys


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("segments: {a: {when: {segment: b}}, b: {when: {segment: a}}}\nflags: {f: {segments: [a]}}",
         ["segments.a", "segments.b"]),
        (("flags: {a: {prerequisites: [{flag: b, variants: [on]}]}, b: {prerequisites: [{flag: a, variants: [on]}]},"
         " c: {prerequisites: [{flag: a, variants: [on]}]}}"), ["flags.a", "flags.b"]),
    ],
)  # fmt: skip
def test_a_circle_is_told_once_for_each_that_is_in_it(directory, text, paths):
    directory.write(text)
    with pytest.raises(PlanError) as error:
        directory.publish()
    assert [problem.split(": ")[1] for problem in error.value.problems] == paths


@pytest.mark.parametrize(
    "when",
    [
        "{attr: a, op: regex, value: '(a+)+$'}",
        "{attr: a, op: in, value: [" + "1, " * 10_001 + "]}",
        "{not: " * 40 + "{attr: a, op: exists}" + "}" * 40,
        "{any: [" + "{attr: a, op: regex, value: b}, " * 50 + "]}",
    ],
    ids=["backtracking", "long list", "deep", "dear"],
)
def test_hostile_conditions_are_refused_when_they_are_saved(directory, when):
    directory.write(f"flags: {{f: {{when: {when}}}}}")
    with pytest.raises(PlanError, match=r"flags\.f"):
        directory.publish()
