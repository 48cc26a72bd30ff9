import json
from contextlib import chdir, redirect_stderr, redirect_stdout
from io import StringIO
from types import SimpleNamespace

import pytest

from upshot.doors.cli.main import main

SEED = """
segments:
  early-adopters: {when: {attr: beta, op: eq, value: true}}
flags:
  new-checkout:
    enabled: true
    percentage: 10
    segments: [early-adopters]
    monitoring: {errorThreshold: 0.01, latencyThreshold: 200, autoKill: true}
"""
TRIAL = "flags: {it: {rules: [{id: e, experiment: {id: EXP-1, split: {on: %s, off: 1}, traffic: %s, phase: %s}}]}}"


@pytest.fixture
def flags(tmp_path):
    (tmp_path / "flags").mkdir()
    (tmp_path / "flags" / "flags.yaml").write_text(SEED, encoding="utf-8")
    return tmp_path / "flags"


def flag(flags, *arguments):
    out, err = StringIO(), StringIO()
    with chdir(flags.parent), redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
        main(["flag", *arguments])
    return SimpleNamespace(returncode=ended.value.code, stdout=out.getvalue(), stderr=err.getvalue())


def write(flags, text):
    (flags / "flags.yaml").write_text(text, encoding="utf-8")


def test_lint_says_in_words_what_the_seed_means(flags):
    done = flag(flags, "lint")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "new-checkout (boolean)\n"
        "  rollout: 10% of early-adopters get on, and nobody outside early-adopters\n"
        "  everybody else gets off\n"
        "  its rollout is watched: errors above 1% of units or p95 latency above 200 ms turn it off\n"
    )
    found = json.loads(flag(flags, "lint", "flags", "--json").stdout)
    assert found["flags"]["new-checkout"]["words"][1] == "everybody else gets off"
    assert found["remarks"] == []
    assert not (flags / "ledger.json").exists()


def test_lint_looks_at_another_time(flags):
    write(flags, "flags: {it: {expires: 2026-12-31}}")
    assert "it expired on 2026-12-31" in flag(flags, "lint", "--at", "2027-01-01T00:00:00Z").stdout
    assert "expired" not in flag(flags, "lint", "--at", "2026-12-31T00:00:00Z").stdout


def test_an_empty_directory_is_said_to_be_empty(flags):
    (flags / "flags.yaml").unlink()
    assert "there are no flags: write one" in flag(flags, "lint").stdout


def test_every_mistake_is_named_at_once(flags):
    write(flags, "flags: {a: 5, b: {percentage: 200, when: {attr: x, op: is}}}")
    done = flag(flags, "lint")
    assert (done.returncode, done.stdout) == (2, "")
    lines = done.stderr.splitlines()
    assert lines[0] == "upshot: flags has 3 problems:"
    assert [line.split(": ")[1] for line in lines[1:]] == ["flags.a", "flags.b.percentage", "flags.b.when.op"]


def test_eval_says_value_variant_reason_and_rule(flags):
    flag(flags, "apply")
    texts = [
        flag(flags, "eval", "new-checkout", "--unit", f"user-{number}", "--context", '{"beta": true}').stdout
        for number in range(200)
    ]
    outside = flag(flags, "eval", "new-checkout", "--unit", "user-1")
    assert outside.stdout == (
        "new-checkout: false\n  variant off, reason DEFAULT\n  not rollout: its condition is not met\n"
    )
    drawn = (
        "new-checkout: true\n  variant on, reason SPLIT, rule rollout\n"
        "  because 10% of early-adopters get on, and nobody outside early-adopters\n"
    )
    left_out = (
        "new-checkout: false\n  variant off, reason DEFAULT\n  not rollout: its draw leaves this unit out\n"
    )
    assert set(texts) == {drawn, left_out}


def test_eval_as_json_and_of_a_flag_without_draws(flags):
    write(flags, "flags: {it: {variants: {a: {x: 1.5}}, default: a}}")
    found = json.loads(flag(flags, "eval", "it", "--json").stdout)
    assert found["value"] == {"x": 1.5}
    assert (found["variant"], found["reason"], found["drawn"], found["passed"]) == ("a", "STATIC", True, {})


def test_eval_of_a_draw_that_was_not_given_out_says_so(flags):
    write(flags, "flags: {it: {percentage: 100}}")
    assert "this draw was not given out yet" in flag(flags, "eval", "it", "--unit", "u").stdout
    flag(flags, "apply")
    done = flag(flags, "eval", "it", "--unit", "u")
    assert "not given out" not in done.stdout
    assert done.stdout.startswith("it: true\n  variant on, reason SPLIT, rule rollout\n")


