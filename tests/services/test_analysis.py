import json
from dataclasses import replace

import ibis
import pytest

from upshot.analysis.question import Question
from upshot.decide.policy import decide
from upshot.errors import DataError, InputError
from upshot.formats.metric_text import parse_metric
from upshot.model.plan import Plan
from upshot.services.analysis import Request, analyze_counts, analyze_table, findings_to_dict
from upshot.services.looks import read_looks

METRICS = (parse_metric("converted"),)


def table(units, rate=5):
    return ibis.memtable({
        "user_id": list(range(units)),
        "group": ["control" if i % 2 else "treatment" for i in range(units)],
        "converted": [int(i % rate == 0) for i in range(units)],
    })  # fmt: skip


def request(memory=None, planned=False, **fields):
    plan = Plan(**{"metrics": METRICS, "final": not planned} | fields)
    question = Question(variant="group", control="control", metrics=METRICS, unit="user_id", split=plan.split)
    return Request(plan=plan, question=question, memory=memory, planned=planned)


def test_the_verdict_follows_from_plan_and_analysis_alone():
    findings = analyze_table(table(3000), request())
    assert decide(findings.plan, findings.analysis, request().situation) == findings.verdict


def test_findings_are_plain_json():
    found = findings_to_dict(analyze_table(table(3000), request()))
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["verdict"]["variants"]["treatment"]["row"] >= 1


def test_unplanned_looks_are_kept_only_when_data_changed(tmp_path):
    data = tmp_path / "visits.parquet"
    asked = request(memory=data)
    for units, looks in ((2000, 1), (2000, 1), (3000, 2), (3000, 2), (4000, 3)):
        findings = analyze_table(table(units), asked)
        kept = read_looks(next((tmp_path / ".upshot" / "looks").iterdir()))
        assert [look.number for look in kept] == list(range(1, looks + 1))
        assert findings.plan.monitoring == ("fixed" if looks == 1 else "always_valid")
    assert "2 times before" in findings.analysis.notes[-1]


def test_a_monitored_plan_counts_its_looks(tmp_path):
    asked = request(tmp_path / "visits.csv", planned=True, monitoring="group_sequential", planned_units=4000)
    numbers = [analyze_table(table(units), asked).analysis.look.number for units in (2000, 3000, 3000, 5000)]
    assert numbers == [1, 2, 2, 3]


def test_a_fixed_plan_leaves_no_trace(tmp_path):
    analyze_table(
        table(2000), request(tmp_path / "visits.csv", planned=True, planned_units=4000, monitoring="fixed")
    )
    assert list(tmp_path.iterdir()) == []


def test_a_failure_leaves_no_trace(tmp_path):
    asked = request(memory=tmp_path / "visits.csv", split={"control": 1, "other": 1})
    with pytest.raises(DataError, match="split names other, which no row"):
        analyze_table(table(2000), asked)
    assert list(tmp_path.iterdir()) == []


def test_a_planned_variant_that_is_not_there_is_a_failed_check():
    asked = request(planned=True, split={"control": 1, "other": 1}, planned_units=4000)
    findings = analyze_table(table(2000), asked)
    status = {check.name: check.status for check in findings.analysis.checks}
    assert status["unseen_variants"] == "fail"
    assert findings.verdict.verdict == "INVESTIGATE"


def test_counts_give_the_same_numbers_as_their_rows():
    rows = analyze_table(table(3000), request()).analysis
    counts = analyze_counts({"control": (300, 1500), "treatment": (300, 1500)}, request()).analysis
    one, other = (found.metrics[0].comparisons[0] for found in (rows, counts))
    assert (one.effect, one.interval, one.p_value) == (other.effect, other.interval, other.p_value)


def test_counts_are_of_one_metric():
    asked = request()
    asked = replace(asked, plan=replace(asked.plan, metrics=(*METRICS, parse_metric("clicked"))))
    with pytest.raises(InputError, match="converted, clicked"):
        analyze_counts({"control": (1, 10), "treatment": (2, 10)}, asked)
