from datetime import UTC, datetime

import pytest

from upshot.errors import PlanError
from upshot.services.flag_lint import lint
from upshot.store.flag_files import FlagDirectory

NOW = datetime(2026, 12, 1, tzinfo=UTC)


def linted(path, text):
    (path / "flags.yaml").write_text(text, encoding="utf-8")
    return lint(FlagDirectory(path), lambda: "salt", NOW)


def remarks(path, text):
    return [(one.about, one.kind) for one in linted(path, text).remarks]


def rules(*written):
    return "flags: {it: {variants: {a: 1, b: 2}, rules: [" + ", ".join(written) + "]}}"


def test_what_is_sound_has_no_remarks_and_is_said_in_words(tmp_path):
    found = linted(tmp_path, "flags: {it: {percentage: 10, expires: 2026-12-01}}")
    assert found.remarks == ()
    assert found.words == {"it": ("rollout: 10% of everybody get on", "everybody else gets off")}
    assert not (tmp_path / "ledger.json").exists()


def test_mistakes_are_raised(tmp_path):
    with pytest.raises(PlanError, match="5 is not a flag"):
        linted(tmp_path, "flags: {it: 5}")


LIMITS = "monitoring: {errorThreshold: 0.01, latencyThreshold: 200, autoKill: true}"


def test_monitoring_is_said_in_words(tmp_path):
    found = linted(tmp_path, f"flags: {{it: {{percentage: 10, {LIMITS}}}}}")
    assert found.remarks == ()
    assert found.words["it"][-1] == (
        "its rollout is watched: errors above 1% of units or p95 latency above 200 ms turn it off where they are more"
        " than with off"
    )
    alone = linted(tmp_path, f"flags: {{it: {{percentage: 10, when: {{attr: beta, op: exists}}, {LIMITS}}}}}")
    assert alone.words["it"][-1].endswith("p95 latency above 200 ms turn it off")
    told = linted(tmp_path, "flags: {it: {percentage: 10, monitoring: {errorThreshold: 0.01}}}")
    assert "errors above 1% of units are told as an alert, and leave it on" in told.words["it"][-1]


@pytest.mark.parametrize("text", ["monitoring: {}", f"rules: [{{id: a, variant: off}}], {LIMITS}"])
def test_monitoring_that_watches_nothing_is_told(tmp_path, text):
    (remark,) = linted(tmp_path, f"flags: {{it: {{{text}}}}}").remarks
    assert remark.kind == "monitoring"
    assert remark.sentence.startswith("its monitoring watches nothing: ")


def test_a_flag_past_its_day_is_told_with_its_owner(tmp_path):
    (remark,) = linted(tmp_path, "flags: {it: {expires: 2026-11-30, owner: web team}}").remarks
    assert (
        remark.sentence == "it expired on 2026-11-30: ask web team and take it out of the code and the files"
    )


def test_what_nothing_uses_is_told_and_use_by_way_of_a_segment_counts(tmp_path):
    text = """
        segments:
          used: {when: {all: [{segment: inner}, {attr: a, op: exists}]}}
          inner: {when: {attr: b, op: exists}}
          unused: {when: {segment: inner}}
        layers: {page: , empty: }
        holdouts: {all: {percentage: 5}, none: {percentage: 1}}
        flags:
          it:
            rules:
            - {id: r, when: {not: {segment: used}}, variant: on}
            - {id: e, experiment: {id: E, split: {on: 1, off: 1}, layer: page, holdout: all}}
        """
    assert remarks(tmp_path, text) == [
        ("segments.unused", "unused"), ("layers.empty", "unused"), ("holdouts.none", "unused")
    ]  # fmt: skip


WHEN = "when: {attr: plan, op: eq, value: pro}"
TRIAL = "experiment: {id: E, split: {a: 1, b: 1}"


@pytest.mark.parametrize(
    ("first", "later"),
    [
        ("variant: a", "variant: b"),
        (f"{WHEN}, variant: a", f"{WHEN}, rollout: {{variant: b}}"),
        ("segments: [s, t], variant: a", "segments: [t], variant: b"),
        ("rollout: {variant: a}", "rollout: {variant: b, percentage: 5}"),
        (f"{TRIAL}}}", f"{WHEN}, rollout: {{variant: b}}"),
        ("starts: 2026-11-01T00:00:00Z, variant: a", "variant: b"),
        ("until: 2027-02-01T00:00:00Z, variant: a", "until: 2027-01-01T00:00:00Z, variant: b"),
        ("starts: 2027-01-01T00:00:00Z, variant: a", "starts: 2027-01-02T00:00:00Z, variant: b"),
    ],
)
def test_a_rule_that_is_never_reached_is_told(tmp_path, first, later):
    text = rules(f"{{id: first, {first}}}", f"{{id: later, {later}}}")
    text += "\nsegments: {s: {when: {attr: a, op: exists}}, t: {when: {attr: b, op: exists}}}"
    found = [one for one in linted(tmp_path, text).remarks if one.kind != "unused"]
    assert [(one.kind, one.sentence) for one in found] == [
        ("unreachable", "rule later is never reached: first before it takes all whom it is met by")
    ]


@pytest.mark.parametrize(
    ("first", "later"),
    [
        (f"{WHEN}, variant: a", "variant: b"),
        ("rollout: {variant: a, percentage: 99}", "variant: b"),
        ("rollout: {variant: a}", "variant: b"),  # for who has no unit
        ("rollout: {variant: a}", "rollout: {variant: b, unit: account}"),
        (
            "rollout: {variant: a, schedule: [{at: 2027-01-01T00:00:00Z, percentage: 100}]}",
            "rollout: {variant: b}",
        ),
        (f"{TRIAL}, holdout: h}}", "rollout: {variant: b}"),
        (f"{TRIAL}, layer: l, layer_share: 50}}", "rollout: {variant: b}"),
        ("segments: [s], variant: a", "segments: [s, t], variant: b"),
        ("segments: [s], variant: a", "variant: b"),
        ("starts: 2027-01-01T00:00:00Z, variant: a", "variant: b"),
        ("until: 2027-01-01T00:00:00Z, variant: a", "variant: b"),
    ],
)
def test_a_rule_that_some_unit_may_reach_is_not(tmp_path, first, later):
    text = rules(f"{{id: first, {first}}}", f"{{id: later, {later}}}")
    text += "\nsegments: {s: {when: {attr: a, op: exists}}, t: {when: {attr: b, op: exists}}}"
    text += "\nlayers: {l: }\nholdouts: {h: {percentage: 5}}"
    assert [one.kind for one in linted(tmp_path, text).remarks if one.kind != "unused"] == []


def test_rules_that_ended_and_schedules_that_shrink_are_told(tmp_path):
    text = rules(
        "{id: old, until: 2026-11-30T00:00:00Z, variant: a}",
        "{id: ramp, rollout: {variant: a, percentage: 50, schedule: [{at: 2026-12-09T09:00:00Z, percentage: 10}]}}",
    )
    assert [one.sentence for one in linted(tmp_path, text).remarks] == [
        "rule old ended at 2026-11-30 00:00 UTC: remove it",
        "rule ramp goes from 50% down to 10% at 2026-12-09 09:00 UTC: who is let out loses what they had",
    ]