def test_an_edit_goes_through_diff_and_apply(flags):
    assert "Nothing is in force yet" in flag(flags, "diff").stdout
    first = flag(flags, "apply")
    assert "1 flag is in force as revision" in first.stdout
    assert flag(flags, "diff").stdout == "Nothing was edited since the flags were applied.\n"
    write(flags, SEED.replace("percentage: 10", "percentage: 30"))
    done = flag(flags, "diff")
    assert done.returncode == 0
    assert "  safe       flag new-checkout, rule rollout: percentage goes from 10% to 30%" in done.stdout
    assert (
        "  units      flag new-checkout, rule rollout: 20% of those it is for get another answer"
        in done.stdout
    )
    found = json.loads(flag(flags, "apply", "--json").stdout)
    assert [move["share"] for move in found["moves"]] == [pytest.approx(0.2, abs=1e-9)]
    assert found["refused"] is False
    assert json.loads((flags / "ledger.json").read_text(encoding="utf-8"))["applied"]["flags"]
    again = json.loads(flag(flags, "apply", "--json").stdout)
    assert (again["revision"], again["edits"], again["moves"]) == (found["revision"], [], [])


def test_an_edit_that_spoils_an_experiment_is_shown_and_refused(flags):
    write(flags, TRIAL % (1, 20, 1))
    flag(flags, "apply")
    before = (flags / "ledger.json").read_bytes()
    write(flags, TRIAL % (2, 30, 1))
    done = flag(flags, "diff")
    assert done.returncode == 2
    assert "  new phase  flag it, rule e: split goes from" in done.stdout
    assert "1 of 2 edits would be refused" in done.stdout
    assert json.loads(flag(flags, "diff", "--json").stdout)["refused"] is True
    refused = flag(flags, "apply")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "raise the phase of EXP-1 to 2" in refused.stderr
    assert (flags / "ledger.json").read_bytes() == before
    write(flags, TRIAL % (2, 30, 2))
    assert flag(flags, "apply").returncode == 0


def test_a_flag_is_killed_and_revived(flags):
    flag(flags, "apply")
    done = flag(flags, "kill", "new-checkout", "--reason", "cards are refused")
    assert (done.returncode, done.stdout) == (
        0,
        "new-checkout is off for everybody, whatever is written\n",
    )
    told = flag(flags, "eval", "new-checkout", "--unit", "u1", "--context", '{"beta": true}').stdout
    assert "reason DISABLED" in told
    assert "because it is off whatever is written, since" in told
    assert told.rstrip().endswith(": cards are refused")
    assert "was off already" in flag(flags, "kill", "new-checkout", "--reason", "again").stdout
    back = json.loads(flag(flags, "revive", "new-checkout", "--reason", "mended", "--json").stdout)
    assert back == {"flag": "new-checkout", "action": "revive", "changed": True}
    assert "was not killed" in flag(flags, "revive", "new-checkout", "--reason", "again").stdout
    history = json.loads((flags / "kills.json").read_text(encoding="utf-8"))["history"]
    assert [(entry["action"], entry["reason"]) for entry in history] == [
        ("kill", "cards are refused"),
        ("revive", "mended"),
    ]
    assert all(entry["actor"] for entry in history)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["kill", "new-chekout", "--reason", "r"], "there is no flag new-chekout in flags: did you mean"),
        (["kill", "new-checkout"], "Missing option '--reason'"),
        (["lint", "nowhere"], "there is no directory nowhere: make it"),
        (["diff", "nowhere"], "there is no directory nowhere: make it"),
        (["apply", "nowhere"], "there is no directory nowhere that can be read"),
        (["eval", "new-chekout"], "there is no flag new-chekout in flags: did you mean new-checkout?"),
        (["eval", "new-checkout", "--context", "{"], "context is no JSON"),
        (["eval", "new-checkout", "--context", "[1]"], "context is [1]: give a JSON object"),
        (["eval", "new-checkout", "--at", "2026-12-01"], "at is '2026-12-01': give a time with its offset"),
        (["eval"], "Missing argument 'KEY'"),
        (["lnt"], "No such command 'lnt'"),
    ],
)
def test_bad_input_is_one_sentence(flags, arguments, told):
    done = flag(flags, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["lint", "eval", "diff", "apply", "kill", "revive"])
def test_each_command_has_help_with_an_example(flags, name):
    assert f"Example: upshot flag {name}" in flag(flags, name, "--help").stdout
